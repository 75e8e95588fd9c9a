"""Is what the platform stores fit to be read? Great Expectations over MongoDB, and Kafka offsets against documents.

| module | what it does |
|---|---|
| `suites` | reads `expectations/<collection>.json` and refuses what is not understood, naming file and expectation |
| `windows` | tells which documents are new since the last check, and reads them in chunks |
| `reading` | reads collection after collection, in a process of its own, a batch ahead of the evaluation |
| `frames` | lays documents out as typed tables (pandas) of bounded size |
| `rules`, `references` | add the true/false columns of a suite: cross-field rules, and whether something exists |
| `engine`, `tally` | run a suite with Great Expectations batch by batch, add up, render its Data Docs |
| `figures` | figures about all documents together, compared with earlier checks |
| `outcome` | what a check found, and how bad it is |
| `books` | reads Kafka's offsets, the stream's counters and the number of documents |
| `reconcile`, `sums`, `moments` | compare them; sums of windows and visits; the models' registry |
| `self_audit` | recomputes recent windows and visits from the events, and compares |
| `report` | the pages of a run, readable without internet |
| `run` | checks one collection, and stores what was found |

Severities: `critical` means that somebody who reads the collection is misled, `warning` that somebody should look.
"""

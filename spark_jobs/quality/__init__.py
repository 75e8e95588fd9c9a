"""Is what the platform stores fit to be read? Great Expectations over MongoDB, and Kafka offsets against documents.

| module | what it does |
|---|---|
| `suites` | reads `expectations/<collection>.json` and refuses what is not understood, naming file and expectation |
| `frames` | reads a bounded number of documents into a typed table (pandas) |
| `rules` | adds the true/false columns of a suite's cross-field rules |
| `engine` | runs a suite with Great Expectations and renders its Data Docs |
| `outcome` | what a check found, and how bad it is |
| `topic` | reads offsets and newest records from Kafka |
| `books` | reads Kafka's offsets, the stream's counters and the number of documents |
| `reconcile` | compares them |
| `report` | the pages of a run, readable without internet |
| `run` | checks one collection, and stores what was found |

Severities: `critical` means that somebody who reads the collection is misled, `warning` that somebody should look.
"""

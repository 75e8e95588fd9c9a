"""The oracle: what the streaming collections must contain, recomputed in plain Python from the data contracts alone.

Nothing here imports pyspark or any other module of the jobs, so that a mistake in the streaming application cannot
repeat itself in the figures it is compared with. Groups of events are kept as lists and described afterwards: slower
than running totals, but each figure reads like its definition.

| module | question it answers |
|---|---|
| `validate` | is this record of the topic valid, and if not, for which reasons? |
| `enrich` | which `enriched_events` should these records have become? |
| `recompute` | which `event_aggregations`, `user_session_analytics`, `conversion_funnel` follow from those events? |
| `compare` | does a collection as stored equal what was expected? |
"""

"""The chaos harness: kills parts of a running platform, lets the platform heal itself, and compares what it stored.

| module | what |
|---|---|
| `visitors` | events for a round, with everything that makes windows and visits difficult |
| `faults` | what can be killed, and how its process is found |
| `topic` | what Kafka has, and the dead letters that follow from it |
| `rounds` | one round: replay, kill, wait until healed and drained, compare |
"""

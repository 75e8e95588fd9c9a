"""Deterministic generator of realistic shops: catalogue, users, rhythm, visits, malformed rows, files.

`shop.Shop` puts the parts together; `data/generate_events.py` is the command around it.
"""

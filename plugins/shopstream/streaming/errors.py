"""What can go wrong while the streaming application is looked after."""

from __future__ import annotations


class StreamError(Exception):
    """The application did not get where it should be; the message says why, with the driver's own last words."""


class StoreError(Exception):
    """MongoDB does not answer or refuses; says so without credentials."""


class LagError(Exception):
    """Kafka does not answer."""

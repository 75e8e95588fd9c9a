"""Python's garbage collector, for processes that make millions of short-lived objects without cycles."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Let Python look for garbage less often: every look walks over what is alive, and finds next to nothing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)

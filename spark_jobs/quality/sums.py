"""Do windows and visits hold every event, once? Sums over whole collections, while these are small enough for it.

At rest, each event that did not come too late is in one window of `category_5m` and in one visit. Beyond the size up to
which `books` adds up, `self_audit` compares a sample instead.
"""

from __future__ import annotations

from collections.abc import Iterator

from spark_jobs.quality.outcome import Finding, Severity
from spark_jobs.quality.reconcile import Ledger

CHECKS = 2


def check_sums(ledger: Ledger) -> Iterator[Finding]:
    """Compare what windows and visits count with the number of events.

    Args:
        ledger: The books; nothing is said unless they were at rest.

    Yields:
        One finding per collection that counts more or fewer.
    """
    if not ledger.at_rest:
        return
    late = ledger.counters.get("late_events", 0)
    # Repeated events and lost records change what is in a window without a trace in the number of events.
    doubtful = any(ledger.counters.get(name) for name in ("late_events", "duplicates", "lost_records"))
    severity: Severity = "warning" if doubtful else "critical"
    sums = {
        "windows_hold_every_event": ("event_aggregations (category_5m)", ledger.window_events),
        "visits_hold_every_event": ("user_session_analytics", ledger.visit_events),
    }
    for key, (collection, counted) in sums.items():
        if counted is None or ledger.enriched - late <= counted <= ledger.enriched:
            continue
        yield Finding(
            key,
            severity,
            f"{collection} must count each event that was on time, once. Fewer means that documents were deleted or a "
            "write was lost, more that some count twice. streaming_lifecycle with `rebuild` writes all of them anew.",
            f"{counted:,} events counted, {ledger.enriched:,} enriched ({late:,} known to be late)",
            {"observed_value": counted - ledger.enriched},
        )

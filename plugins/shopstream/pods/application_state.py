"""What the state of a SparkApplication means for its driver. Pure: the object as the API shows it, judgements out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from shopstream.joblog import redact

Application = Mapping[str, Any]


class Phase(Enum):
    """What an application's state means for its driver."""

    WORKING = "working"
    BETWEEN = "between"  # the operator sees to the next driver
    OVER = "over"  # nobody will start another one


# States of sparkoperator.k8s.io/v1beta2; one that is not here counts as BETWEEN.
PHASES = {
    "SUBMITTED": Phase.WORKING,
    "RUNNING": Phase.WORKING,
    "UNKNOWN": Phase.WORKING,
    "COMPLETED": Phase.OVER,
    "FAILED": Phase.OVER,
    "SUSPENDING": Phase.OVER,
    "SUSPENDED": Phase.OVER,
}

# States in which an attempt has failed, whatever follows.
_FAILED = ("FAILED", "FAILING", "SUBMISSION_FAILED", "COMPLETED", "SUCCEEDING", "PENDING_RERUN")


def state_of(application: Application) -> str:
    """Return the state; empty before an operator has taken the application up."""
    return str(_status(application).get("applicationState", {}).get("state") or "")


def phase_of(application: Application) -> Phase:
    """Return what the state means."""
    return PHASES.get(state_of(application), Phase.BETWEEN)


def message_of(application: Application) -> str:
    """Return what the operator says of a failure; of a submission's stack trace only what the API server said."""
    text = str(_status(application).get("applicationState", {}).get("errorMessage") or "")
    cause = re.search(r"Message: (.+?)\. Received status", text, re.DOTALL) or re.search(r"Exception: (.+)", text)
    return redact(cause[1] if cause else text).strip()


def since(application: Application) -> datetime:
    """Return since when the operator has been seeing to the next driver."""
    if state_of(application) in ("SUBMITTED", "SUBMISSION_FAILED"):
        return moment(_status(application)["lastSubmissionAttemptTime"])
    if state_of(application) == "":
        return moment(application["metadata"]["creationTimestamp"])
    # Else its pod has gone this moment, and the operator notices and submits it within seconds.
    ended = _status(application).get("terminationTime")
    return moment(ended) if ended else datetime.now(UTC).replace(microsecond=0)


def has_failed_since(application: Application, start: datetime) -> bool:
    """Whether an attempt has failed that was made at or after `start`; one before is not the one that is waited for."""
    attempted = _status(application).get("lastSubmissionAttemptTime")
    return state_of(application) in _FAILED and attempted is not None and moment(attempted) >= start


def moment(text: str) -> datetime:
    """Read a time stamp of the API."""
    return datetime.fromisoformat(text)


def _status(application: Application) -> Mapping[str, Any]:
    status: Mapping[str, Any] = application.get("status") or {}
    return status

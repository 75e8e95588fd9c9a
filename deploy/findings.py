"""What a check has found, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OK, MISSING, LOOK = "OK", "MISSING", "LOOK"


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Attributes:
        what: What was looked at.
        status: `OK`; `MISSING`: the platform cannot work without; `LOOK`: cannot be told from here, or is a risk.
        detail: What was found.
        todo: What to do; "" where there is nothing.
    """

    what: str
    status: str
    detail: str
    todo: str = ""


def table(findings: Sequence[Finding]) -> str:
    """Return the table: a line for each finding, what to do below those that need it."""
    width = max((len(one.what) for one in findings), default=0)
    lines = []
    for one in findings:
        lines.append(f"{one.status:<8}{one.what:<{width}}  {one.detail}".rstrip())
        if one.todo and one.status != OK:
            lines.append(f"{'':<8}{'':<{width}}  -> {one.todo}")
    return "\n".join(lines)


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line: how many of each."""
    counts = [(sum(one.status == status for one in findings), status) for status in (OK, MISSING, LOOK)]
    return ", ".join(f"{count} {status}" for count, status in counts)

"""`status`: one line per component."""

from __future__ import annotations

import psutil

from embedded import checks, processes
from embedded.programs import MONGODB
from embedded.stack import Stack
from embedded.supervision import ProgramState

HEADER = ("COMPONENT", "STATE", "PID", "PORT", "UPTIME", "RSS MB", "PSS MB")
NOT_HEALTHY = 3


def status(stack: Stack) -> tuple[str, int]:
    """(table, exit code): 0 when every component is healthy, 3 otherwise. The streaming driver is shown, not judged."""
    names = [program.name for program in stack.programs]
    states = stack.supervisor.states()
    bad = checks.unhealthy(stack.settings, stack.mongodb_uri, names, states) if states else names
    rows: list[tuple[str, ...]] = [HEADER]
    totals = [0.0, 0.0]
    for program in stack.programs:
        state = states.get(program.name)
        port = ",".join(str(port) for port in program.ports) or "-"
        rows.append(_row(program.name, _word(state, program.name in bad), state.pid if state else 0, port, totals))
    members = processes.marked(stack.settings.marker)
    drivers = processes.drivers(members)
    rows.extend(_row("streaming-driver", "running", driver.pid, "-", totals) for driver in drivers)
    rows.append(("total", "", "", "", "", f"{totals[0]:.0f}", f"{totals[1]:.0f}" if totals[1] else "-"))
    text = _table(rows)
    if stack.settings.external_mongodb:
        text += f"\n{MONGODB}: a server of your own (MONGODB_URI)"
    if stack.settings.external_kafka:
        text += f"\nkafka: brokers of your own ({stack.settings.kafka_servers})"
    if not states and members:
        text += f"\n{len(members)} processes were left behind by a crash (make up or make down ends them)"
    return text, NOT_HEALTHY if bad else 0


def _word(state: ProgramState | None, bad: bool) -> str:
    if state is None:
        return "stopped"
    if state.state == "RUNNING" and bad:
        return "not answering"
    return "healthy" if not bad else state.state.lower()


def _row(name: str, word: str, pid: int, port: str, totals: list[float]) -> tuple[str, ...]:
    if not pid:
        return (name, word, "-", port, "-", "-", "-")
    try:
        process = psutil.Process(pid)
        rss, pss = processes.memory_mb(process)
        age = duration(processes.uptime(process))
    except psutil.Error:
        return (name, word, str(pid), port, "-", "-", "-")
    totals[0] += rss
    totals[1] += pss or 0
    return (name, word, str(pid), port, age, f"{rss:.0f}", "-" if pss is None else f"{pss:.0f}")


def duration(seconds: float) -> str:
    """Seconds as 42s, 3m12s, 2h05m or 3d04h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)

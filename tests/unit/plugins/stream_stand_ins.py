"""What the tests of the streaming lifecycle use in place of MongoDB and Kafka."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from shopstream.streaming.decision import Launches, Wish
from shopstream.streaming.errors import LagError
from shopstream.streaming.health import Heartbeat, Lag


class FileStore:
    """Stands in for `stream_health`: the heartbeat is a file that `driver_stand_in` writes, the rest is in memory."""

    def __init__(self, folder: Path) -> None:
        self._heartbeat = folder / "heartbeat.json"
        self._wish = Wish(running=True)
        self.checks: list[Mapping[str, Any]] = []
        self.requests: dict[str, str] = {}

    def heartbeat(self) -> Heartbeat | None:
        if not self._heartbeat.exists():
            return None
        document = json.loads(self._heartbeat.read_text())
        times = {name: datetime.fromisoformat(document[name]) for name in ("started_at", "updated_at")}
        return Heartbeat.from_document(document | times)

    def wish(self) -> Wish:
        return self._wish

    def write_wish(self, wish: Wish) -> None:
        self._wish = wish

    def launches(self) -> Launches:
        return Launches.of(reversed(self.checks))

    def ask(self, request: str, run_id: str) -> None:
        self.requests[request] = run_id

    def write_check(self, checked_at: datetime, check: Mapping[str, Any]) -> None:
        assert checked_at.tzinfo
        self.checks.append({"checked_at": checked_at, **check})


class FixedLag:
    """Stands in for Kafka: the lag is what the test says, None means that no broker answers."""

    def __init__(self, lag: Lag | None) -> None:
        self.lag = lag

    def measure(self, _positions: Mapping[int, int]) -> Lag:
        self.require_answer()
        assert self.lag
        return self.lag

    def require_answer(self) -> None:
        if self.lag is None:
            raise LagError("Kafka at 127.0.0.1:1: KafkaConnectionError")

"""The checkpoint as the application sees it: what it was made for, and how far it has come.

Spark keeps the log of offsets and the state in the folder. The application adds one file of its own, which lives and
dies with the folder: the layout of the state, so that code that does not fit it is refused instead of failing in the
middle, and a generation, which marks the documents that were made with this checkpoint.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from spark_jobs.errors import JobError

Offsets = dict[int, int]

_RECORD = "shopstream.json"
# Nothing here deletes a checkpoint: a person asks for it, and it is set aside.
WAY_ON = "trigger streaming_lifecycle with the action `rebuild`"


@dataclass(frozen=True)
class Origin:
    """What a checkpoint was made for.

    Attributes:
        generation: Name of this checkpoint, on every derived document that was written with it.
        layout: What the state depends on, by name.
        start_offsets: First offset to read, by partition.
        topic_id: Kafka's id of the topic; empty where it has none.
        rebuild_until: Offsets the topic had reached when the checkpoint was made although there were documents of an
            earlier one: from there on, what that one left behind and this one has not written is stale. None once it
            has been removed, or where there was none.
        protected_until: Event time of the newest event that Kafka no longer had then. Windows and visits that may
            hold such events are left as the earlier checkpoint wrote them.
    """

    generation: str
    layout: Mapping[str, str]
    start_offsets: Offsets
    topic_id: str = ""
    rebuild_until: Offsets | None = None
    protected_until: datetime | None = None


class Checkpoint:
    """A checkpoint folder of the streaming query.

    Args:
        folder: The folder given to Spark; need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def exists(self) -> bool:
        """Whether a query has written anything here."""
        return (self.folder / "offsets").is_dir()

    def origin(self) -> Origin | None:
        """Return what the checkpoint was made for, or None where there is no checkpoint yet.

        Raises:
            JobError: It was written by something else, or is damaged.
        """
        try:
            record = json.loads((self.folder / _RECORD).read_text())
        except FileNotFoundError:
            if self.exists:
                raise JobError(
                    f"the checkpoint {self.folder} does not say what state it holds: another or an older application "
                    f"wrote it (the way on: {WAY_ON})"
                ) from None
            return None
        except ValueError:
            raise JobError(f"{self.folder / _RECORD} is damaged (the way on: {WAY_ON})") from None
        until, protected = record["rebuild_until"], record["protected_until"]
        return Origin(
            generation=record["generation"],
            layout=record["layout"],
            start_offsets=by_number(record["start_offsets"]),
            topic_id=record.get("topic_id", ""),
            rebuild_until=by_number(until) if until else None,
            protected_until=datetime.fromisoformat(protected) if protected else None,
        )

    def create(
        self,
        layout: Mapping[str, str],
        start_offsets: Offsets,
        topic_id: str,
        rebuild_until: Offsets | None,
        protected_until: datetime | None,
    ) -> Origin:
        """Describe a checkpoint that is about to be written; see `Origin` for the arguments."""
        generation = uuid.uuid4().hex[:12]
        return self._write(Origin(generation, layout, start_offsets, topic_id, rebuild_until, protected_until))

    def set_aside(self) -> Path:
        """Move the checkpoint out of the way; the next query reads the whole topic. Returns where it is now."""
        aside = self.folder.with_name(f"{self.folder.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}")
        self.folder.rename(aside)
        return aside

    def rebuilt(self, origin: Origin) -> Origin:
        """Remember that nothing stale is left."""
        return self._write(replace(origin, rebuild_until=None))

    def _write(self, origin: Origin) -> Origin:
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f".{_RECORD}.partial"
        partial.write_text(json.dumps(asdict(origin), default=datetime.isoformat) + "\n")
        partial.replace(self.folder / _RECORD)
        return origin

    def committed(self) -> int | None:
        """Return the number of the last committed micro-batch; None before the first."""
        return max((int(path.name) for path in (self.folder / "commits").glob("[0-9]*")), default=None)

    def position(self) -> Offsets:
        """Return the offsets after the last committed micro-batch, by partition; empty before the first."""
        committed = self.committed()
        if committed is None:
            return {}
        topics = json.loads(self._offsets(committed)[2])
        return by_number(next(iter(topics.values())))

    def late_until(self, batch_id: int) -> datetime | None:
        """Return the watermark that decides which events of a micro-batch are late; None in the first batches.

        Spark lets a chain of stateful operators see late what the watermark of the *previous* micro-batch has passed,
        so that rows on their way between operators are not lost.
        """
        if batch_id == 0:
            return None
        milliseconds = json.loads(self._offsets(batch_id - 1)[1])["batchWatermarkMs"]
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None

    def _offsets(self, batch_id: int) -> list[str]:
        """Return the lines of a micro-batch in Spark's log: version, watermark and settings, offsets of the source."""
        return (self.folder / "offsets" / str(batch_id)).read_text().splitlines()


def require_same_layout(origin: Origin, wanted: Mapping[str, str]) -> None:
    """Refuse a checkpoint whose state does not fit the code or configuration.

    Raises:
        JobError: Names what differs.
    """
    changed = [name for name in sorted({*origin.layout, *wanted}) if origin.layout.get(name) != wanted.get(name)]
    if not changed:
        return
    first = changed[0]
    raise JobError(
        f"the checkpoint holds state that this version or configuration cannot read: {', '.join(changed)} changed "
        f"({first} was {_short(origin.layout.get(first))}, is {_short(wanted.get(first))}). Go back to what it was, or "
        f"{WAY_ON}"
    )


def _short(text: str | None) -> str:
    return "absent" if text is None else text if len(text) <= 40 else f"{text[:40]}..."


def by_number(offsets: Mapping[str, int]) -> Offsets:
    """Return offsets by number of the partition; JSON and MongoDB keep it as text."""
    return {int(partition): offset for partition, offset in offsets.items()}

"""Does a collection as stored equal the documents expected of it?"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from spark_jobs.audit.events import to_milliseconds

RELATIVE_TOLERANCE = 1e-9  # sums of doubles depend on their order, which a stream does not fix
ABSOLUTE_TOLERANCE = 1e-6
SAMPLE = 20
LISTED = 10
ABSENT = "<absent>"


@dataclass(frozen=True)
class FieldDifference:
    """One field of one document that is not as expected; `actual` is `<absent>` where the document lacks the field."""

    document_id: Any
    field: str
    actual: Any
    expected: Any

    def __str__(self) -> str:
        return f"{self.document_id}: {self.field} is {self.actual!r}, expected {self.expected!r}"


@dataclass
class Differences:
    """The outcome of a comparison; false where everything is as expected.

    `missing` and `unexpected` are complete lists of `_id`s; `different` holds the first `SAMPLE` differing fields,
    while `different_documents` and `fields` (differing documents by field) count all of them.
    """

    expected: int
    missing: list[Any] = field(default_factory=list)
    unexpected: list[Any] = field(default_factory=list)
    different: list[FieldDifference] = field(default_factory=list)
    different_documents: int = 0
    fields: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.different)

    def summary(self) -> str:
        """One line of figures, then, if anything differs, the first few cases of each kind."""
        if not self:
            return f"all {self.expected} documents as expected"
        lines = [
            f"{self.expected} documents expected: {len(self.missing)} missing, {len(self.unexpected)} unexpected, "
            f"{self.different_documents} different"
        ]
        for title, document_ids in (("missing", self.missing), ("unexpected", self.unexpected)):
            lines += [f"  {title}: {document_id}" for document_id in document_ids[:LISTED]]
            if len(document_ids) > LISTED:
                lines.append(f"  {title}: ... and {len(document_ids) - LISTED} more")
        if self.fields:
            lines.append("  different by field: " + ", ".join(f"{name} {n}" for name, n in self.fields.most_common()))
        lines += [f"  {difference}" for difference in self.different[:LISTED]]
        return "\n".join(lines)


def compare(
    actual: Iterable[Mapping[str, Any]],
    expected: Mapping[str, Mapping[str, Any]],
    *,
    sketched: Collection[str] = (),
    tolerance: float = 0.05,
) -> Differences:
    """Compare a stored collection with the documents expected of it.

    Args:
        actual: the documents as pymongo returns them, each `_id` once.
        expected: documents by `_id`. Only their fields are compared: the stored ones may have more.
        sketched: fields that the stream estimates, accepted within `tolerance`.
        tolerance: relative error allowed in a sketched field (0.05 = 5 %).

    Returns:
        The differences. Floats are equal within 1e-9 relative or 1e-6 absolute, dates in the same millisecond (without
        zone: UTC), everything else exactly; a field that is absent is not null, and true is not 1.
    """
    result = Differences(expected=len(expected))
    found = set()
    for document in actual:
        document_id = document["_id"]
        wanted = expected.get(document_id)
        if wanted is None:
            result.unexpected.append(document_id)
            continue
        found.add(document_id)
        differing = [
            FieldDifference(document_id, name, document.get(name, ABSENT), value)
            for name, value in wanted.items()
            if not _equal(document.get(name, ABSENT), value, tolerance if name in sketched else None)
        ]
        result.different_documents += bool(differing)
        result.fields.update(difference.field for difference in differing)
        result.different.extend(differing[: SAMPLE - len(result.different)])
    result.missing.extend(document_id for document_id in expected if document_id not in found)
    return result


def _equal(actual: Any, expected: Any, sketch_tolerance: float | None) -> bool:
    """Whether one stored value is as expected; see `compare` for what that means for each type."""
    if isinstance(expected, datetime):
        return isinstance(actual, datetime) and to_milliseconds(actual) == to_milliseconds(expected)
    if _is_number(expected):
        if not _is_number(actual):
            return False
        if sketch_tolerance is not None:
            return bool(abs(actual - expected) <= sketch_tolerance * abs(expected))
        if isinstance(expected, float):
            return math.isclose(actual, expected, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE)
        return bool(actual == expected)
    return type(actual) is type(expected) and bool(actual == expected)


def _is_number(value: Any) -> bool:
    """Whether it is a number to MongoDB; to Python a bool is one, too."""
    return isinstance(value, int | float) and not isinstance(value, bool)

"""How well two ways of sorting the same people agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from math import comb


def adjusted_rand_index(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Compare two partitions: 1 for the same, 0 for what chance would give, below 0 for less.

    Hubert and Arabie, "Comparing partitions" (1985). Two partitions that put everybody together, or everybody apart,
    are the same.

    Args:
        first: Group of each person in one partition.
        second: Group of the same persons in the other one, in the same order.

    Raises:
        ValueError: There are not as many.
    """
    pairs = comb(len(first), 2)
    both = _pairs(list(zip(first, second, strict=True)))
    in_first, in_second = _pairs(first), _pairs(second)
    by_chance = in_first * in_second / pairs if pairs else 0.0
    most = (in_first + in_second) / 2
    return (both - by_chance) / (most - by_chance) if most != by_chance else 1.0


def _pairs(groups: Sequence[Hashable]) -> int:
    """Count the pairs of people in the same group."""
    return sum(comb(size, 2) for size in Counter(groups).values())

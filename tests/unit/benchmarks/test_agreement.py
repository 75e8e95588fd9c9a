import random

import pytest

from benchmarks.agreement import adjusted_rand_index


def test_equal_partitions_agree_whatever_their_names() -> None:
    assert adjusted_rand_index("aabbc", [3, 3, 1, 1, 2]) == 1.0
    assert adjusted_rand_index("aaa", "bbb") == adjusted_rand_index("abc", "xyz") == 1.0


def test_known_values() -> None:
    # Of 15 pairs 2 are together in both, 6 in the first, 3 in the second; by chance 6 * 3 / 15.
    assert adjusted_rand_index([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2]) == pytest.approx(0.8 / 3.3)
    assert adjusted_rand_index([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(-0.5)


def test_chance_is_zero() -> None:
    dice = random.Random(1)
    first, second = ([dice.randrange(5) for _ in range(4_000)] for _ in range(2))
    assert adjusted_rand_index(first, second) == pytest.approx(0.0, abs=0.005)
    assert adjusted_rand_index(first, [0] * 4_000) == 0.0


def test_partitions_must_be_of_the_same_people() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        adjusted_rand_index("ab", "abc")

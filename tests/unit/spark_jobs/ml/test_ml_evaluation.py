import numpy as np
import pytest

from spark_jobs.ml.evaluation import (
    auc,
    average_precision,
    brier,
    calibration_table,
    isotonic,
    pooled,
    quality,
    risk_thresholds,
)


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ((0, 0, 1, 1), (0.1, 0.2, 0.3, 0.4), 1.0),
        ((1, 1, 0, 0), (0.1, 0.2, 0.3, 0.4), 0.0),
        ((0, 1, 0, 1), (0.5, 0.5, 0.5, 0.5), 0.5),
        # Pairs (1, 0): 0.35 > 0.1, 0.35 < 0.4, 0.8 > both: 3 of 4.
        ((0, 0, 1, 1), (0.1, 0.4, 0.35, 0.8), 0.75),
        # A tie counts half: (0.5 + 1) / 2.
        ((0, 1, 1), (0.3, 0.3, 0.9), 0.75),
    ],
)
def test_auc_by_pairs(labels: tuple[int, ...], scores: tuple[float, ...], expected: float) -> None:
    assert auc(array(*labels), array(*scores)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ((0, 0, 1, 1), (0.1, 0.2, 0.3, 0.4), 1.0),
        # Ones at ranks 1 and 3: (1/1 + 2/3) / 2.
        ((0, 0, 1, 1), (0.1, 0.4, 0.35, 0.8), 5 / 6),
        # All tied: the precision of taking everybody.
        ((0, 1, 0, 1), (0.5, 0.5, 0.5, 0.5), 0.5),
    ],
)
def test_average_precision_by_ranks(labels: tuple[int, ...], scores: tuple[float, ...], expected: float) -> None:
    assert average_precision(array(*labels), array(*scores)) == pytest.approx(expected)


def test_brier() -> None:
    assert brier(array(1, 0), array(0.8, 0.4)) == pytest.approx((0.04 + 0.16) / 2)


def test_quality_ranks_by_score_and_measures_probabilities() -> None:
    figures = quality(array(0, 1), array(1.0, 9.0), array(0.5, 0.5))
    assert figures == {"auc": 1.0, "pr_auc": 1.0, "brier": 0.25}


def test_pooling_merges_neighbours_in_the_wrong_order() -> None:
    assert pooled(array(1, 3, 2, 4), array(1, 1, 1, 1)).tolist() == [1, 2.5, 2.5, 4]
    assert pooled(array(4, 1), array(1, 3)).tolist() == [1.75, 1.75]
    assert pooled(array(3, 2, 1), array(1, 1, 1)).tolist() == [2, 2, 2]


def test_isotonic_groups_equal_scores() -> None:
    scores, rates = isotonic(array(0, 1, 0, 1, 1), array(5, 5, 7, 9, 9))
    # 5: 1/2, 7: 0, 9: 1; the first two are in the wrong order: 1/3 for both.
    assert scores.tolist() == [5, 7, 9]
    assert rates.tolist() == pytest.approx([1 / 3, 1 / 3, 1])


def test_calibration_groups_are_of_equal_size_and_cover_all() -> None:
    probabilities = np.linspace(0, 0.99, 100)
    table = calibration_table((probabilities > 0.495).astype(float), probabilities)
    assert [row["users"] for row in table] == [10] * 10
    assert [row["observed"] for row in table] == [0.0] * 5 + [1.0] * 5
    assert table[3]["from_probability"] == pytest.approx(0.30)
    assert table[3]["predicted"] == pytest.approx(0.345)


def test_a_common_probability_does_not_swallow_the_users_above_it() -> None:
    table = calibration_table(array(*[0] * 67, *[1] * 8), array(*[0.02] * 67, *[0.95] * 8))
    assert [(row["users"], row["observed"]) for row in table] == [(67, 0.0), (8, 1.0)]


def test_calibration_of_few_or_equal_probabilities() -> None:
    assert [row["users"] for row in calibration_table(array(0, 1, 1), array(0.2, 0.3, 0.4))] == [3]
    assert [row["users"] for row in calibration_table(np.zeros(50), np.full(50, 0.5))] == [50]


def bins(*observed: float) -> list[dict[str, float]]:
    return [
        {"from_probability": number / 10, "users": 10, "predicted": 0.0, "observed": rate}
        for number, rate in enumerate(observed)
    ]


def test_risk_levels_begin_where_the_odds_double_or_halve() -> None:
    # Mean rate 0.5, odds 1: Low up to 1/3, High from 2/3.
    thresholds = risk_thresholds(bins(0.1, 0.3, 0.4, 0.6, 0.7, 0.9))
    assert (thresholds.medium, thresholds.high) == (0.2, 0.4)


def test_noise_in_the_table_does_not_split_a_level() -> None:
    # 0.8 and 0.2 in the wrong order are pooled to 0.5: Medium.
    thresholds = risk_thresholds(bins(0.0, 0.8, 0.2, 1.0))
    assert (thresholds.medium, thresholds.high) == (0.1, 0.3)


def test_a_model_that_tells_nobody_apart_has_only_medium() -> None:
    table = bins(0.4, 0.4, 0.4)
    # A user may score lower than every held-out one: that alone says nothing about him.
    table[0]["from_probability"] = 0.05
    thresholds = risk_thresholds(table)
    assert (thresholds.medium, thresholds.high) == (0.0, None)

"""How good probabilities are, measured on users the model has not seen. Plain arrays: one number per user.

In all functions `labels` are 0 or 1 and `scores` grow with the probability of 1; both have the same length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_MOST_GROUPS = 10
_SMALLEST_GROUP = 5

# A risk level is far from the average user if the odds of churning are twice, or half, those of all held-out users.
ODDS_FACTOR = 2.0


def auc(labels: Array, scores: Array) -> float:
    """Area under the ROC curve: how often a random 1 scores higher than a random 0; ties count half.

    By the rank sum (Mann-Whitney). Needs both labels.
    """
    _, tied, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[tied]
    positives = labels.sum()
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(labels) - positives)))


def average_precision(labels: Array, scores: Array) -> float:
    """Area under the precision-recall curve as a step function: the mean precision at each 1, equal scores at once."""
    distinct, tied = np.unique(-scores, return_inverse=True)
    hits = np.bincount(tied, weights=labels, minlength=len(distinct))
    found = np.cumsum(hits)
    taken = np.cumsum(np.bincount(tied, minlength=len(distinct)))
    return float((hits * found / taken).sum() / labels.sum())


def brier(labels: Array, probabilities: Array) -> float:
    """Mean squared difference between probability and outcome: 0 is perfect."""
    return float(np.mean((probabilities - labels) ** 2))


def isotonic(labels: Array, scores: Array) -> tuple[Array, Array]:
    """Fit the non-decreasing step function from score to frequency of 1 (least squares, pool adjacent violators).

    Returns:
        Different scores in ascending order, and the frequency at each.
    """
    distinct, tied = np.unique(scores, return_inverse=True)
    sums = np.bincount(tied, weights=labels)
    counts = np.bincount(tied)
    return distinct, pooled(sums / counts, counts.astype(float))


def pooled(values: Array, weights: Array) -> Array:
    """Make `values` non-decreasing: neighbours in the wrong order get their common weighted mean."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            total = before[1] + block[1]
            block = ((before[0] * before[1] + block[0] * block[1]) / total, total, before[2] + block[2])
        blocks.append(block)
    return np.repeat([mean for mean, _, _ in blocks], [count for _, _, count in blocks])


def calibration_table(labels: Array, probabilities: Array) -> list[dict[str, Any]]:
    """Compare predicted with observed frequency in up to ten groups of about equal size.

    Returns:
        By rising probability: `from_probability` (lowest in the group), `users`, `predicted` (mean), `observed` (share
        of 1). Equal probabilities share a group, which can make it larger. No group has fewer than 5 users, unless
        there are fewer in all.
    """
    distinct, tied = np.unique(probabilities, return_inverse=True)
    counts = np.bincount(tied)
    wanted = max(_SMALLEST_GROUP, len(labels) / _MOST_GROUPS)
    groups, users = [0], 0
    for value, count in enumerate(counts.tolist()):
        if users >= wanted and counts[value:].sum() >= _SMALLEST_GROUP:
            groups.append(value)
            users = 0
        users += count
    group_of = np.searchsorted(groups, tied, side="right") - 1
    return [
        {
            "from_probability": float(distinct[first]),
            "users": int((group_of == group).sum()),
            "predicted": float(probabilities[group_of == group].mean()),
            "observed": float(labels[group_of == group].mean()),
        }
        for group, first in enumerate(groups)
    ]


@dataclass(frozen=True)
class RiskThresholds:
    """Where risk levels begin: Low below `medium`, Medium from there, High from `high`; None: no user is High."""

    medium: float
    high: float | None


def risk_thresholds(table: list[dict[str, Any]]) -> RiskThresholds:
    """Derive the risk levels from a calibration table.

    High are the groups whose users really churned with at least twice the odds of all, Low those with at most half the
    odds. Observed frequencies are made non-decreasing first. A model that tells nobody apart has only Medium.

    Args:
        table: As from `calibration_table`.
    """
    users = np.array([row["users"] for row in table], dtype=float)
    observed = pooled(np.array([row["observed"] for row in table]), users)
    average = float((observed * users).sum() / users.sum())
    # Odds o >= 2 * O, without dividing by zero where everybody churned: o = p / (1 - p).
    high = observed * (1 - average) >= ODDS_FACTOR * average * (1 - observed)
    low = observed * (1 - average) * ODDS_FACTOR <= average * (1 - observed)
    # Scores below those of the table are like its first group's: nothing says that they are lower.
    starts = [0.0, *(row["from_probability"] for row in table[1:])]
    return RiskThresholds(
        medium=next((start for start, is_low in zip(starts, low, strict=True) if not is_low), 1.0),
        high=next((start for start, is_high in zip(starts, high, strict=True) if is_high), None),
    )


def quality(labels: Array, scores: Array, probabilities: Array) -> dict[str, float]:
    """Sum up a predictor: `auc` and `pr_auc` of its scores, `brier` of its probabilities."""
    return {
        "auc": auc(labels, scores),
        "pr_auc": average_precision(labels, scores),
        "brier": brier(labels, probabilities),
    }

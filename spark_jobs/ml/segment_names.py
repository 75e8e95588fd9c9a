"""Names of segments: rules over each cluster's own profile, never over its number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Profile = dict[str, float]

# Each profile says, in standard deviations, how far a cluster is from the mean of all users: `recency` (days since the
# last visit: high is bad), `tenure` (days since the first), `frequency` (sessions), `monetary` (spend).
# The first rule that holds names the cluster; the last one always does.
RULES: tuple[tuple[str, Callable[[Profile], bool]], ...] = (
    ("New", lambda p: p["tenure"] <= -0.7 and p["recency"] < 0.5),
    ("Champions", lambda p: p["recency"] <= 0 and p["frequency"] >= 0.7 and p["monetary"] >= 0.7),
    ("Loyal", lambda p: p["recency"] <= 0 and p["frequency"] >= 0 and p["monetary"] >= 0.3),
    ("Potential Loyalists", lambda p: p["recency"] <= 0 and p["monetary"] >= 0.3),
    ("At Risk", lambda p: p["recency"] > 0 and p["monetary"] >= 0),
    ("Hibernating", lambda p: p["recency"] >= 0.7),
    ("Window Shoppers", lambda p: p["frequency"] >= 0 and p["monetary"] < 0),
    ("Casual", lambda _: True),
)

_WORDS = {
    "monetary": ("lower spend", "higher spend"),
    "frequency": ("fewer visits", "more visits"),
    "recency": ("seen lately", "away longer"),
    "tenure": ("newer", "longer known"),
}


def name_segments(profiles: Sequence[Profile]) -> list[str]:
    """Name each cluster.

    Where one rule names several clusters, the most valuable of them keeps the plain name. The others say by what they
    differ most: "Loyal (lower spend)".

    Args:
        profiles: One per cluster, see `RULES`.

    Returns:
        Different names, in the order of the profiles.
    """
    order = sorted(range(len(profiles)), key=lambda cluster: (-_worth(profiles[cluster]), cluster))
    holders: dict[str, Profile] = {}
    names: dict[int, str] = {}
    for cluster in order:
        names[cluster] = _free_name(profiles[cluster], holders)
        holders[names[cluster]] = profiles[cluster]
    return [names[cluster] for cluster in range(len(profiles))]


def _worth(profile: Profile) -> float:
    return profile["monetary"] + profile["frequency"] - profile["recency"]


def _free_name(profile: Profile, holders: dict[str, Profile]) -> str:
    base = name = next(name for name, holds in RULES if holds(profile))
    differences: list[str] = []
    metrics = list(_WORDS)
    while name in holders and metrics:
        holder = holders[name]
        metric = max(metrics, key=lambda metric: abs(profile[metric] - holder[metric]))
        metrics.remove(metric)
        differences.append(_WORDS[metric][profile[metric] > holder[metric]])
        name = f"{base} ({', '.join(differences)})"
    number = 2
    while name in holders:
        name, number = f"{base} {number}", number + 1
    return name

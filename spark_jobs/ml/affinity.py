"""Which products go together: counts of shared sessions and buyers, as sparse matrices of whole numbers.

Sums over whole numbers are exact. They do not depend on the order of the rows, and neither do ranks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array  # type: ignore[import-untyped]

from spark_jobs.ml.touches import Integers, Touches, ranked

# So many others that go with a product best are kept.
NEIGHBOURS = 20

# How many sessions with a product it takes until they count as much as what sessions in general contain. Sessions are
# short and products many, so most pairs met once, by chance. On generated shops of 1,500 to 25,000 users, hit rates are
# the same from 20 to 100, and lower than those of popular products below 5.
PRIOR_SESSIONS = 20

# What is summed is a whole number of these parts: ten decimal places.
PARTS = 1e10

# So many numbers of a product of two matrices are made at a time: some 100 MB.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Ranking:
    """The best entries of some rows of a matrix, in the order of row and rank, as arrays of equal length.

    Attributes:
        rows: Row of each entry.
        columns: Its column.
        scores: Its score.
        ranks: From 1.
    """

    rows: Integers
    columns: Integers
    scores: Integers
    ranks: Integers

    @classmethod
    def of(cls, rows: Integers, columns: Integers, scores: NDArray[Any], count: int) -> Ranking:
        """Rank the entries of each row by falling score, then by rising column, and keep the first `count`."""
        order, ranks = ranked(rows, -scores, columns)
        kept = order[ranks <= count]
        return cls(rows[kept], columns[kept], scores[kept], ranks[ranks <= count])

    def first(self, count: int) -> Ranking:
        """Keep the first `count` of each row."""
        kept = self.ranks <= count
        return Ranking(self.rows[kept], self.columns[kept], self.scores[kept], self.ranks[kept])

    @classmethod
    def joined(cls, parts: list[Ranking]) -> Ranking:
        """Put rankings of different rows one after the other."""
        nothing = np.empty(0, np.int64)
        names = ("rows", "columns", "scores", "ranks")
        return cls(*(np.concatenate([nothing, *(getattr(part, name) for part in parts)]) for name in names))


@dataclass(frozen=True)
class Affinities:
    """What is known of products. They are named by their positions in `Touches.product_ids`.

    Attributes:
        similar: The up to `NEIGHBOURS` products that go best with each product, scores in `PARTS`.
        strengths: The scores of these without what their popularity adds, in `PARTS`: product by neighbour.
        share: Share of all sessions that have a product.
        pull: How little is known of a product, in `PARTS`.
    """

    similar: Ranking
    strengths: csr_array
    share: NDArray[np.float64]
    pull: Integers


class _Units:
    """What products can share: sessions, or buyers.

    Attributes:
        count: Highest number of a unit, plus one: how many there are, if they are numbered without gaps.
        times: For each product, how many units have it.

    Args:
        units: Number of the unit of each entry.
        products: Its product.
        width: Number of products.
    """

    def __init__(self, units: Integers, products: Integers, width: int) -> None:
        self._by_unit = incidence(units, products, width)
        self._by_product = self._by_unit.T.tocsr()
        self.count = int(self._by_unit.shape[0])
        self.times: Integers = np.diff(self._by_product.indptr).astype(np.int64)

    def pairs(self) -> Integers:
        """Return for each product how many pairs it is in, counted once per unit."""
        sizes = np.diff(self._by_unit.indptr).astype(np.int64)
        found: Integers = self._by_product @ sizes
        return found

    def strengths(self, rows: slice) -> csr_array:
        """Return how strongly some products are tied to all others, in `PARTS`, by how many units they share."""
        met = (self._by_product[rows] @ self._by_unit).tocoo()
        other = met.col != met.row + rows.start
        lines = met.row[other]
        strength = _parts(met.data[other] / (self.times[rows][lines] + PRIOR_SESSIONS))
        return csr_array((strength, (lines, met.col[other])), met.shape)


def affinities(touched: Touches) -> Affinities:
    """Find the products that go with each product.

    The score of a pair is how likely a session with the product has the other one too: sessions with both over those
    with it, drawn towards the share of the other one in all sessions, as `PRIOR_SESSIONS` more of these would. Users
    who bought both count on top, over those who bought it.

    Args:
        touched: Within their limits, so that no session is a row of thousands.
    """
    width = len(touched.product_ids)
    sessions = _Units(touched.sessions, touched.products, width)
    buyers = _Units(touched.users[touched.bought], touched.products[touched.bought], width)
    share = sessions.times / max(sessions.count, 1)
    pull = _parts(PRIOR_SESSIONS / (sessions.times + PRIOR_SESSIONS))
    similar, strengths = [], []
    for rows in blocks(sessions.pairs() + buyers.pairs()):
        tied = (sessions.strengths(rows) + buyers.strengths(rows)).tocoo()
        lines = tied.row + np.int64(rows.start)
        best = Ranking.of(lines, tied.col.astype(np.int64), tied.data + drawn(pull[lines], share[tied.col]), NEIGHBOURS)
        similar.append(best)
        strengths.append(best.scores - drawn(pull[best.rows], share[best.columns]))
    ranking = Ranking.joined(similar)
    values = np.concatenate([np.empty(0, np.int64), *strengths])
    return Affinities(ranking, csr_array((values, (ranking.rows, ranking.columns)), (width, width)), share, pull)


def incidence(rows: Integers, columns: Integers, width: int) -> csr_array:
    """Return the matrix that is 1 at these places, however often they are named, and 0 elsewhere."""
    height = int(rows.max()) + 1 if len(rows) else 0
    # Places that are named more than once are added up on the way.
    matrix = csr_array((np.ones(len(rows), np.int64), (rows, columns)), (height, width))
    matrix.data[:] = 1
    return matrix


def drawn(pull: Integers, share: NDArray[np.float64]) -> Integers:
    """Return what the popularity of a product adds to its score, in `PARTS`."""
    rounded: Integers = np.floor(pull * share + 0.5).astype(np.int64)
    return rounded


def blocks(sizes: Integers) -> Iterator[slice]:
    """Cut the rows of a matrix into slices of about `_BLOCK` numbers.

    Args:
        sizes: How many numbers each row has at most.
    """
    firsts = np.flatnonzero(np.diff(np.cumsum(sizes) // _BLOCK, prepend=-1))
    for first, last in zip(firsts, [*firsts[1:], len(sizes)], strict=True):
        yield slice(int(first), int(last))


def _parts(numbers: NDArray[Any]) -> Integers:
    """Round to whole numbers of `PARTS`."""
    rounded: Integers = np.floor(numbers * PARTS + 0.5).astype(np.int64)
    return rounded

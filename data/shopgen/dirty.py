"""Malformed rows: one defect each, from every class that the event contract refuses.

Each row stays one line without quotes, so that it can spoil no row but itself.
"""

import numpy as np

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
COLUMNS = tuple(HEADER.split(","))
TOO_LONG = "x" * 129

# Values that are wrong in a column; none may be repaired by trimming or by a cast to the column's type.
BAD_VALUES: dict[str, tuple[str, ...]] = {
    "event_type": ("click", "wishlist", "unknown", ""),
    "product_id": ("0", "-1004856", "10x48", "12.5", "9223372036854775808", ""),
    "user_id": ("0", "-541312140", "guest", "5.5", "9223372036854775808", ""),
    "price": ("-12.50", "-0.01", "free", "NaN", "Infinity", "12.5.0", ""),
    "user_session": ("", TOO_LONG, TOO_LONG * 4),
    "event_time": ("", "yesterday", "2019-13-45 00:00:00 UTC", "2019-10-01 25:61:00 UTC", "2999-01-01 00:00:00 UTC"),
}
GARBAGE = (
    "### connection reset by peer ###",
    "{broken: json",
    "<html><body>502 Bad Gateway</body></html>",
    "ошибка сервера: 502",
    "\\x00\\xff\\xfe not text",
    ";;;;;;;;",
    "1e9999",
)
MISSING_COLUMNS, GARBAGE_TEXT = "missing columns", "garbage"
DEFECTS = (*BAD_VALUES, MISSING_COLUMNS, GARBAGE_TEXT)


def pick_rows(rng: np.random.Generator, rows: int, count: int) -> np.ndarray:
    """Choose which `count` of `rows` rows get malformed; sorted indexes."""
    return np.sort(rng.choice(rows, count, replace=False))


def spoil(line: str, defect: str, choice: int) -> str:
    """Return a valid line (without line end) with one defect.

    Args:
        line: a CSV line of the nine columns.
        defect: one of `DEFECTS`.
        choice: any non-negative number; selects among the variants of the defect.
    """
    if defect == GARBAGE_TEXT:
        return GARBAGE[choice % len(GARBAGE)]
    fields = line.split(",")
    if defect == MISSING_COLUMNS:
        # Whatever is cut off includes the session, without which no event is valid.
        return ",".join(fields[: 2 + choice % (len(COLUMNS) - 2)])
    values = BAD_VALUES[defect]
    fields[COLUMNS.index(defect)] = values[choice % len(values)]
    return ",".join(fields)


def spoil_lines(rng: np.random.Generator, lines: list[str], positions: np.ndarray) -> None:
    """Spoil the lines at `positions` in place, with every class of defect equally often."""
    defects = rng.integers(0, len(DEFECTS), len(positions)).tolist()
    choices = rng.integers(0, 10_000, len(positions)).tolist()
    for position, defect, choice in zip(positions.tolist(), defects, choices, strict=True):
        lines[position] = spoil(lines[position], DEFECTS[defect], choice)

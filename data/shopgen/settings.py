"""What a generated shop is made from: the arguments of one run, checked once."""

from dataclasses import dataclass
from datetime import date, timedelta

SECONDS_PER_DAY = 86_400
FIRST_START = date(1970, 1, 1)
MAX_USERS = 50_000_000
MAX_DAYS = 3_660


@dataclass(frozen=True)
class Settings:
    """Arguments of one generated file; the same settings always make the same bytes.

    Attributes:
        users: size of the population (users who can appear), at least 1.
        days: length of the period in days (UTC), at least 1.
        events: exact number of data rows, malformed ones included, at least 1.
        seed: seed of every random choice, not negative.
        start: first day of the period, from 00:00:00 UTC.
        dirty: share of malformed rows, 0 to 1; the file holds `floor(dirty * events + 0.5)` of them.

    Raises:
        ValueError: one line naming the bad value and the allowed range.
    """

    users: int = 2_000
    days: int = 30
    events: int = 200_000
    seed: int = 42
    start: date = date(2019, 10, 1)
    dirty: float = 0.0

    def __post_init__(self) -> None:
        for name, high in (("users", MAX_USERS), ("days", MAX_DAYS), ("events", 10**12)):
            if not 1 <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)} (give a whole number from 1 to {high})")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed} (give a whole number from 0 to {2**63 - 1})")
        if not 0 <= self.dirty <= 1:  # also refuses NaN
            raise ValueError(f"dirty is {self.dirty} (give a share from 0 to 1, such as 0.01)")
        if not FIRST_START <= self.start <= date.max - timedelta(days=self.days):
            raise ValueError(
                f"start is {self.start} (give a day from {FIRST_START}; the period must end before year 10000)"
            )

    def dirty_rows(self, rows: int) -> int:
        """Number of malformed rows among the first `rows` rows."""
        return int(self.dirty * rows + 0.5)

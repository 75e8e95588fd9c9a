"""Events for chaos: a small busy crowd whose visits go on, pause and split across the rounds of a block.

All of a round's events lie within twenty minutes of event time, so that none of them is late whatever is killed while
they are sent: between two records that a fault can swap lies less than the ten minutes an event may be late.
"""

from __future__ import annotations

import csv
import gzip
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from spark_jobs.events.source import COLUMNS

ROUNDS_PER_BLOCK = 5
SPAN = timedelta(minutes=20)
# Between the rounds of a block lies a pause that ends some visits and not others.
STEP = timedelta(minutes=35)
_FIRST = datetime(2019, 10, 1, tzinfo=UTC)
_JITTER_SECONDS = 120
_USERS = 400
_PRODUCTS = 200
_BRANDS = ("acme", "bolt", "", "zenith", "kite")
_CATEGORIES = ("electronics.phone", "apparel.shoes", "", "appliances.kitchen.kettle")
_MALFORMED = (("price", "-3"), ("event_type", "wave"), ("user_id", "nobody"), ("event_time", "yesterday"))


def block_start(number: int) -> datetime:
    """Return when the block of a round begins; blocks are days apart and share nothing."""
    return _FIRST + timedelta(days=number // ROUNDS_PER_BLOCK)


def write_events(path: Path, number: int, events: int, seed: int) -> None:
    """Write the events file of a round.

    Args:
        path: A `.csv.gz`.
        number: The round; it decides when its events happen.
        events: How many rows; one in a hundred is malformed.
        seed: With `number` it decides everything else.
    """
    dice = random.Random(f"{seed}/{number}")
    start = block_start(number) + STEP * (number % ROUNDS_PER_BLOCK)
    with gzip.open(path, "wt", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in range(events):
            steady = start + SPAN * row / events
            moment = steady + timedelta(seconds=dice.uniform(-_JITTER_SECONDS, _JITTER_SECONDS))
            writer.writerow(_row(dice, max(moment, start), number // ROUNDS_PER_BLOCK).values())


def _row(dice: random.Random, moment: datetime, block: int) -> dict[str, str]:
    user, product = dice.randrange(1, _USERS), dice.randrange(1, _PRODUCTS)
    # Some users share a session, and now and then a session's events come to the same second.
    session = f"{block}-{user // 2 if user % 10 == 0 else user}"
    row = {
        "event_time": f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        "event_type": dice.choices(("view", "cart", "remove_from_cart", "purchase"), (80, 12, 3, 5))[0],
        "product_id": str(product),
        "category_id": str(1000 + product % 7),
        "category_code": _CATEGORIES[product % len(_CATEGORIES)],
        "brand": _BRANDS[product % len(_BRANDS)],
        "price": f"{(product * 37 % 90_000) / 100:.2f}",
        "user_id": str(user),
        "user_session": session,
    }
    if dice.random() < 0.01:
        row |= [dice.choice(_MALFORMED)]
    return row

"""Makes Kafka records of every kind of wrong from right ones, the same ones for the same seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

from mutation_vocabulary import HEADS, MEMBERS, NUMBERS, TAILS, TIMES, TYPES, VALUES, WHOLE

NAMES = (
    "event_id",
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)

Values = dict[str, str]


def valid(dice: random.Random, number: int) -> Values:
    """Make the values of a valid event as JSON texts, by name; `number` makes its id unique."""
    values: dict[str, object] = {
        "event_id": f"event-{number}",
        "event_time": f"2019-10-01 {dice.randrange(24):02}:{dice.randrange(60):02}:{dice.randrange(60):02} UTC",
        "event_type": dice.choice(TYPES[:4]),
        "product_id": dice.randrange(1, 6),
        "category_id": 2103807459595387724,
        "category_code": dice.choice([None, "", "apparel", "electronics.smartphone", "größe.ß"]),
        "brand": dice.choice([None, "", "apple", " blank ", "O'Neill"]),
        "price": dice.choice([0, 19.99, 20, 99.5, 100.0, 499.99, 500, 2574.07]),
        "user_id": dice.randrange(1, 6),
        "user_session": f"session-{dice.randrange(50)}",
    }
    return {name: json.dumps(value, ensure_ascii=dice.random() < 0.5) for name, value in values.items()}


def encode(values: Values) -> bytes:
    """Write the values as one object."""
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in values.items()) + "}").encode()


def fragments(name: str) -> tuple[str, ...]:
    """Return all that may stand for the value of a field, as JSON texts."""
    special = {"event_time": TIMES, "event_type": TYPES, "product_id": NUMBERS, "user_id": NUMBERS, "price": NUMBERS}
    return (*VALUES, *(f'"{text}"' for text in special.get(name, ())))


def mutations(seed: int, count: int) -> list[bytes | None]:
    """Make `count` records: first every single mutation in turn, then random combinations of them.

    Returns:
        Values of Kafka records, some of them valid; None is a record without value.
    """
    dice = random.Random(seed)
    made: list[bytes | None] = [None, *WHOLE]
    made += _singles(dice)
    while len(made) < count:
        values = valid(dice, len(made))
        for change in dice.choices((_set, _drop, _rename, _shuffle), k=dice.randrange(3)):
            change(dice, values)
        record = encode(values)
        if dice.random() < 0.5:
            record = dice.choice(TEXT_CHANGES)(dice, record)
        made.append(record)
    return made[:count]


def _singles(dice: random.Random) -> Iterator[bytes]:
    """Yield every mutation that has nothing random about it, alone."""
    for name in NAMES:
        for fragment in fragments(name):
            yield encode({**valid(dice, dice.getrandbits(60)), name: fragment})
        values = valid(dice, dice.getrandbits(60))
        yield encode({other: text for other, text in values.items() if other != name})
    record = encode(valid(dice, 0))
    yield from (record[:-1] + f", {member}}}".encode(errors="surrogatepass") for member in MEMBERS)
    yield from (record + tail for tail in TAILS)
    yield from (head + record for head in HEADS)
    yield from (record[:length] for length in range(len(record)))


def _set(dice: random.Random, values: Values) -> None:
    name = dice.choice(NAMES)
    values[name] = dice.choice(fragments(name))


def _drop(dice: random.Random, values: Values) -> None:
    values.pop(dice.choice(NAMES), None)


def _rename(dice: random.Random, values: Values) -> None:
    name = dice.choice(NAMES)
    text = values.pop(name, "null")
    values[dice.choice([name.upper(), f" {name}", f"{name}s", name.replace("_", "")])] = text


def _shuffle(dice: random.Random, values: Values) -> None:
    order = dice.sample(list(values.items()), k=len(values))
    values.clear()
    values.update(order)


def _repeat(dice: random.Random, record: bytes) -> bytes:
    """Give one name a second value, before or after all others."""
    name = dice.choice(NAMES)
    member = f'"{name}": {dice.choice(fragments(name))}'.encode()
    return b"{" + member + b", " + record[1:] if dice.random() < 0.5 else record[:-1] + b", " + member + b"}"


def _extend(dice: random.Random, record: bytes) -> bytes:
    return record[:-1] + b", " + dice.choice(MEMBERS).encode() + b"}"


def _damage(dice: random.Random, record: bytes) -> bytes:
    """Change, drop or add a few bytes anywhere: invalid UTF-8, broken JSON, or another value."""
    damaged = bytearray(record)
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(damaged))
        damaged[at : at + dice.randrange(2)] = dice.choice([b"", bytes([dice.randrange(256)]), b'"', b"}", b"\\", b"9"])
    return bytes(damaged)


TEXT_CHANGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _repeat,
    _extend,
    _damage,
    _damage,
    lambda dice, record: record[: dice.randrange(len(record))],
    lambda dice, record: record + dice.choice(TAILS),
    lambda dice, record: dice.choice(HEADS) + record,
    lambda dice, record: record + dice.choice([b"", b",", b"\n"]) + record,
    lambda _, record: b"[" + record + b"]",
    lambda _, record: json.dumps(record.decode()).encode(),
    lambda dice, record: record.decode().encode(dice.choice(["utf-16", "utf-16-le", "utf-32"])),
    lambda _, record: record.replace(b'": ', b'"\r\n\t:\t'),
)

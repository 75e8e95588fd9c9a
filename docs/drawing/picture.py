"""The architecture as a picture: what runs, who starts it, where data goes. Names and figures come from the code."""

from __future__ import annotations

from drawing.facts import Components, Dag
from drawing.source import FactError
from drawing.svg import FAINT, MONO, SANS, Box, arrow, document, paragraph, rectangle, text, width_of

WIDTH, MARGIN, GAP = 1170, 30, 18
AIRFLOW, JOBS, STORE = ("#e8f1fc", "#2f69b5"), ("#fff3df", "#9a6414"), ("#e6f5ec", "#27804a")
CARD = "#ffffff"

# One column per DAG, in the order of the flow: what each job does beyond its DAG's description.
COLUMNS = {
    "replay_events": (
        "event simulator",
        "Sends rows as JSON, at a rate or flat out. A retry goes on where Kafka acknowledged.",
    ),
    "streaming_lifecycle": (
        "streaming application",
        "One Spark query: parse, shuffle, drop repetitions, aggregate into cells, write. Joins products and users.",
    ),
    "train_models": (
        "training",
        "Reads one snapshot of events before as_of. Files: models/, work/.",
    ),
    "seed_dimensions": (
        "seeding",
        "Reads the same events file, and your own CSVs over it.",
    ),
    "data_quality": (
        "validation",
        "Great Expectations over every collection; Kafka's offsets against documents. Pages in reports/quality/.",
    ),
}
GROUPS = {
    "streaming_lifecycle": ("live", "live, with every batch", ""),
    "train_models": ("as of a moment", "as of a moment", ""),
    "seed_dimensions": ("dimensions", "dimensions", "The stream joins them to events, and notices when they change."),
    "data_quality": ("operations", "operations", "Written by training, validation, the stream and its checks."),
}
_COLUMN = (WIDTH - 2 * MARGIN - (len(COLUMNS) - 1) * GAP) / len(COLUMNS)

_TOP, _CARDS, _CARD_HEIGHT = 70, 138, 168
_JOBS, _JOBS_HEIGHT = 372, 196
_KAFKA, _MONGODB, _BOTTOM = 628, 664, 880


def picture(dags: list[Dag], collections: dict[str, tuple[str, ...]], parts: Components) -> str:
    """Draw it.

    Raises:
        FactError: A DAG or a group of collections has no place in it.
    """
    by_id = {dag.dag_id: dag for dag in dags}
    if odd := sorted(by_id.keys() ^ COLUMNS.keys()):
        raise FactError(f"{', '.join(odd)}: no such DAG, or no place in the picture (docs/drawing/picture.py)")
    if odd := sorted(collections.keys() ^ {group for group, *_ in GROUPS.values()}):
        raise FactError(f"{', '.join(odd)}: no such group, or no place in the picture (docs/drawing/picture.py)")
    drawn = [
        text(MARGIN, 46, "Shopstream on one machine", 22, bold=True),
        *_legend(),
        *_airflow(by_id, parts),
        *_jobs(by_id),
        *_kafka(parts),
        *_mongodb(collections, parts),
        *_flow(),
    ]
    return document(WIDTH, _BOTTOM + 34, "Architecture of Shopstream", drawn)


def _column(dag_id: str, top: float, height: float) -> Box:
    number = list(COLUMNS).index(dag_id)
    return Box(MARGIN + number * (_COLUMN + GAP), top, _COLUMN, height)


def _legend() -> list[str]:
    """Say what the colours mean, from the right edge leftwards."""
    entries = [
        ("Airflow, kept up by supervisord", AIRFLOW),
        ("servers, kept up by supervisord", STORE),
        ("jobs, started by DAGs", JOBS),
    ]
    drawn, x = [], float(WIDTH - MARGIN)
    for words, (fill, border) in reversed(entries):
        x -= width_of(words, 12.5, SANS)
        drawn += [text(x, 45, words, 12.5, fill=FAINT), rectangle(Box(x - 22, 34, 14, 14), fill, border, radius=3)]
        x -= 44
    return drawn


def _airflow(by_id: dict[str, Dag], parts: Components) -> list[str]:
    box = Box(MARGIN - 14, _TOP, WIDTH - 2 * MARGIN + 28, _CARDS + _CARD_HEIGHT + 14 - _TOP)
    processes = ", ".join(name.removeprefix("airflow-") for name in parts.airflow)
    boundary = "Gives jobs environment variables and options, takes exit status and metrics; imports none of them."
    drawn = [
        rectangle(box, *AIRFLOW),
        text(MARGIN, _TOP + 28, "Airflow", 16, bold=True),
        text(
            MARGIN + 76, _TOP + 28, f"127.0.0.1:{parts.ports['SHOPSTREAM_AIRFLOW_PORT']}: {processes}", 12.5, fill=FAINT
        ),
        text(MARGIN, _TOP + 51, boundary, 12.5, fill=FAINT),
    ]
    for dag_id in COLUMNS:
        card = _column(dag_id, _CARDS, _CARD_HEIGHT)
        dag = by_id[dag_id]
        description, y = paragraph(card, card.y + 46, dag.description)
        schedule, _ = paragraph(card, max(y + 4, card.y + 104), dag.when, 12, fill=AIRFLOW[1])
        title = text(card.x + 12, card.y + 23, dag_id, 13.5, MONO, bold=True)
        drawn += [rectangle(card, CARD, AIRFLOW[1]), title, description, schedule]
    return drawn


def _jobs(by_id: dict[str, Dag]) -> list[str]:
    drawn = []
    for dag_id, (title, more) in COLUMNS.items():
        card = _column(dag_id, _JOBS, _JOBS_HEIGHT)
        names, y = paragraph(card, card.y + 46, ", ".join(by_id[dag_id].jobs), 12, fill=JOBS[1])
        body, _ = paragraph(card, y + 4, more)
        drawn += [rectangle(card, *JOBS), text(card.x + 12, card.y + 23, title, 14, bold=True), names, body]
    return drawn


def _kafka(parts: Components) -> list[str]:
    box = _column("replay_events", _KAFKA, 118)
    file = _column("replay_events", _KAFKA + 148, _BOTTOM - _KAFKA - 148)
    lines, _ = paragraph(box, box.y + 70, f"{parts.partitions} partitions, key user_session, kept for ever")
    words, _ = paragraph(file, file.y + 48, "CSV, CSV.gz or Parquet; or a generated shop (data/)")
    return [
        rectangle(box, *STORE),
        text(box.x + 12, box.y + 25, "Kafka", 16, bold=True),
        text(box.x + 72, box.y + 25, f"127.0.0.1:{parts.ports['SHOPSTREAM_KAFKA_PORT']}", 12.5, fill=FAINT),
        text(box.x + 12, box.y + 48, parts.topic, 13, MONO),
        lines,
        rectangle(file, CARD, FAINT, dashed=True),
        text(file.x + 12, file.y + 25, "Events file", 14, bold=True),
        words,
    ]


def _mongodb(collections: dict[str, tuple[str, ...]], parts: Components) -> list[str]:
    first = _column("streaming_lifecycle", _MONGODB, 0)
    box = Box(first.x - 10, _MONGODB, WIDTH - MARGIN + 24 - first.x, _BOTTOM - _MONGODB)
    where = f"127.0.0.1:{parts.ports['SHOPSTREAM_MONGODB_PORT']}, database {parts.database}"
    drawn = [
        rectangle(box, *STORE),
        text(first.x + 2, box.bottom - 13, "MongoDB", 16, bold=True),
        text(first.x + 96, box.bottom - 13, where, 12.5, fill=FAINT),
    ]
    for dag_id, (group, title, more) in GROUPS.items():
        card = _column(dag_id, _MONGODB + 10, _BOTTOM - _MONGODB - 46)
        drawn += [
            rectangle(card, CARD, STORE[1]),
            text(card.x + 12, card.y + 22, title, 12.5, fill=STORE[1], bold=True),
        ]
        names = collections[group]
        drawn += [text(card.x + 12, card.y + 44 + 18.5 * row, name, 12, MONO) for row, name in enumerate(names)]
        drawn.append(paragraph(card, card.y + 50 + 18.5 * len(names), more)[0])
    return drawn


def _flow() -> list[str]:
    drawn = []
    for dag_id in COLUMNS:
        card = _column(dag_id, _CARDS, _CARD_HEIGHT)
        starts = {"streaming_lifecycle": "keeps alive"}.get(dag_id, "runs")
        drawn.append(
            arrow((card.x + 40, card.bottom), (card.x + 40, _JOBS - 2), label=starts, at=(card.x + 50, _JOBS - 12))
        )
    replay, stream, train = (_column(name, _JOBS, _JOBS_HEIGHT) for name in list(COLUMNS)[:3])
    kafka = _column("replay_events", _KAFKA, 118)
    drawn.append(arrow((replay.middle, replay.bottom), (replay.middle, kafka.y - 2)))
    # From the file along the left edge: Kafka lies between.
    left = MARGIN - 16
    drawn.append(
        arrow((replay.x, _KAFKA + 178), (left, _KAFKA + 178), (left, replay.y + 84), (replay.x - 1, replay.y + 84))
    )
    lane = _KAFKA + 18
    drawn.append(arrow((kafka.right, lane), (stream.x + 40, lane), (stream.x + 40, stream.bottom + 2)))
    for dag_id in GROUPS:
        card = _column(dag_id, _MONGODB + 10, 0)
        drawn.append(arrow((card.middle, stream.bottom), (card.middle, card.y - 2)))
    back, turn = stream.right - 50, (stream.bottom + _MONGODB) / 2
    drawn.append(arrow((back, _MONGODB + 10), (back, turn), (train.x + 40, turn), (train.x + 40, train.bottom + 2)))
    drawn.append(text(train.x + 50, turn + 4, "events", 12, fill=FAINT))
    return drawn

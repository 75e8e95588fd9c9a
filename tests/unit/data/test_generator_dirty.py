"""Malformed rows: exactly as many as wanted, truly refused by the contract, harmless to their neighbours."""

import csv
from pathlib import Path

import numpy as np
import pytest
from generator_checks import COLUMNS, faults, read_lines

from data.generate_events import generate
from data.shopgen.dirty import BAD_VALUES, DEFECTS, GARBAGE, pick_rows, spoil
from data.shopgen.settings import Settings

VALID = (
    "2019-10-01 00:00:04 UTC,view,1004237,2053013555631882655,electronics.smartphone,apple,1081.98,535871217,"
    "c6bd7419-2748-4c56-95b4-8cec9ff8b80d"
)


def settings(dirty: float) -> Settings:
    return Settings(users=500, days=5, events=20_000, seed=3, dirty=dirty)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("clean") / "events.csv"
    assert generate(settings(0), path).dirty == 0
    return read_lines(path)


@pytest.mark.parametrize(("share", "expected"), [(0.00013, 3), (0.05, 1_000), (1.0, 20_000)])
def test_the_wanted_share_is_malformed_and_nothing_else_changes(
    tmp_path: Path, clean: list[str], share: float, expected: int
) -> None:
    summary = generate(settings(share), tmp_path / "events.csv")
    lines = read_lines(tmp_path / "events.csv")
    assert len(lines) == len(clean)
    changed = [line for line, original in zip(lines, clean, strict=True) if line != original]
    assert len(changed) == summary.dirty == expected
    assert [line for line in changed if not faults(line)] == []
    assert sum(bool(faults(line)) for line in lines[1:]) == expected


def test_malformed_rows_are_diverse_and_spread_over_the_file(tmp_path: Path, clean: list[str]) -> None:
    generate(settings(0.05), tmp_path / "events.csv")
    lines = read_lines(tmp_path / "events.csv")
    bad = [index for index, (line, original) in enumerate(zip(lines, clean, strict=True)) if line != original]
    thirds = np.bincount(np.array(bad) * 3 // len(lines), minlength=3)
    assert thirds.min() > 0.5 * thirds.max()
    single = {found[0] for index in bad if len(found := faults(lines[index])) == 1}
    assert single == {"event_time", "event_type", "product_id", "user_id", "price", "user_session"}
    widths = {len(lines[index].split(",")) for index in bad}
    assert widths == set(range(1, 10))


def test_malformed_rows_stay_one_csv_record_each(tmp_path: Path) -> None:
    generate(settings(1.0), tmp_path / "events.csv")
    with (tmp_path / "events.csv").open(newline="", encoding="utf-8") as file:
        records = [record for record in csv.reader(file) if record]
    assert len(records) == 20_001


def test_the_example_is_valid() -> None:
    assert faults(VALID) == []


@pytest.mark.parametrize(
    ("column", "choice"), [(column, choice) for column, values in BAD_VALUES.items() for choice in range(len(values))]
)
def test_each_bad_value_spoils_its_column_only(column: str, choice: int) -> None:
    line = spoil(VALID, column, choice)
    assert faults(line) == [column]
    others = [pair for name, *pair in zip(COLUMNS, line.split(","), VALID.split(","), strict=True) if name != column]
    assert all(new == old for new, old in others)


@pytest.mark.parametrize("choice", range(max(len(GARBAGE), len(COLUMNS))))
@pytest.mark.parametrize("defect", [defect for defect in DEFECTS if defect not in BAD_VALUES])
def test_structural_defects_are_refused(defect: str, choice: int) -> None:
    line = spoil(VALID, defect, choice)
    assert faults(line)
    assert line.strip()
    assert not set('"\r\n') & set(line)


def test_picked_rows_are_distinct_and_in_range() -> None:
    rng = np.random.default_rng(0)
    assert pick_rows(rng, 5, 0).tolist() == []
    assert pick_rows(rng, 5, 5).tolist() == [0, 1, 2, 3, 4]
    picked = pick_rows(rng, 1_000, 300)
    assert len(set(picked.tolist())) == 300
    assert picked.max() < 1_000

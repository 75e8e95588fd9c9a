"""The generator's command: options, one-line errors, progress, and files that appear complete or not at all."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from generator_checks import faults, read_lines

from data import generate_events
from data.generate_events import Progress, generate, main
from data.shopgen.settings import Settings
from data.shopgen.shop import Shop
from data.shopgen.visits import Rows

SCRIPT = Path(generate_events.__file__)


def test_runs_as_a_script_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--events", "100", "--users", "10", "--days", "2", "--out", "e.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("wrote 100 events (0 malformed) of ")
    assert len(read_lines(tmp_path / "e.csv")) == 101
    assert [path.name for path in tmp_path.iterdir()] == ["e.csv"]


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for option in ("--users", "--days", "--events", "--seed", "--start", "--dirty", "--out", "--truth"):
        assert option in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--users", "0"], "users is 0"),
        (["--days", "-3"], "days is -3"),
        (["--events", "0"], "events is 0"),
        (["--events", "many"], "--events"),
        (["--seed", "-1"], "seed is -1"),
        (["--start", "2019-02-30"], "'2019-02-30' is not a day"),
        (["--start", "9999-12-20"], "start is 9999-12-20"),
        (["--dirty", "1.01"], "dirty is 1.01"),
        (["--dirty", "nan"], "dirty is nan"),
        (["--colour", "red"], "--colour"),
        (["--out", "missing/events.csv"], "no directory missing"),
        (["--out", "."], "is a directory"),
        (["--out", "/dev/null"], "is a directory or a device"),
        (["--out", "a.csv", "--truth", "./a.csv"], "same file"),
        (["--truth", "missing/truth.csv"], "no directory missing"),
        (["--events", str(10**12)], "GB free"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code: object = main(arguments)
    except SystemExit as left:
        code = left.code
    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert "(" in printed.err, "the line does not say what to do"
    assert said in printed.err
    assert list(tmp_path.iterdir()) == []


def test_dirty_without_a_value_is_one_percent(tmp_path: Path) -> None:
    assert main(["--events", "3000", "--users", "50", "--dirty", "--out", str(tmp_path / "e.csv")]) == 0
    assert sum(bool(faults(line)) for line in read_lines(tmp_path / "e.csv")[1:]) == 30


def test_a_failure_half_way_keeps_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, truth = tmp_path / "events.csv.gz", tmp_path / "truth.csv"
    out.write_text("old")
    play = Shop.play

    def full_disk(shop: Shop) -> Iterator[tuple[int, Rows]]:
        yield next(play(shop))
        assert len(list(tmp_path.iterdir())) == 3, "the rows do not go to temporary files beside the targets"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Shop, "play", full_disk)
    assert main(["--events", "1000", "--out", str(out), "--truth", str(truth)]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_text() == "old"


def test_termination_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--events", "50000000", "--out", str(tmp_path / "e.csv")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            first = process.stderr.readline()
            assert first.startswith("generated "), first
            assert len(list(tmp_path.iterdir())) == 1
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 143
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    generate(Settings(users=5, days=1, events=10), tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert len(read_lines(tmp_path / "real.csv")) == 11


def test_progress_is_quiet_at_first_and_says_how_long_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr("data.generate_events.time.monotonic", lambda: now[0])
    progress = Progress(1_000_000)
    for moment, done in ((101.0, 100_000), (104.0, 400_000), (105.0, 500_000), (106.0, 600_000)):
        now[0] = moment
        progress(done)
    assert capsys.readouterr().err.splitlines() == [
        "generated 400,000 of 1,000,000 events (40%, 100,000/s, about 6 s left)",
        "generated 600,000 of 1,000,000 events (60%, 100,000/s, about 4 s left)",
    ]

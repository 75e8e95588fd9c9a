"""Claiming a home, and one command at a time."""

from pathlib import Path

import pytest

from embedded import home
from embedded.errors import StackError


def test_claim_makes_private_folders_and_may_be_repeated(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "home"
    home.claim(folder)
    home.claim(folder)
    assert home.is_claimed(folder)
    assert {name: (folder / name).stat().st_mode & 0o777 for name in home.PRIVATE_FOLDERS} == dict.fromkeys(
        home.PRIVATE_FOLDERS, 0o700
    )


def test_folders_of_somebody_else_are_never_claimed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(StackError, match="SHOPSTREAM_HOME"):
        home.claim(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_second_command_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    home.claim(tmp_path)
    with (
        home.exclusive(tmp_path, "up"),
        pytest.raises(StackError, match="up, process"),
        home.exclusive(tmp_path, "down"),
    ):
        pass
    with home.exclusive(tmp_path, "down"):
        assert (tmp_path / "lock").read_text().startswith("down")


def test_unclaimed_folder_is_not_locked(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="not the home"), home.exclusive(tmp_path, "reset"):
        pass
    assert not list(tmp_path.iterdir())


def test_unwritable_folder_names_its_variable() -> None:
    with pytest.raises(StackError, match="SHOPSTREAM_DATA_DIR"):
        home.require_writable(Path("/proc/nothing"), "SHOPSTREAM_DATA_DIR")

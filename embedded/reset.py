"""`reset`: deletes what a stack has accumulated and keeps what is installed."""

from __future__ import annotations

import shutil
import sys

from embedded.config import Settings
from embedded.down import down
from embedded.errors import StackError
from embedded.home import PRIVATE_FOLDERS
from embedded.progress import Progress


def confirm(settings: Settings, yes: bool) -> None:
    """Ask the user, unless `yes`.

    Raises:
        StackError: the answer is not yes, or there is nobody to ask.
    """
    if yes:
        return
    folders = ", ".join(f"{name}/" for name in PRIVATE_FOLDERS)
    if not sys.stdin.isatty():
        raise StackError(
            f"reset deletes {folders} of {settings.home} and there is no terminal to confirm it (add --yes)"
        )
    try:
        answer = input(f"Stop the stack and delete all its data and logs ({folders} of {settings.home})? Type yes: ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise StackError("nothing was deleted (the answer was not yes)")


def reset(settings: Settings, progress: Progress) -> None:
    """Stop the stack, then delete state/, logs/ and run/ of a claimed home; environments and jars stay.

    A SHOPSTREAM_DATA_DIR outside the home belongs to the user and is left alone.
    """
    down(settings, progress)
    for name in PRIVATE_FOLDERS:
        folder = settings.home / name
        if folder.exists():
            shutil.rmtree(folder)
            progress.say(f"deleted {folder}")
    if settings.data_dir != settings.state:
        progress.say(f"kept {settings.data_dir} (SHOPSTREAM_DATA_DIR)")

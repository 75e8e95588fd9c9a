"""The Java archives of the broker and of Spark's connectors: downloaded by Ivy, checked against a committed lock."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from embedded.config import REPOSITORY
from embedded.environments import run
from embedded.errors import StackError
from embedded.truststore import java_options

IVY_FILE = REPOSITORY / "jars/ivy.xml"
LOCK = REPOSITORY / "jars/jars.lock"
STAMP = "shopstream-stamp"


def identity() -> str:
    """Identity of a complete jars folder: the lock and the request it answers."""
    return hashlib.sha256(LOCK.read_bytes() + IVY_FILE.read_bytes()).hexdigest() + "\n"


def is_ready(jars: Path) -> bool:
    """Whether `jars` was completed from the current lock and none of its files went missing."""
    stamp = jars / STAMP
    if not stamp.is_file() or stamp.read_text() != identity():
        return False
    return all((jars / name).is_file() for name in read_lock(LOCK))


def read_lock(lock: Path) -> dict[str, str]:
    """`{"kafka/name.jar": sha256}` from a file in the format of sha256sum.

    Raises:
        StackError: a line is not of that format.
    """
    entries: dict[str, str] = {}
    for number, line in enumerate(lock.read_text().splitlines(), 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name.endswith(".jar"):
            raise StackError(f"{lock}: line {number} is not 'sha256  folder/name.jar' (restore the file from git)")
        entries[name] = digest
    return entries


def checksums(folder: Path) -> dict[str, str]:
    """`{"kafka/name.jar": sha256}` of all files below `folder`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """What is wrong with `found`: missing, unexpected and altered files, one short text each."""
    missing = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    extra = [f"{name} is not in the lock" for name in sorted(found.keys() - expected.keys())]
    altered = [f"{name} differs" for name in sorted(expected) if found.get(name, expected[name]) != expected[name]]
    return missing + extra + altered


def install(jars: Path, java: Path, spark_venv: Path, environ: Mapping[str, str], log: Path) -> None:
    """Download, verify and put in place, all or nothing.

    Args:
        jars: the folder to replace; gets kafka/ and spark/.
        java: a java executable.
        spark_venv: the environment whose pyspark contains Ivy.
        environ: read for certificate bundle and proxy.
        log: receives Ivy's output.

    Raises:
        StackError: the download failed, or a file is not what the lock says.
    """
    fresh = download(jars.with_name("jars.new"), java, spark_venv, environ, log)
    wrong = differences(read_lock(LOCK), checksums(fresh))
    if wrong:
        shutil.rmtree(fresh)
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise StackError(f"downloaded jars are not those of jars/jars.lock: {wrong[0]}{more} (see jars/README.md)")
    (fresh / STAMP).write_text(identity())
    shutil.rmtree(jars, ignore_errors=True)
    fresh.replace(jars)
    shutil.rmtree(jars.with_name("jars.cache"), ignore_errors=True)


def write_lock(scratch: Path, java: Path, spark_venv: Path, environ: Mapping[str, str], log: Path) -> int:
    """Download what jars/ivy.xml asks for and record it as the new jars/jars.lock. Returns the number of files."""
    fresh = download(scratch, java, spark_venv, environ, log)
    found = checksums(fresh)
    LOCK.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(found.items())))
    shutil.rmtree(fresh)
    shutil.rmtree(scratch.with_name("jars.cache"), ignore_errors=True)
    return len(found)


def download(target: Path, java: Path, spark_venv: Path, environ: Mapping[str, str], log: Path) -> Path:
    """Let Ivy (a standalone program among pyspark's jars) fill the new folder `target`; returns it."""
    ivy = sorted(spark_venv.glob("lib/python*/site-packages/pyspark/jars/ivy-*.jar"))
    if not ivy:
        raise StackError(f"{spark_venv} holds no pyspark with Ivy (delete that folder and run: make install)")
    cache = target.with_name("jars.cache")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    cache.mkdir(exist_ok=True)
    pattern = f"{target}/[conf]/[artifact]-[revision].[ext]"
    command = [str(java), *java_options(environ, cache / "truststore.jks"), f"-Divy.default.ivy.user.dir={cache}"]
    command += ["-jar", str(ivy[-1]), "-ivy", str(IVY_FILE), "-retrieve", pattern]
    run(command, log, "the Java archives cannot be downloaded (is there access to the Maven repository?)")
    return target

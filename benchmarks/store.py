"""The document store of a measurement: the fast Rust build where it is at hand, else the embedded server."""

from __future__ import annotations

import hashlib
import lzma
import shutil
from pathlib import Path

from embedded.config import REPOSITORY
from embedded.errors import StackError

ARCHIVE = REPOSITORY.parent / "shared" / "bin" / "secantusd-rs.xz"
FAST, EMBEDDED, AUTO = "rs", "py", "auto"
CHOICES = (AUTO, FAST, EMBEDDED)


def fast_server(cache: Path, archive: Path = ARCHIVE) -> Path:
    """Return the unpacked Rust server.

    Args:
        cache: Folder that keeps it; another archive is unpacked beside it, not over it.
        archive: The compressed executable.

    Raises:
        StackError: The archive is missing or damaged.
    """
    try:
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:12]
        binary = cache / f"secantusd-rs-{digest}"
        if binary.exists():
            return binary
        cache.mkdir(parents=True, exist_ok=True)
        partial = binary.with_suffix(".partial")
        with lzma.open(archive) as packed, partial.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    except (OSError, lzma.LZMAError) as error:
        raise StackError(f"{archive} cannot be unpacked: {error} (use --store {EMBEDDED})") from None
    partial.chmod(0o755)
    return partial.replace(binary)


def choose(wanted: str, cache: Path) -> Path | None:
    """Return the server to start instead of the embedded one; None for the embedded one.

    Raises:
        StackError: `wanted` is the Rust server, and it is not at hand.
    """
    if wanted == EMBEDDED or (wanted == AUTO and not ARCHIVE.exists()):
        return None
    return fast_server(cache)

"""What the machine offers: operating system, free disk, available memory. Standard library only."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from embedded.errors import StackError

MEGABYTE = 1_000_000


def check_platform() -> None:
    """Raise StackError unless this is Linux or macOS."""
    if sys.platform not in ("linux", "darwin"):
        raise StackError(f"{sys.platform} is not supported (use Linux, macOS or WSL)")


def check_disk(folder: Path, needed_mb: int) -> None:
    """Raise StackError unless the file system of `folder` (or its nearest existing parent) has `needed_mb` free."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free // MEGABYTE
    if free < needed_mb:
        raise StackError(
            f"{free} MB of disk are free at {existing}, {needed_mb} MB are needed "
            "(free some, set SHOPSTREAM_HOME to another disk, or lower SHOPSTREAM_MIN_DISK_MB)"
        )


def check_memory(needed_mb: int) -> None:
    """Raise StackError unless `needed_mb` of memory are available to new processes."""
    available = available_memory_mb()
    if available < needed_mb:
        raise StackError(
            f"{available} MB of memory are available, {needed_mb} MB are needed "
            "(close other programs, or lower SHOPSTREAM_MIN_MEMORY_MB)"
        )


def available_memory_mb(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory available to new processes in MB: the kernel's estimate, capped by a container's limit.

    macOS offers no such estimate without tools; two thirds of the physical memory stand for it there: what the system
    itself keeps of 8 GB leaves as much.
    """
    if not meminfo.exists():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 2 // 3 // MEGABYTE
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    available = int(fields["MemAvailable"].split()[0]) * 1024
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        if limit != "max":
            # Page cache counts as used here but is given back under pressure.
            stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
            used = int((cgroup / "memory.current").read_text()) - int(stat.get("inactive_file", 0))
            available = min(available, int(limit) - used)
    except OSError:
        pass  # no cgroup v2 limit on this machine
    return available // MEGABYTE

"""How much memory there is for this process."""

from __future__ import annotations

import os
from pathlib import Path

_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_ASSUMED = 4 << 30  # where the system does not say


def usable_memory() -> int:
    """The machine's memory, or what a container may have of it, in bytes."""
    sizes = [_physical_memory()]
    for name in _GROUP_LIMITS:
        try:
            sizes.append(int(Path(name).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return min(sizes)


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return _ASSUMED

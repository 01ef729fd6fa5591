"""How much memory this process may take: of the machine, its container and its own limits.

Linux tells by files; of other systems the machine's whole memory is known at most.
"""

import os
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

# Limits of a process on all that it maps, which is more than what it uses.
_PROCESS_LIMITS = ("RLIMIT_AS", "RLIMIT_DATA")
# By the version of the cgroups: where they lie; files of the limit and of what is used.
_CGROUPS = {
    1: ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    2: ("sys/fs/cgroup", "memory.max", "memory.current"),
}
# Of what a cgroup uses, the cache of files that goes when memory is wanted.
_CACHE = ("total_inactive_file", "inactive_file")


class MachineMemory(NamedTuple):
    """Bytes that processes may take together, and those that are free of them."""

    total: int
    free: int
    where: str  # whose limit it is: "the machine", "the container" or "this process"


def machine_memory(root: str = "/") -> Optional[MachineMemory]:
    """The tightest limit on this process, None where the system does not tell.

    Args:
        root: where `proc` and `sys` are looked for.
    """
    machine = _machine(root)
    if machine is None:
        return None
    total, where = machine.total, machine.where
    free = machine.free
    for limit, used in _cgroup_limits(root):
        free = min(free, max(limit - used, 0))
        if limit < total:
            total, where = limit, "the container"
    limit = _process_limit()
    if limit is not None and limit < total:
        total, where = limit, "this process"
    return MachineMemory(total, min(free, total), where)


def _machine(root: str) -> Optional[MachineMemory]:
    found = _numbers(os.path.join(root, "proc/meminfo"))  # kibibytes
    total = found.get("MemTotal:")
    if total is None:
        try:
            total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
        except (ValueError, OSError, AttributeError):  # AttributeError: Windows
            return None
    return MachineMemory(1024 * total, 1024 * found.get("MemAvailable:", total), "the machine")


def _cgroup_limits(root: str) -> Iterator[Tuple[int, int]]:
    """Limit and use of this process's cgroup and those around it."""
    for line in _text(os.path.join(root, "proc/self/cgroup")).splitlines():
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        place, limit_file, used_file = _CGROUPS[1 if controllers else 2]
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts) + 1):
            folder = os.path.join(root, place, *parts[:depth])
            limit, used = (_number(os.path.join(folder, n)) for n in (limit_file, used_file))
            if limit is not None:  # "max" is none
                yield limit, (used or 0) - _cache(folder)


def _cache(folder: str) -> int:
    found = _numbers(os.path.join(folder, "memory.stat"))
    return next((found[name] for name in _CACHE if name in found), 0)


def _process_limit() -> Optional[int]:
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    limits = [resource.getrlimit(getattr(resource, name))[0] for name in _PROCESS_LIMITS]
    known = [limit for limit in limits if limit not in (resource.RLIM_INFINITY, -1)]
    return min(known, default=None)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _number(path: str) -> Optional[int]:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _numbers(path: str) -> Dict[str, int]:
    """The first two words of each line, of which the second is a number."""
    lines = (line.split()[:2] for line in _text(path).splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}

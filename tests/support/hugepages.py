"""The machine's 2 MiB hugepages, shared with whoever else works on it.

Owns raising their number before a rig starts and giving back at the end of
./dev. Must never take below what was there before the first of us, nor below
what is in use: other rigs and other programs live on the same pool.
`python -m tests.support.hugepages take PID PAGES` and `... give-back PID` are
what ./dev calls; a run that died without giving back is settled by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB"
STATE = "/run/cni_userspace-rigs"
TOLD = "BEFORE"  # the file that keeps the number from before the first of us


class NoHugepagesError(Exception):
    """The kernel did not give as many pages as asked; the text says how many."""


def ensure(pages: int) -> None:
    """Raise the pool until `pages` are free. Raises NoHugepagesError (too little memory)."""
    with _only_one():
        short = pages - _free()
        if short > 0:
            _write(_total() + short)
        if _free() < pages:
            raise NoHugepagesError(f"{pages} free hugepages of 2 MiB are needed, the kernel gave {_free()}")


def take(pid: int, pages: int) -> None:
    """Keep `pages` free for the run of that process, and remember what was there."""
    with _only_one():
        if not os.path.exists(f"{STATE}/{TOLD}"):
            _note(TOLD, str(_total()))
        _note(str(pid), "")
    ensure(pages)


def give_back(pid: int) -> int:
    """Forget that run; after the last one put the old number back. Returns the pages now in the pool."""
    with _only_one():
        if os.path.exists(f"{STATE}/{pid}"):
            os.unlink(f"{STATE}/{pid}")
        if not _others(without=pid) and os.path.exists(f"{STATE}/{TOLD}"):
            with open(f"{STATE}/{TOLD}", encoding="ascii") as file:
                before = int(file.read())
            os.unlink(f"{STATE}/{TOLD}")
            in_use = _total() - _free()
            if _total() > max(before, in_use):
                _write(max(before, in_use))
        return _total()


def _others(without: int) -> list[int]:
    """Return the runs that live; drop what the dead ones left."""
    living = []
    for name in os.listdir(STATE):
        if not name.isdecimal() or int(name) == without:
            continue
        if os.path.exists(f"/proc/{name}"):
            living.append(int(name))
        else:
            os.unlink(f"{STATE}/{name}")
    return living


def _note(name: str, text: str) -> None:
    with open(f"{STATE}/{name}", "w", encoding="ascii") as file:
        file.write(text)


def _total() -> int:
    return _read("nr_hugepages")


def _free() -> int:
    return _read("free_hugepages") - _read("resv_hugepages")


def _read(name: str) -> int:
    with open(f"{POOL}/{name}", encoding="ascii") as file:
        return int(file.read())


def _write(pages: int) -> None:
    with open(f"{POOL}/nr_hugepages", "w", encoding="ascii") as file:
        file.write(str(pages))


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    os.makedirs(STATE, exist_ok=True)
    with open(f"{STATE}/lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Do what ./dev asks; exit 1 with the reason where there are not enough pages."""
    try:
        if arguments[0] == "take":
            take(int(arguments[1]), int(arguments[2]))
        else:
            give_back(int(arguments[1]))
    except (NoHugepagesError, OSError) as error:
        print(f"hugepages: {error}", file=sys.stderr)  # noqa: T201  a person reads it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

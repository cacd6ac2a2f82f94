"""Locks between real processes: waiting, the deadline, a holder that dies, a directory that goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cni_userspace.errors import TryAgainError
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.lock import DirectoryLock, take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., subprocess.Popen[str]]

SECONDS = 20.0
SOON = 0.2
ATTEMPTS = 1000  # the window is met a few times in a hundred
HOLD = """
import sys
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.lock import DirectoryLock
with DirectoryLock(sys.argv[1], Deadline(20)):
    print("held", flush=True)
    sys.stdin.read()
"""
COUNT = """
import os, sys
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.lock import DirectoryLock
for _ in range(int(sys.argv[3])):
    with DirectoryLock(sys.argv[1], Deadline(20)):
        with open(sys.argv[2], "r+") as file:
            number = int(file.read())
            file.seek(0)
            file.write(str(number + 1))
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Give a starter of processes that run a script; they end with the test."""
    started: list[subprocess.Popen[str]] = []

    def do(script: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, *arguments]
        env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env))
        return started[-1]

    yield do
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Give the path of a lock that nobody has taken yet."""
    return str(tmp_path / "lock")


def held(start: Start, place: str) -> subprocess.Popen[str]:
    """Return another process that holds the lock."""
    holder = start(HOLD, place)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def release(holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.close()


def test_a_held_lock_is_code_11_at_the_deadline(start: Start, place: str) -> None:
    held(start, place)
    with pytest.raises(TryAgainError) as caught:
        DirectoryLock(place, Deadline(SOON)).__enter__()
    assert caught.value.code == 11
    assert place in caught.value.details
    assert "0.2 s" in caught.value.details


def test_a_held_lock_is_waited_for(start: Start, place: str) -> None:
    holder = held(start, place)
    waiter = start(HOLD, place)
    release(holder)
    assert waiter.stdout is not None
    assert waiter.stdout.readline() == "held\n"
    assert holder.wait(SECONDS) == 0


def test_the_lock_of_a_dead_process_is_free(start: Start, place: str) -> None:
    holder = held(start, place)
    holder.kill()
    with DirectoryLock(place, Deadline(SECONDS)):
        pass


def test_two_locks_are_two(start: Start, tmp_path: Path) -> None:
    held(start, str(tmp_path / "one"))
    with DirectoryLock(str(tmp_path / "two"), Deadline(SOON)):
        pass


def test_whoever_waited_for_a_directory_that_went_holds_the_new_one(start: Start, place: str) -> None:
    """The holder's last record goes, its directory too; a third process makes it anew."""
    holder = held(start, place)
    waiter = start(HOLD, place)
    release(holder)
    assert waiter.stdout is not None
    assert waiter.stdout.readline() == "held\n"
    assert os.path.isdir(place)
    with pytest.raises(TryAgainError):
        DirectoryLock(place, Deadline(SOON)).__enter__()


def test_no_two_processes_hold_a_lock_at_once(start: Start, place: str, tmp_path: Path) -> None:
    """Each release removes the empty directory, so every wait meets one that goes."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    counting = [start(COUNT, place, str(counter), "100") for _ in range(6)]
    assert [process.wait(SECONDS) for process in counting] == [0] * 6
    assert counter.read_text() == "600"
    assert not os.path.exists(place)


def test_whoever_cannot_wait_is_told_code_11_also_where_the_directory_goes_just_then(
    start: Start, place: str, tmp_path: Path
) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    counting = start(COUNT, place, str(counter), "1000000")
    got = refused = 0
    while got < ATTEMPTS or refused < ATTEMPTS:
        assert counting.poll() is None
        try:
            with DirectoryLock(place, Deadline(0)):
                got += 1
        except TryAgainError:
            refused += 1


def test_a_directory_with_records_stays(place: str) -> None:
    with DirectoryLock(place, Deadline(SOON)) as lock, open(f"{place}/record", "w", encoding="utf-8"):
        assert os.listdir(lock.fd) == ["record"]
    assert os.listdir(place) == ["record"]
    with DirectoryLock(place, Deadline(SOON)):
        os.unlink(f"{place}/record")
    assert not os.path.exists(place)


def test_an_error_inside_frees_the_lock(place: str) -> None:
    with pytest.raises(ZeroDivisionError), DirectoryLock(place, Deadline(SOON)):
        1 // 0  # noqa: B018  the error is what counts
    assert not os.path.exists(place)
    with DirectoryLock(place, Deadline(SOON)):
        pass


@pytest.mark.parametrize("make", ["link", "file"])
def test_something_else_in_the_locks_place_is_not_locked(place: str, tmp_path: Path, make: str) -> None:
    if make == "link":
        os.symlink(tmp_path, place)
    else:
        open(place, "w", encoding="utf-8").close()
    with pytest.raises(NotADirectoryError):
        DirectoryLock(place, Deadline(SOON)).__enter__()


def test_a_missing_parent_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DirectoryLock(str(tmp_path / "none" / "lock"), Deadline(SOON)).__enter__()


def test_waiting_leaves_no_descriptor_and_no_alarm(start: Start, place: str) -> None:
    held(start, place)
    before = os.listdir("/proc/self/fd"), signal.getsignal(signal.SIGALRM)
    with pytest.raises(TryAgainError):
        DirectoryLock(place, Deadline(SOON)).__enter__()
    assert (os.listdir("/proc/self/fd"), signal.getsignal(signal.SIGALRM)) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_deadline_that_has_passed_still_takes_a_free_lock(place: str) -> None:
    os.mkdir(place)
    fd = os.open(place, os.O_RDONLY)
    try:
        take(fd, place, Deadline(0))
    finally:
        os.close(fd)

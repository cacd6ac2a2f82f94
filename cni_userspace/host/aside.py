"""One read or write of a kernel's file, made in a child process, with a deadline.

Owns how to give up on a kernel that does not answer. Much of sysfs takes the
device's lock in an uninterruptible sleep (device_lock, linux/device.h), which
the driver holds while it is bound or unbound: an unbind from vfio-pci waits for
the application that has the device open, for ever if need be. No signal ends
such a sleep, SIGKILL neither, so an alarm in our own process would not help.

A child that is stuck there is left behind. The kernel finishes what it was
asked as soon as it can, then the child dies: **a write that timed out may still
happen, later**. Whoever gives up must therefore want nothing that this write
would spoil. The child holds none of our files, so no lock stays taken and no
runtime waits for the end of our output because of it.
"""

from __future__ import annotations

import os
from _signal import (  # type: ignore[import-not-found]  # `signal` costs 5 ms
    SIG_BLOCK,
    SIG_SETMASK,
    SIGKILL,
    pthread_sigmask,
)
from errno import EIO, ETIMEDOUT
from select import POLLIN, poll

from cni_userspace.host.signals import ENDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from cni_userspace.host.deadline import Deadline

_MOST_BYTES = 4096  # of an attribute (Documentation/filesystems/sysfs.rst: PAGE_SIZE)
_DONE = b"+"


def read(path: str, deadline: Deadline) -> bytes:
    """Return the first 4096 bytes of a file; raise OSError, TimeoutError at the deadline."""
    return _apart(path, None, deadline)


def write(path: str, content: bytes, deadline: Deadline) -> None:
    """Hand the content to a file that exists, in one system call.

    Raises OSError with the kernel's errno. TimeoutError at the deadline: the
    write is then under way, and may still happen.
    """
    _apart(path, content, deadline)


def _apart(path: str, content: bytes | None, deadline: Deadline) -> bytes:
    deadline.remaining()
    source, sink = os.pipe()
    with open(source, "rb", buffering=0):
        try:
            pid = _fork(path, content, sink)
        finally:
            os.close(sink)
        try:
            answer = _answer(source, path, deadline)
        except BaseException:
            os.kill(pid, SIGKILL)
            os.waitpid(pid, os.WNOHANG)
            raise
    os.waitpid(pid, 0)
    if answer[:1] == _DONE:
        return answer[1:]
    number = int(answer or EIO)
    raise OSError(number, os.strerror(number), path)


def _fork(path: str, content: bytes | None, sink: int) -> int:
    """Start the child; no signal reaches it, or it might run the way back of our caller."""
    before = pthread_sigmask(SIG_BLOCK, ENDING)
    try:
        pid = os.fork()
        if not pid:
            _child(path, content, sink)
        return pid
    finally:
        pthread_sigmask(SIG_SETMASK, before)


def _child(path: str, content: bytes | None, sink: int) -> NoReturn:
    answer = b""
    try:
        for name in os.listdir("/proc/self/fd"):
            if int(name) != sink:
                _close(int(name))
        answer = _work(path, content)
    except OSError as error:
        answer = b"%d" % (error.errno or EIO)
    finally:
        os.write(sink, answer)
        os._exit(0)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:  # that of the listing itself
        pass


def _work(path: str, content: bytes | None) -> bytes:
    if content is None:
        return _DONE + os.read(os.open(path, os.O_RDONLY | os.O_CLOEXEC), _MOST_BYTES)
    os.write(os.open(path, os.O_WRONLY | os.O_CLOEXEC), content)
    return _DONE


def _answer(source: int, path: str, deadline: Deadline) -> bytes:
    events = poll()
    events.register(source, POLLIN)
    try:
        while not events.poll(deadline.remaining() * 1000):
            pass
    except TimeoutError:
        raise TimeoutError(
            ETIMEDOUT, f"the kernel has not finished it within {deadline.seconds:g} s", path
        ) from None
    return os.read(source, len(_DONE) + _MOST_BYTES)

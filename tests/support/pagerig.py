"""A machine of its own for one page of the documents, on which its commands run as they stand.

Owns mount, process and network namespaces in which /run is empty, writes to
/etc, /opt, /srv, /usr/local, /var, the home and the checkout are forgotten, and
everything that was started ends with the page; in it `userspace` and the
reference plugins are installed as install/README.md says. Must never change a
file of the host.

`python -m tests.support.pagerig [--show] PAGE` runs a page and exits 1 with what
went wrong. Rigs:

- `machine`: no switch;
- `online`: the host's network, the checkout as working directory, no plugin;
- `guest`: the network and the devices of the guest with SR-IOV (tests.support.guest),
  which is started for it where this is not the guest; no switch;
- `switch`: a switch runs; `switch of USER:GROUP`: as that user; `switch hiding
  DIRECTORY`: in a mount namespace of its own in which the directory is empty;
  `switch with room`: for six ports, with hugepages for applications beside it.
"""

from __future__ import annotations

import os
import re
import secrets
import select
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from tests.support import gotools, guest, hugepages, pages
from tests.support.switch import Switch

if TYPE_CHECKING:
    from tests.support.pages import Block, Step

ONLINE, GUEST = "online", "guest"
INSIDE = "--inside"  # the namespaces
CACHES = os.path.expanduser("~")  # of pip
KEPT = ("/etc", "/opt", "/srv", "/usr/local", "/var", CACHES, pages.ROOT)  # writes to these are forgotten
EMPTY = ("/etc/cni", "/opt/cni", "/var/lib/cni")
SHARED = (  # of the host's /run: the pool's lock, the resolver's file, in the guest udev's database
    *(hugepages.STATE, "/run/systemd"),
    *(["/run/udev"] if guest.inside() else []),
)
ASIDE = "/mnt"  # where the new /run is made up
UPPER = "/run/.written"
HOME = "/run/page"
BIN = "/opt/cni/bin"
NET_D = "/etc/cni/net.d"
# What podman needs on a machine without systemd, and on top of an overlay; see tests.support.podman.
CONTAINERS = "/var/lib/containers/page"
PODMAN = {
    "/etc/containers/storage.conf": f"""\
[storage]
driver = "vfs"
graphroot = "{CONTAINERS}"
runroot = "/run/containers/page"
""",
    "/etc/containers/containers.conf.d/page.conf": """\
[containers]
default_ulimits = []
seccomp_profile = "unconfined"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
lock_type = "file"
""",
}
SOCKET_MIB = 256
ROOMY_MIB = 448
SPARE_PAGES = 8
APPLICATION_PAGES = 80
ROOM = " with room"
PAGE_SECONDS = 400
GUEST_SECONDS = 300  # its start and end on a busy machine
STEP_SECONDS = 180


class _Switch(Switch):
    """A switch beside the page's other directories, with room for the applications of a page.

    With memory shared between ports OVS takes nearly all there is while it
    makes the pool, at the first connection; a second application that connects
    at that moment is refused ("failed to allocate memory for vq internal data").
    """

    def __init__(self, user: str = "", hidden: tuple[str, ...] = (), socket_mib: int = SOCKET_MIB) -> None:
        super().__init__(user=user, hidden=hidden, parent="/run", socket_mib=socket_mib)

    def _configuration(self) -> list[str]:
        return [*super()._configuration(), "other_config:per-port-memory=true"]


class StepError(Exception):
    """A command of a page did not do what the page says."""


def run(page: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a page's commands on a machine of its own; `--show` tells what each of them said."""
    gotools.build()
    program = [sys.executable, "-m", "tests.support.pagerig"]
    if pages.rig(page) == GUEST and not guest.inside():
        start = [sys.executable, "-m", "tests.support.guest", "--shell"]
        return _run([*start, *program, *options, page], PAGE_SECONDS + GUEST_SECONDS)
    if "switch" in pages.rig(page) or "ovs-vswitchd" in pages.read(page):
        roomy = pages.rig(page).endswith(ROOM)
        size = ROOMY_MIB // 2 + APPLICATION_PAGES if roomy else SOCKET_MIB // 2
        hugepages.ensure(size + SPARE_PAGES)
    enter = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc"]
    if pages.rig(page) not in (ONLINE, GUEST):
        enter.append("--net")
    return _run([*enter, "--kill-child", "--", *program, INSIDE, *options, page], PAGE_SECONDS)


def _run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=pages.ROOT, check=False, capture_output=True, text=True, timeout=seconds
    )


def main(arguments: list[str]) -> int:
    """Run a page, or its part inside the namespaces; return the exit code."""
    *options, page = arguments
    if INSIDE in options:
        return _inside(page, show="--show" in options)
    done = run(page, *options)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


def _inside(page: str, *, show: bool) -> int:
    if os.getpid() != 1:
        raise OSError("not in a process namespace of its own: this would mount over the host's /run")
    rig = pages.rig(page)
    _make_machine()
    if rig != ONLINE:
        _install()
    with ExitStack() as stack:
        if rig.startswith("switch"):
            switch = stack.enter_context(_switch(rig))
            os.symlink(switch.directory, "/run/openvswitch")
        os.makedirs(HOME)
        stack.callback(_end_containers)
        shell = stack.enter_context(Shell(pages.ROOT if rig == ONLINE else HOME, show=show))
        try:
            for block in pages.blocks(page):
                _do(block, shell)
        except StepError as error:
            print(error)  # noqa: T201  the report
            return 1
    return 0


def _switch(rig: str) -> Switch:
    """Return the switch that a page's rig names."""
    _, _, user = rig.partition(" of ")
    _, _, hidden = rig.partition(" hiding ")
    if user:
        _make_user(user)
    return _Switch(user, (hidden,) if hidden else (), ROOMY_MIB if rig.endswith(ROOM) else SOCKET_MIB)


def _do(block: Block, shell: Shell) -> None:
    if block.word == "file":
        os.makedirs(os.path.dirname(block.detail), exist_ok=True)
        with open(block.detail, "w", encoding="utf-8") as file:
            file.write(block.text)
    elif block.runs:
        for step in pages.steps(block):
            shell.do(step)


# The page's process namespace is its whole machine, which `userspace gc` cannot know.
WHOLE_MACHINE = """\
userspace() { [ "${1-}" = gc ] && set -- "$@" --here; command userspace "$@"; }
"""


class Shell:
    """One bash for the whole page."""

    def __init__(self, place: str, *, show: bool) -> None:
        """Start it in a directory."""
        self._show = show
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            cwd=place,
        )
        self._run(WHOLE_MACHINE)

    def do(self, step: Step) -> None:
        """Run a command and compare. Raises StepError."""
        output, status = self._run(step.command)
        if self._show:
            print(f"$ {step.command}\n{output.rstrip()}")  # noqa: T201  for whoever writes the page
        if status and not step.may_fail:
            raise StepError(f"{step.where}: exit {status}\n$ {step.command}\n{output}")
        if not pages.matches(step.shown, output):
            shown = "\n".join(step.shown)
            raise StepError(
                f"{step.where}: another output\n$ {step.command}\n--- shown\n{shown}\n--- came\n{output}"
            )

    def _run(self, command: str) -> tuple[str, int]:
        if self._process.stdin is None or self._process.stdout is None:
            raise StepError("the shell has no pipes")
        mark = f"done-{secrets.token_hex(8)}"
        # $? is put back, so that the page's own `echo $?` sees its command's
        # stdin is where the shell's commands come from
        told = f"{{ {command}\n}} < /dev/null\n{{ st=$?; printf '\\n%s %d\\n' {mark} $st; (exit $st); }}\n"
        self._process.stdin.write(told.encode())
        self._process.stdin.flush()
        said, end = "", time.monotonic() + STEP_SECONDS
        while (found := re.search(rf"\n{mark} (\d+)\n", said)) is None:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, end - time.monotonic()))
            piece = os.read(self._process.stdout.fileno(), 1 << 16).decode() if ready else ""
            if not piece:
                raise StepError(f"{'the shell ended' if ready else 'no end'} at\n$ {command}\n{said}")
            said += piece
        return said[: found.start()], int(found[1])

    def __enter__(self) -> Self:
        """Return the shell."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it; what it left running ends with the namespace."""
        self._process.kill()
        self._process.wait()


def _environment() -> dict[str, str]:
    ours = {
        k: v for k, v in os.environ.items() if not k.startswith(("CNI_", "OVS_", "PYTEST_", "USERSPACE_"))
    }
    beside = [os.path.dirname(sys.executable), gotools.directory(), "/usr/lib/openvswitch-switch-dpdk"]
    path = ":".join([*beside, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
    return {**ours, "PATH": path, "HOME": HOME, "PIP_CACHE_DIR": f"{CACHES}/.cache/pip", "LC_ALL": "C.UTF-8"}


# --- the machine


def _make_machine() -> None:
    """Cover what the page may write to."""
    _mount("-t", "tmpfs", "-o", "mode=755", "run", ASIDE)
    for place in filter(os.path.isdir, SHARED):
        inside = place.replace("/run", ASIDE, 1)
        os.makedirs(inside)
        _mount("--bind", place, inside)
    _mount("--no-mtab", "--move", ASIDE, "/run")
    os.makedirs("/run/lock")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for number, place in enumerate(KEPT):
        if any(place.startswith(f"{other}/") for other in KEPT):
            continue  # it is in one of the others
        upper, work = f"{UPPER}/{number}/upper", f"{UPPER}/{number}/work"
        os.makedirs(upper)
        os.makedirs(work)
        _mount("-t", "overlay", "-o", f"lowerdir={place},upperdir={upper},workdir={work}", "overlay", place)
    for place in EMPTY:
        os.makedirs(place, exist_ok=True)
        _mount("-t", "tmpfs", "-o", "mode=755", "empty", place)


def _install() -> None:
    """Do what install/README.md says."""
    os.makedirs(BIN)
    os.makedirs(NET_D)
    with open(f"{BIN}/userspace", "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -m cni_userspace "$@"\n')
    os.chmod(f"{BIN}/userspace", 0o755)  # noqa: S103  an executable
    for place, text in PODMAN.items():
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", encoding="utf-8") as file:
            file.write(text)
    for name in ("bridge", "host-local", "loopback", "multus", "ptp", "static", "tuning"):
        os.symlink(f"{gotools.directory()}/{name}", f"{BIN}/{name}")


def _end_containers() -> None:
    """Remove what a failed page left in podman: its cgroups would outlive the namespaces."""
    if os.path.isdir(CONTAINERS):
        end = ["podman", "rm", "--all", "--force", "--time", "0"]
        subprocess.run(end, check=False, capture_output=True)


def _make_user(user: str) -> None:
    """Make what Red Hat's package makes, and Debian's does not: NAME:GROUP."""
    name, _, group = user.partition(":")
    subprocess.run(["groupadd", "--system", "--force", group], check=True)
    subprocess.run(["useradd", "--system", "--gid", group, name], check=True)
    # DPDK's own files: without this, in a /tmp/dpdk that another user may have made
    place = os.environ["XDG_RUNTIME_DIR"] = f"/run/user-{name}"
    os.mkdir(place)
    shutil.chown(place, name, group)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

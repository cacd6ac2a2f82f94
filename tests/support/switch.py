"""A private Open vSwitch: the real daemons, in a directory and a namespace of their own.

Owns one ovsdb-server, one ovs-vswitchd and what they leave. Must never touch
the system's own switch or a process that it did not start. Facts that shape it
(OVS 3.1, DPDK 22.11):

- The netdev datapath makes a tap named `ovs-netdev`, and two of them in one
  network namespace clash: vswitchd gets a namespace of its own.
- Without `pmd-maxsleep` an idle PMD thread eats a whole core.
- Without `dpdk-socket-limit` the packet buffers take every free hugepage of
  the machine, so that a second switch does not start.
- Sockets have short names (107 bytes): everything lives in /tmp/us-XXXXXXXX.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from typing import TYPE_CHECKING, Self

from tests.support import hugepages
from tests.support.child import Child, RigError, tail, wait_for
from tests.support.need import find
from tests.support.netns import Netns
from tests.support.switchview import SwitchView

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
SOCKET_MIB = 256  # buffers for one MTU up to 2,000 beside the default one
JUMBO_MIB = 352  # for one of 9,000
HUGEPAGE_MIB = 2
SPARE_PAGES = 4
START_SECONDS = 30.0
# hides directories, then becomes vswitchd: the pid stays the one we started
HIDE_AND_RUN = 'while [ "$1" != -- ]; do mount -t tmpfs hidden "$1"; shift; done; shift; exec "$@"'


class Switch(SwitchView):
    """One switch, from `start` to `stop`; also a context manager.

    `dpdk=False` starts the same daemons without DPDK (50 ms): it has no vhost
    ports, its bridges need datapath_type=netdev. `user` ("name:group") runs
    both daemons as that user. `hidden` are directories that vswitchd does not
    see, in a mount namespace of its own; `own_mounts` gives it the namespace
    alone, in which mounts made later are not seen. `vhost_sock_dir` is
    vswitchd's vhost-sock-dir, relative to its run directory.
    """

    def __init__(  # noqa: PLR0913  each is one property of a real node
        self,
        *,
        dpdk: bool = True,
        user: str = "",
        hidden: Sequence[str] = (),
        own_mounts: bool = False,
        vhost_sock_dir: str = "",
        socket_mib: int = SOCKET_MIB,
        parent: str = "/tmp",  # noqa: S108  short on purpose, and made by mkdtemp
    ) -> None:
        """Choose; nothing is started yet."""
        self.dpdk = dpdk
        self.user = user
        self.hidden = tuple(hidden)
        self.own_mounts = own_mounts or bool(hidden)
        self.vhost_sock_dir = vhost_sock_dir
        self._socket_mib = socket_mib
        self._parent = parent
        self._starts = 0
        self._netns: Netns | None = None
        self._ovsdb: Child | None = None
        self._vswitchd: Child | None = None
        self.directory = ""

    # --- life ---------------------------------------------------------------

    def start(self) -> Self:
        """Start both daemons and wait until the switch is ready. Raises RigError with the logs' ends."""
        self.directory = tempfile.mkdtemp(prefix="us-", dir=self._parent)
        try:
            os.chmod(self.directory, 0o755)  # noqa: S103  applications of every user connect in here
            if self.vhost_sock_dir:
                os.mkdir(os.path.join(self.directory, self.vhost_sock_dir))
            self._netns = Netns("us-ovs")
            database = os.path.join(self.directory, "conf.db")
            self._run(["ovsdb-tool", "create", database, SCHEMA])
            if self.user:
                subprocess.run(["chown", "-R", self.user, self.directory], check=True)
            self.start_ovsdb()
            self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", *self._configuration())
            self.restart_vswitchd()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End both daemons and remove everything; once more is fine."""
        for daemon in (self._vswitchd, self._ovsdb):
            if daemon is not None:
                daemon.end()
        self._vswitchd = self._ovsdb = None
        if self._netns is not None:
            self._netns.close()
            self._netns = None
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start_ovsdb(self) -> None:
        """Start the database server (again, after `kill_ovsdb`)."""
        if os.path.exists(self.socket):
            os.unlink(self.socket)  # a killed server's; the new one's tells that it is ready
        self._ovsdb = Child(
            [
                self._program("ovsdb-server"),
                os.path.join(self.directory, "conf.db"),
                f"--remote=punix:{self.socket}",
                *self._common("ovsdb-server"),
            ],
            self._path("ovsdb-server.out"),
            env=self.env,
        )
        self._wait_for(self._ovsdb, "ovsdb-server", self._listens)

    def restart_vswitchd(self) -> None:
        """Start vswitchd, after a crash too, and wait until it has applied the whole database."""
        if self.dpdk:
            hugepages.ensure(self._socket_mib // HUGEPAGE_MIB + SPARE_PAGES)
        command = [self._vswitchd_program(), self.remote, *self._common("ovs-vswitchd")]
        if self.own_mounts:
            command = [
                *["unshare", "--mount", "--propagation", "private"],
                *["sh", "-ec", HIDE_AND_RUN, "sh", *self.hidden, "--", *command],
            ]
        if self._netns is None:
            raise RigError("the switch is not started")
        self._vswitchd = Child(self._netns.command(command), self._path("ovs-vswitchd.out"), env=self.env)
        self._starts += 1
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", f"external_ids:rig-start={self._starts}")
        self._wait_for(self._vswitchd, "ovs-vswitchd", self._settled)

    def kill_vswitchd(self) -> None:
        """End vswitchd as a crash does (SIGKILL); its sockets and pidfile stay."""
        self._living(self._vswitchd).kill()

    def stop_answering(self) -> None:
        """Hang vswitchd (SIGSTOP): rows are committed and nothing applies them."""
        self._living(self._vswitchd).pause()

    def resume(self) -> None:
        """Let a hung vswitchd go on."""
        self._living(self._vswitchd).go_on()

    def kill_ovsdb(self) -> None:
        """End the database server as a crash does (SIGKILL)."""
        self._living(self._ovsdb).kill()

    def healthy(self) -> bool:
        """Tell whether both daemons run."""
        return all(d is not None and d.alive() for d in (self._vswitchd, self._ovsdb))

    @property
    def vswitchd_pid(self) -> int:
        """Vswitchd's pid."""
        return self._living(self._vswitchd).pid

    def clean(self) -> None:
        """Take every bridge away, bring dead or hung daemons back: a switch for the next test."""
        if self._vswitchd is not None:
            self._vswitchd.go_on()
        if not (self._ovsdb and self._ovsdb.alive()):
            self.start_ovsdb()
        if not (self._vswitchd and self._vswitchd.alive()):
            self.restart_vswitchd()
        for bridge in self.bridges():
            self.vsctl("--if-exists", "del-br", bridge)
        for path in self.vhost_sockets():
            os.unlink(path)  # vswitchd forgot it when it was killed

    # --- inside -------------------------------------------------------------

    def _common(self, daemon: str) -> list[str]:
        options = ["--pidfile", f"--log-file={self._path(daemon + '.log')}", "-vconsole:off", "--no-chdir"]
        return [*options, f"--user={self.user}"] if self.user else options

    def _configuration(self) -> list[str]:
        if not self.dpdk:
            return ["external_ids:rig=plain"]
        cores = sorted(os.sched_getaffinity(0))
        options = {
            "dpdk-init": "true",
            "dpdk-socket-mem": str(self._socket_mib),
            "dpdk-socket-limit": str(self._socket_mib),
            "dpdk-extra": '"--no-pci --in-memory --iova-mode=va"',
            "dpdk-lcore-mask": hex(1 << cores[0]),
            "pmd-cpu-mask": hex(1 << cores[-1]),
            "pmd-maxsleep": "500",
        }
        if self.vhost_sock_dir:
            options["vhost-sock-dir"] = self.vhost_sock_dir
        return [f"other_config:{key}={value}" for key, value in options.items()]

    def _listens(self) -> bool:
        """Tell whether the database server accepts: it binds its socket before it listens."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.socket) == 0

    def _settled(self) -> bool:
        """Tell whether vswitchd has applied what the database says, in this life of it."""
        mark = f"external_ids:rig-ready={self._starts}"
        try:
            self.vsctl("--timeout=2", "set", "Open_vSwitch", ".", mark)
        except RigError:
            return False
        return True

    def _wait_for(self, daemon: Child, name: str, ready: Callable[[], bool]) -> None:
        def look() -> bool:
            if not daemon.alive():
                raise RigError(f"{name} ended:\n{daemon.tail()}\n{tail(self._path(name + '.log'))}")
            return ready()

        wait_for(f"{name} is ready", look, START_SECONDS, proof=lambda: tail(self._path(name + ".log")))

    def _living(self, daemon: Child | None) -> Child:
        if daemon is None:
            raise RigError("the switch is not started")
        return daemon

    def _program(self, name: str) -> str:
        found = find(name)
        if found is None:
            raise RigError(f"there is no {name} on this machine")
        return found

    def _vswitchd_program(self) -> str:
        """Return the executable under the name that its pidfile and control socket shall have."""
        link = self._path("ovs-vswitchd")
        if not os.path.islink(link):
            os.symlink(self._program("ovs-vswitchd-dpdk" if self.dpdk else "ovs-vswitchd"), link)
        return link

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

"""What is in a private Open vSwitch, asked as an administrator asks.

Owns the questions: rows, ports, counters, sockets, through the Open vSwitch
programs and never through the plugin's own client of the database, so that
what tests see of the switch is not what the plugin believes of it.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.child import RigError, tail

if TYPE_CHECKING:
    from collections.abc import Sequence

VSCTL_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Packets at a port, as the switch counts them: `received` came from the application.

    None: OVS 3.1 does not count at dpdkvhostuser (server) ports.
    """

    received: int | None
    sent: int | None
    dropped: int | None


class SwitchView:
    """The switch whose run directory is `directory`; tests/support/switch.py gives it its life."""

    directory: str
    vhost_sock_dir: str

    @property
    def socket(self) -> str:
        """The database's socket."""
        return self._path("db.sock")

    @property
    def remote(self) -> str:
        """The database as a netconf's `socket_file` names it."""
        return f"unix:{self.socket}"

    @property
    def sockets(self) -> str:
        """The directory in which vswitchd makes the sockets of dpdkvhostuser ports."""
        return os.path.join(self.directory, self.vhost_sock_dir).rstrip("/")

    @property
    def env(self) -> dict[str, str]:
        """The environment in which the Open vSwitch programs speak to this switch."""
        own = dict.fromkeys(("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"), self.directory)
        return {**os.environ, **own}

    def vsctl(self, *arguments: str) -> str:
        """Run ovs-vsctl and return its output. Raises RigError when it fails."""
        command = ["ovs-vsctl", f"--db={self.remote}", f"--timeout={VSCTL_SECONDS}", *arguments]
        return self._run(command).strip()

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return every row of a table: maps as dicts, uuids as strings, sets as lists (of one: its value)."""
        answer = json.loads(self.vsctl("--no-wait", "--format=json", "list", table))
        return [dict(zip(answer["headings"], map(_plain, row), strict=True)) for row in answer["data"]]

    def row(self, table: str, name: str) -> dict[str, Any]:
        """Return the row of that name. Raises RigError where there is none."""
        for row in self.rows(table):
            if row["name"] == name:
                return row
        raise RigError(f"no {table} {name}: there are {[r['name'] for r in self.rows(table)]}")

    def bridges(self) -> set[str]:
        """Return the names of the bridges."""
        return set(self.vsctl("--no-wait", "list-br").split())

    def ports(self, bridge: str = "") -> set[str]:
        """Return the names of the ports of one bridge or of all, the bridges' own ones not counted."""
        names = [bridge] if bridge else self.bridges()
        return {port for name in names for port in self.vsctl("--no-wait", "list-ports", name).split()}

    def add_bridge(self, name: str) -> None:
        """Make a bridge as an administrator does, with the netdev datapath."""
        self.vsctl("--may-exist", "add-br", name, "--", "set", "Bridge", name, "datapath_type=netdev")

    def add_port(self, bridge: str, name: str, kind: str = "dpdkvhostuserclient", path: str = "") -> None:
        """Make a port as an administrator does, and wait for vswitchd."""
        options = [f"options:vhost-server-path={path}"] if path else []
        self.vsctl("add-port", bridge, name, "--", "set", "Interface", name, f"type={kind}", *options)

    def counters(self, port: str) -> Counters:
        """Return a port's counters at this moment (the database's copy is up to 5 s old)."""
        bridge = self.vsctl("--no-wait", "port-to-br", port)
        number = self.row("Interface", port)["ofport"]
        told = self._run(["ovs-ofctl", "dump-ports", bridge, str(number)])
        received, sent = (
            re.search(rf"{way} pkts=(\d+|\?).*?drop=(\d+|\?)", told, re.DOTALL) for way in ("rx", "tx")
        )
        if received is None or sent is None:
            raise RigError(f"ovs-ofctl dump-ports {bridge} {number}: {told}")
        values = [int(v) if v.isdecimal() else None for v in (*received.groups(), *sent.groups())]
        dropped = None if values[1] is None or values[3] is None else values[1] + values[3]
        return Counters(received=values[0], sent=values[2], dropped=dropped)

    def packets(self, bridge: str) -> dict[int, tuple[int, int]]:
        """Return how many packets each client port of a bridge has taken and given, by OpenFlow number."""
        told = self._run(["ovs-ofctl", "dump-ports", bridge])
        found = re.findall(r"port +(\d+): rx pkts=(\d+),.*\n +tx pkts=(\d+),", told)
        return {int(number): (int(received), int(sent)) for number, received, sent in found}

    def send(self, bridge: str, number: int, frame: bytes) -> None:
        """Give one frame to the port of that OpenFlow number, past all flows."""
        self._run(["ovs-ofctl", "packet-out", bridge, "CONTROLLER", f"output:{number}", frame.hex()])

    def connected(self, port: str) -> bool:
        """Tell whether an application is on the port's socket."""
        return bool(self.row("Interface", port)["link_state"] == "up")

    def vhost_sockets(self) -> list[str]:
        """Return the sockets of dpdkvhostuser ports, living or stale."""
        own = (".ctl", ".mgmt", ".snoop", ".sock")
        names = [n for n in sorted(os.listdir(self.sockets)) if not n.endswith(own)]
        paths = [os.path.join(self.sockets, n) for n in names]
        return [p for p in paths if stat.S_ISSOCK(os.lstat(p).st_mode)]

    def log(self, lines: int = 30) -> str:
        """Return the end of vswitchd's log."""
        return tail(self._path("ovs-vswitchd.log"), lines)

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(command, env=self.env, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RigError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def _plain(value: Any) -> Any:  # noqa: ANN401  a column of any type (RFC 7047, 5.1)
    if isinstance(value, list) and len(value) == 2:
        kind, content = value
        if kind == "set":
            return [_plain(item) for item in content]
        if kind == "map":
            return {key: _plain(item) for key, item in content}
        if kind == "uuid":
            return content
    return value

"""Who runs: bare ovs-vsctl, this plugin in its forms, any other CNI plugin.

Owns how each makes and removes one vhost-user client port on the rig's
bridge. A contestant leaves the switch as it found it.
"""

from __future__ import annotations

import json
import os
import string
from typing import TYPE_CHECKING, Any, Protocol

from tests.bench import timing
from tests.bench.cases import Command
from tests.support.child import RigError
from tests.support.need import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.netns import Netns
    from tests.support.switch import Switch

BRIDGE = "br0"
NETWORK = "bench"
KIND = "dpdkvhostuserclient"
VSCTL_SECONDS = 20
BASELINE = "ovs-vsctl"
PLUGIN = "python -I -m cni_userspace"
BUILT = os.path.join("dist", "userspace", "userspace")


class Contestant(Protocol):
    """Makes one port, then removes it; `under` is a program that runs the contestant's own."""

    name: str

    def add(self, number: int, under: Sequence[str] = ()) -> timing.Ran:
        """Make the port of that number."""

    def delete(self, number: int, under: Sequence[str] = ()) -> timing.Ran:
        """Remove it."""


class Vsctl:
    """What an administrator types; it waits for vswitchd by default."""

    name = BASELINE

    def __init__(self, switch: Switch) -> None:
        """Find the program."""
        found = find("ovs-vsctl")
        if found is None:
            raise RigError("there is no ovs-vsctl on this machine")
        self._command = [found, f"--db={switch.remote}", f"--timeout={VSCTL_SECONDS}"]
        self._switch = switch

    def add(self, number: int, under: Sequence[str] = ()) -> timing.Ran:
        """Make a client port and wait for vswitchd."""
        port = f"bench{number}"
        options = [f"type={KIND}", f"options:vhost-server-path={self._switch.directory}/{port}"]
        rest = ["add-port", BRIDGE, port, "--", "set", "Interface", port, *options]
        return timing.run([*under, *self._command, *rest], self._switch.env)

    def delete(self, number: int, under: Sequence[str] = ()) -> timing.Ran:
        """Remove it and wait for vswitchd."""
        rest = ["del-port", BRIDGE, f"bench{number}"]
        return timing.run([*under, *self._command, *rest], self._switch.env)


class Cni:
    """A CNI plugin, called as a runtime calls it."""

    def __init__(
        self, name: str, command: Sequence[str], conf: dict[str, Any], switch: Switch, netns: Netns
    ) -> None:
        """Keep the command line and the netconf; the environment is the switch's."""
        self.name = name
        self._command = command
        self._conf = conf
        self._env = {**switch.env, "USERSPACE_CNI_CONF": node_file(switch)}
        self._netns = netns
        self._results: dict[int, dict[str, Any]] = {}

    def add(self, number: int, under: Sequence[str] = ()) -> timing.Ran:
        """ADD an attachment of a new container."""
        ran = self._run("ADD", number, self._conf, under)
        self._results[number] = json.loads(ran.stdout)
        return ran

    def delete(self, number: int, under: Sequence[str] = ()) -> timing.Ran:
        """DEL it, with the prevResult that runtimes hand in."""
        return self._run("DEL", number, {**self._conf, "prevResult": self._results.pop(number)}, under)

    def version(self) -> Command:
        """Return a call that does nothing but start and answer."""
        return Command(name=self.name, argv=self._command, env={"CNI_COMMAND": "VERSION"})

    def _run(self, command: str, number: int, conf: dict[str, Any], under: Sequence[str]) -> timing.Ran:
        call = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": f"{number:064x}",
            "CNI_NETNS": self._netns.path,
            "CNI_IFNAME": "net1",
            "CNI_PATH": "/opt/cni/bin:/usr/lib/cni",
        }
        return timing.run([*under, *self._command], {**self._env, **call}, json.dumps(conf))


def node_file(switch: Switch) -> str:
    """Write the plugin's node file: its state lives with the switch."""
    path = os.path.join(switch.directory, "userspace.conf")
    content = {"stateDir": f"{switch.directory}/state", "linkDir": f"{switch.directory}/l"}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)
    return path


def our_conf(switch: Switch) -> dict[str, Any]:
    """Return a netconf as people write it."""
    return {
        "cniVersion": "1.0.0",
        "name": NETWORK,
        "type": "userspace",
        "bridge": BRIDGE,
        "socket_file": switch.socket,
        "sharedDir": f"{switch.directory}/shared",
    }


def peer_conf(path: str, switch: Switch) -> dict[str, Any]:
    """Read a peer's netconf; $DB, $DIR and $BRIDGE in it stand for the rig's."""
    with open(path, encoding="utf-8") as file:
        text = string.Template(file.read())
    conf: dict[str, Any] = json.loads(
        text.substitute(DB=switch.socket, DIR=switch.directory, BRIDGE=BRIDGE),
    )
    return conf

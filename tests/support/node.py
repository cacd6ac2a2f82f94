"""One node as a runtime sees it: the plugin, its switch, one container.

Owns the words that most calls share, so that a test names only what it is
about. What counts as left over is in tests/support/remains.py.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from typing import TYPE_CHECKING, Any

from tests.support.remains import remains

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.netns import Netns
    from tests.support.plugin import Outcome, Plugin
    from tests.support.switch import Switch

BRIDGE = "br0"


class Node:
    """The plugin on a switch with one bridge of an administrator's, and one container.

    Each verb takes keys of the netconf (`node.add(vlan=7)`), or `conf`, the
    whole of it; `container`, `netns`, `ifname` and `cni_args` name another
    attachment than net1 of the node's container.
    """

    def __init__(self, plugin: Plugin, switch: Switch, netns: Netns) -> None:
        """Make the administrator's bridge."""
        self.plugin = plugin
        self.switch = switch
        self.netns = netns
        self.container = new_container()
        switch.add_bridge(BRIDGE)

    def add(self, **given: Any) -> Outcome:  # noqa: ANN401  see the class
        """ADD."""
        conf, container, netns, more = self._split(given)
        return self.plugin.add(conf, container, netns, **more)

    def check(self, **given: Any) -> Outcome:  # noqa: ANN401
        """CHECK; `prevResult` is a key like any other."""
        conf, container, netns, more = self._split(given)
        return self.plugin.check(conf, container, netns, **more)

    def delete(self, **given: Any) -> Outcome:  # noqa: ANN401
        """DEL."""
        conf, container, netns, more = self._split(given)
        return self.plugin.delete(conf, container, netns, **more)

    def words(self, command: str, *, netns: str = "", ifname: str = "net1", **more: str) -> dict[str, str]:
        """Return the CNI_ variables of a call about the node's container; `more` as they are."""
        return {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.container,
            "CNI_NETNS": netns or self.netns.path,
            "CNI_IFNAME": ifname,
            "CNI_PATH": self.plugin.cni_path,
            **more,
        }

    def directory(self, container: str = "") -> str:
        """Return a container's shared directory."""
        return os.path.join(self.plugin.shared, container or self.container)

    def record(self, ifname: str = "net1", container: str = "") -> str:
        """Return the path of an attachment's record; it must be the only one of that interface."""
        folder = os.path.join(self.plugin.state, "attachments", container or self.container)
        (name,) = (n for n in os.listdir(folder) if n.startswith(f"{ifname}@") and n.endswith(".json"))
        return os.path.join(folder, name)

    def told(self, container: str = "") -> dict[str, Any]:
        """Return what the file beside the sockets tells the container, by interface."""
        path = os.path.join(self.directory(container), "userspace.json")
        with open(path, encoding="utf-8") as file:
            interfaces: dict[str, Any] = json.load(file)["interfaces"]
        return interfaces

    def debts(self) -> list[str]:
        """Return what is marked as owed."""
        folder = os.path.join(self.plugin.state, "owed")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def left(self) -> list[str]:
        """Return everything that attachments have left; the switch must answer.

        vswitchd is waited for: it removes its sockets after the rows have gone.
        """
        self.switch.vsctl("set", "Open_vSwitch", ".", f"external_ids:rig-looked={secrets.token_hex(8)}")
        with os.scandir(self.switch.sockets) as entries:
            sockets = [e.path for e in entries if e.name.startswith("vhu") and _is_socket(e)]
        return remains(self.plugin, self.switch) + sockets

    def _split(self, given: dict[str, Any]) -> tuple[Mapping[str, Any], str, str, dict[str, str]]:
        container = given.pop("container", self.container)
        netns = given.pop("netns", self.netns.path)
        named = {"ifname": "ifname", "cni_args": "args"}
        more = {theirs: given.pop(ours) for ours, theirs in named.items() if ours in given}
        conf = given.pop("conf", None)
        return self.plugin.conf(**given) if conf is None else conf, container, netns, more


def new_container() -> str:
    """Return a containerID as runtimes make them."""
    return secrets.token_hex(32)


def _is_socket(entry: os.DirEntry[str]) -> bool:
    return stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode)

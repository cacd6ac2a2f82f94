"""One attachment that a test has made: its names and places, and the calls that follow its ADD."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.netns import Netns
    from tests.support.plugin import Outcome, Plugin
    from tests.support.switch import Switch

CONTAINER = "c0ffee" * 10


@dataclass(frozen=True, kw_only=True)
class Attached:
    """An attachment of one container, as ADD answered it."""

    plugin: Plugin
    switch: Switch
    netns: Netns
    conf: dict[str, Any]
    result: dict[str, Any]
    container: str = CONTAINER
    ifname: str = "net1"

    def check(self, previous: dict[str, Any] | None = None, netns: str = "") -> Outcome:
        """CHECK with ADD's result, or another, as prevResult."""
        conf = {**self.conf, "prevResult": previous or self.result}
        return self.plugin.check(conf, self.container, netns or self.netns.path, ifname=self.ifname)

    def delete(self) -> Outcome:
        """DEL with the configuration of ADD."""
        return self.plugin.delete(self.conf, self.container, self.netns.path, ifname=self.ifname)

    @property
    def port(self) -> str:
        """The port's name."""
        return str(self.result["interfaces"][0]["name"])

    @property
    def directory(self) -> str:
        """The container's directory."""
        return f"{self.conf['sharedDir']}/{self.container}"

    @property
    def socket(self) -> str:
        """The socket in it."""
        return f"{self.directory}/{self.ifname}"

    @property
    def link(self) -> str:
        """The only short link of the node."""
        (name,) = os.listdir(self.plugin.links)
        return f"{self.plugin.links}/{name}"

    @property
    def record(self) -> str:
        """The file of the record."""
        folder = f"{self.plugin.state}/attachments/{self.container}"
        (name,) = (n for n in os.listdir(folder) if n.startswith(f"{self.ifname}@"))
        return f"{folder}/{name}"

    def set(self, table: str, column: str, value: str) -> None:
        """Change a column of the attachment's Port or Interface."""
        self.switch.vsctl("set", table, self.port, f"{column}={value}")

    def clear(self, table: str, column: str) -> None:
        """Empty a column of the attachment's Port or Interface."""
        self.switch.vsctl("clear", table, self.port, column)


def attach(
    plugin: Plugin,
    switch: Switch,
    netns: Netns,
    *,
    container: str = CONTAINER,
    ifname: str = "net1",
    **keys: Any,  # noqa: ANN401  any key of a netconf
) -> Attached:
    """Make an attachment; the bridge is made where the test made none. Raises AssertionError."""
    conf = plugin.conf(**{"createBridge": True, "sharedDir": plugin.shared, **keys})
    result = plugin.add(conf, container, netns.path, ifname=ifname).succeeded()
    return Attached(
        plugin=plugin,
        switch=switch,
        netns=netns,
        conf=conf,
        result=result,
        container=container,
        ifname=ifname,
    )

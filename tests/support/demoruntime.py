"""Who calls the plugin in the demo: cnitool, or the demo itself where there is no Go.

Owns the calls and what is shown of them. Between cnitool and the plugin stands
a script that keeps the request, so that what is shown is what the plugin got.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Protocol

from tests.support.cnitool import Cnitool, container_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.plugin import Plugin

KEEP = """\
#!/bin/sh
env | grep '^CNI_' >{keep}.env
cat >{keep}.json
exec {plugin} <{keep}.json
"""
SHOWN = ("CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME")


class Runtime(Protocol):
    """Calls the plugin for one network; raises CnitoolError or AssertionError with its words."""

    name: str
    conf: Mapping[str, Any]

    def add(self, netns: str) -> dict[str, Any]:
        """ADD; return the result."""

    def check(self, netns: str) -> None:
        """CHECK."""

    def delete(self, netns: str) -> None:
        """DEL."""

    def request(self) -> dict[str, str]:
        """Return the CNI_ variables of the last call."""

    def line(self) -> str:
        """Return the last call in one line."""

    def cached(self) -> list[str]:
        """Return what the runtime keeps of its attachments."""


class UnderCnitool:
    """cnitool, the CNI project's own runtime, calls the plugin."""

    name = "cnitool"

    def __init__(self, plugin: Plugin, conf: Mapping[str, Any], ifname: str) -> None:
        """Define the network. Raises GoToolsMissingError where there is no cnitool."""
        folder = os.path.join(plugin.directory, "recorder")
        self._keep = os.path.join(plugin.directory, "request")
        self._ifname = ifname
        self.conf = conf
        self._cnitool = Cnitool(plugin.directory, f"{folder}:{plugin.cni_path}", plugin.env)
        self._cnitool.define(conf)
        os.makedirs(folder)
        script = os.path.join(folder, "userspace")
        with open(script, "w", encoding="utf-8") as file:
            file.write(KEEP.format(keep=self._keep, plugin=plugin.executable))
        os.chmod(script, 0o755)  # noqa: S103  an executable

    def add(self, netns: str) -> dict[str, Any]:
        """ADD; return the result."""
        return self._cnitool.add(self.conf["name"], netns, ifname=self._ifname)

    def check(self, netns: str) -> None:
        """CHECK."""
        self._cnitool.check(self.conf["name"], netns, ifname=self._ifname)

    def delete(self, netns: str) -> None:
        """DEL."""
        self._cnitool.delete(self.conf["name"], netns, ifname=self._ifname)

    def request(self) -> dict[str, str]:
        """Return the CNI_ variables that the plugin got last."""
        with open(f"{self._keep}.env", encoding="utf-8") as file:
            given = dict(line.rstrip("\n").split("=", 1) for line in file)
        return {name: given[name] for name in SHOWN}

    def line(self) -> str:
        """Return the last call in one line."""
        got = self.request()
        with open(f"{self._keep}.json", encoding="utf-8") as file:
            with_result = "prevResult" in json.load(file)
        return _line(got, with_result=with_result)

    def cached(self) -> list[str]:
        """Return what libcni keeps of its attachments."""
        return self._cnitool.cached()


class Direct:
    """The demo calls the plugin as a runtime would."""

    name = "the demo"

    def __init__(self, plugin: Plugin, conf: Mapping[str, Any], ifname: str) -> None:
        """Keep what every call needs."""
        self._plugin = plugin
        self._ifname = ifname
        self._results: dict[str, dict[str, Any]] = {}
        self._last: dict[str, str] = {}
        self.conf = conf

    def add(self, netns: str) -> dict[str, Any]:
        """ADD; return the result."""
        container = self._note("ADD", netns)
        done = self._plugin.add(self.conf, container, netns, ifname=self._ifname)
        self._results[netns] = done.succeeded()
        return self._results[netns]

    def check(self, netns: str) -> None:
        """CHECK, with ADD's result."""
        conf = {**self.conf, "prevResult": self._results[netns]}
        self._plugin.check(conf, self._note("CHECK", netns), netns, ifname=self._ifname).succeeded()

    def delete(self, netns: str) -> None:
        """DEL."""
        self._plugin.delete(self.conf, self._note("DEL", netns), netns, ifname=self._ifname).succeeded()
        self._results.pop(netns, None)

    def request(self) -> dict[str, str]:
        """Return the CNI_ variables of the last call."""
        return self._last

    def line(self) -> str:
        """Return the last call in one line."""
        return _line(self._last, with_result=self._last["CNI_COMMAND"] == "CHECK")

    def cached(self) -> list[str]:
        """Return the namespaces whose result is kept."""
        return sorted(self._results)

    def _note(self, command: str, netns: str) -> str:
        container = container_id(netns)
        self._last = dict(zip(SHOWN, (command, container, netns, self._ifname), strict=True))
        return container


def _line(request: Mapping[str, str], *, with_result: bool) -> str:
    with_what = ", with ADD's result" if with_result else ""
    return f"{request['CNI_COMMAND']} {request['CNI_CONTAINERID']} {request['CNI_IFNAME']}{with_what}"

"""State that Intel's plugin left behind, met under the same executable name.

A node that changes from Intel's plugin to this one has pods that the other
made, and kubelet sends their DEL to us. It must succeed, for ever if need be,
and touch nothing: none of it bears our mark, and only a person can tell
whether it is still in use. `userspace gc` shows it to that person.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import intel
from tests.support.cnitool import LIBCNI_CACHE
from tests.support.plugin import DEADLINE_SECONDS, Outcome
from tests.support.shadow import shadowed

if TYPE_CHECKING:
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

POD = "0958c8871b32f4a7d1c6e0b9a8f7263514d0c9b8a7e6f5d4c3b2a19081726354"
NEIGHBOUR = POD[:12] + "0" * 52  # another pod, whose ID begins alike


class Node:
    """A node on which Intel's plugin has worked, and ours now has its name."""

    def __init__(self, plugin: Plugin, switch: Switch) -> None:
        """Give it a private /var/lib/cni."""
        self.plugin = plugin
        self.switch = switch
        self.var = os.path.join(plugin.directory, "var-lib-cni")
        self.saved = os.path.join(self.var, os.path.relpath(intel.SAVED_DATA, LIBCNI_CACHE))
        self.shared = os.path.join(plugin.directory, "intel")
        os.mkdir(self.shared)

    def conf(self, mode: str = "client") -> dict[str, Any]:
        """Return a netconf of Intel's."""
        return intel.netconf(self.shared, "br-intel", mode)

    def leave(self, mode: str = "client", ifname: str = "net1") -> intel.Leftover:
        """Let Intel's ADD fail half-way."""
        return intel.failed_add(self.switch.vsctl, self.conf(mode), POD, ifname, self.saved)

    def delete(self, conf: dict[str, Any], container: str = POD, netns: str = "") -> Outcome:
        """DEL by our plugin, where Intel's saved data are seen."""
        cni = {
            "CNI_COMMAND": "DEL",
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns,
            "CNI_IFNAME": "net1",
            "CNI_PATH": self.plugin.cni_path,
        }
        return self._run(cni, json.dumps(conf))

    def gc(self, *options: str) -> Outcome:
        """Run `userspace gc`, where Intel's saved data are seen."""
        return self._run({}, "", "gc", "--here", *options)  # the tests may run in a container

    def listed(self) -> list[tuple[str, str, str]]:
        """Return (container, interface, what) of everything that gc takes for Intel's."""
        found: list[dict[str, str]] = self.gc("--output", "json").succeeded()["findings"]
        return [(f["container"], f["ifname"], f["what"]) for f in found if f["kind"] == "intel"]

    def state(self) -> tuple[object, ...]:
        """Return all that Intel's plugin made, to compare before and after."""
        files = {}
        for folder, folders, names in os.walk(self.var):
            files.update(dict.fromkeys((os.path.join(folder, f) for f in folders), ""))
            for name in names:
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    files[path] = file.read()
        sockets = sorted(os.path.join(f, n) for f, d, names in os.walk(self.shared) for n in (*d, *names))
        rows = [
            (row["name"], row["_uuid"], row["type"], str(row["options"]), str(row["external_ids"]))
            for row in self.switch.rows("Interface")
        ]
        return files, sockets, sorted(rows), self.switch.bridges()

    def _run(self, cni: dict[str, str], stdin: str, *arguments: str) -> Outcome:
        done = subprocess.run(
            shadowed({LIBCNI_CACHE: self.var}, [self.plugin.executable, *arguments]),
            env={**self.plugin.env, **cni},
            input=stdin,
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
        return Outcome(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


@pytest.fixture
def node(plugin: Plugin, switch: Switch) -> Node:
    """Give a node that was Intel's."""
    return Node(plugin, switch)


@pytest.mark.parametrize("mode", ["client", "server"])
def test_del_succeeds_and_touches_nothing(node: Node, netns: Netns, mode: str) -> None:
    node.leave(mode)
    before = node.state()

    node.delete(node.conf(mode), netns=netns.path).succeeded()
    node.delete(node.conf(mode)).succeeded()

    assert node.state() == before
    assert node.plugin.files() == []


def test_del_succeeds_where_intels_own_fails(node: Node) -> None:
    left = node.leave()
    os.rmdir(left.directory)  # Intel's second DEL: "no such file or directory"
    node.delete(node.conf()).succeeded()
    node.switch.vsctl("del-br", left.bridge)  # and its DEL of a port without a bridge: "exit status 1"
    node.delete(node.conf()).succeeded()
    intel.failed_delete(left)
    node.delete(node.conf()).succeeded()


def test_del_of_a_container_with_the_same_first_12_characters_touches_nothing(node: Node) -> None:
    node.leave()
    before = node.state()

    node.delete(node.conf(), container=NEIGHBOUR).succeeded()

    assert node.state() == before


def test_an_attachment_of_ours_comes_and_goes_beside_it(node: Node, netns: Netns) -> None:
    node.leave()
    before = node.state()

    node.plugin.add(node.conf(), POD, netns.path).succeeded()
    node.plugin.delete(node.conf(), POD, netns.path).succeeded()

    assert node.state() == before
    assert node.plugin.files() == []


def test_add_does_not_take_over_a_port_of_the_same_name(node: Node, netns: Netns) -> None:
    left = node.leave(ifname="e0")  # a name that fits: at most 15 characters
    before = node.state()

    refused = node.plugin.add(node.conf(), POD, netns.path, ifname="e0")

    assert refused.returncode
    assert left.port in refused.words
    assert node.state() == before
    assert node.plugin.files() == []


def test_gc_of_the_network_touches_nothing(node: Node) -> None:
    node.leave()
    before = node.state()

    node.plugin.gc({**node.conf(), "cniVersion": "1.1.0"}, []).succeeded()

    assert node.state() == before


def test_userspace_gc_lists_the_file_and_the_port(node: Node) -> None:
    left = node.leave()

    shown = replace(left, saved=os.path.join(intel.SAVED_DATA, os.path.basename(left.saved)))
    assert node.listed() == [
        (POD[:12], "net1", f"file {shown.saved} (port {left.port})"),
        (POD[:12], "net1", f"port {left.port} at {left.path}"),
    ]


def test_userspace_gc_lists_a_server_port_by_its_name(node: Node) -> None:
    left = node.leave("server")

    assert (POD[:12], "net1", f"port {left.port}") in node.listed()


def test_userspace_gc_lists_the_port_whose_saved_data_intels_del_threw_away(node: Node) -> None:
    left = node.leave()
    intel.failed_delete(left)

    assert node.listed() == [(POD[:12], "net1", f"port {left.port} at {left.path}")]


def test_userspace_gc_never_removes_it(node: Node) -> None:
    node.leave()
    node.leave("server", "net10")
    before = node.state()

    shown = node.gc("--yes")

    assert shown.returncode == 0
    assert "left alone" in shown.stdout
    assert POD[:12] in shown.stdout
    assert node.state() == before


def test_userspace_gc_does_not_take_our_own_port_of_intels_form_for_intels(node: Node, netns: Netns) -> None:
    node.plugin.add(node.conf(), POD, netns.path).succeeded()

    assert node.listed() == []
    node.plugin.delete(node.conf(), POD, netns.path).succeeded()

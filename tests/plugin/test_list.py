"""`userspace list`, `show` and `topology` on a node with a real switch."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Attach
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

FIRST, SECOND = "aa11" * 16, "bb22" * 16
POD = "K8S_POD_NAMESPACE=lab;K8S_POD_NAME=tester;K8S_POD_UID=1-2-3"


def listed(plugin: Plugin, *more: str) -> dict[str, Any]:
    """Return the answer of `list -o json`."""
    return plugin.operator("list", "-o", "json", *more).succeeded()


def test_every_attachment_is_listed(plugin: Plugin, switch: Switch, attach: Attach) -> None:
    first = attach(container=FIRST, vlan=7, mtu=2000)
    second = attach(container=SECOND, ifname="net2", trunk=[{"minID": 10, "maxID": 12}])
    one, two = listed(plugin)["attachments"]
    assert one["container"] == FIRST
    assert (one["interface"], one["network"], one["bridge"]) == ("net1", "fast", "br0")
    assert one["port"] == first.port
    assert (one["vlan"], two["vlan"]) == ("7", "trunk 10-12")
    assert one["socket"] == first.socket
    assert (one["state"], one["link"], one["connected"]) == ("attached", "waiting", False)
    assert one["database"] == switch.remote
    assert two["port"] == second.port
    assert two["ofport"] == switch.row("Interface", second.port)["ofport"]


def test_the_table_has_a_line_for_each(plugin: Plugin, attach: Attach) -> None:
    attach(container=FIRST)
    attach(container=SECOND)
    outcome = plugin.operator("list")
    assert [line.split()[0] for line in outcome.stdout.splitlines()] == ["CONTAINER", FIRST[:12], SECOND[:12]]
    assert outcome.stderr == ""


def test_nothing_attached_is_said(plugin: Plugin) -> None:
    assert plugin.operator("list").stdout == "nothing is attached\n"


def test_a_pod_is_listed_by_its_name(plugin: Plugin, attach: Attach) -> None:
    made = attach(container=FIRST)
    made.delete().succeeded()
    plugin.add(made.conf, FIRST, made.netns.path, args=POD).succeeded()
    assert plugin.operator("list").stdout.splitlines()[1].startswith("lab/tester ")
    assert listed(plugin)["attachments"][0]["pod"] == {"namespace": "lab", "name": "tester", "uid": "1-2-3"}


def test_a_database_that_is_down_costs_what_it_alone_knows(
    plugin: Plugin, switch: Switch, attach: Attach
) -> None:
    made = attach(container=FIRST, vlan=7)
    switch.kill_ovsdb()
    answer = listed(plugin)
    (one,) = answer["attachments"]
    assert (one["port"], one["vlan"], one["link"], one["connected"]) == (made.port, "7", "unknown", None)
    assert switch.remote in answer["unread"][0]
    assert switch.remote in plugin.operator("list").stderr
    assert plugin.operator("show", FIRST[:6]).returncode == 0
    assert FIRST[:12] in plugin.operator("topology").stdout


def test_a_port_that_is_gone_shows(plugin: Plugin, switch: Switch, attach: Attach) -> None:
    made = attach(container=FIRST)
    switch.vsctl("del-port", made.port)
    assert listed(plugin)["attachments"][0]["link"] == "gone"
    assert "gone" in plugin.operator("topology").stdout


def test_a_marked_port_without_its_record_is_listed(plugin: Plugin, attach: Attach) -> None:
    made = attach(container=FIRST)
    os.unlink(made.record)
    (one,) = listed(plugin)["attachments"]
    assert (one["container"], one["state"], one["created"]) == (FIRST, "unrecorded", None)
    assert one["socket"] == made.socket
    assert plugin.operator("show", made.port).returncode == 0


def test_show_tells_record_rows_result_and_counters(plugin: Plugin, attach: Attach) -> None:
    made = attach(container=FIRST, vlan=7)
    told = plugin.operator("show", FIRST[:4], "-o", "json").succeeded()
    assert told["attachment"] == listed(plugin)["attachments"][0]
    assert told["record"]["result"]["interfaces"] == made.result["interfaces"]
    assert told["port"]["tag"] == [7]
    assert told["interface"]["type"] == "dpdkvhostuserclient"
    assert told["namespace"] == {"path": made.netns.path, "lives": True}
    words = plugin.operator("show", f"{FIRST}/net1").stdout
    for word in (made.port, made.socket, f"{made.netns.path} (lives)", "Port row:", "result:"):
        assert word in words


def test_show_refuses_what_is_nothing_or_several(plugin: Plugin, attach: Attach) -> None:
    attach(container=FIRST)
    attach(container=FIRST, ifname="net2")
    several = plugin.operator("show", "aa")
    assert several.returncode == 1
    assert f"{FIRST}/net2" in several.stderr
    nothing = plugin.operator("show", "cc")
    assert nothing.returncode == 1
    assert "no attachment is named 'cc'" in nothing.stderr
    assert "Traceback" not in several.stderr + nothing.stderr


def test_the_topology_has_others_ports_too(plugin: Plugin, switch: Switch, attach: Attach) -> None:
    made = attach(container=FIRST)
    switch.add_port("br0", "theirs", path=f"{plugin.directory}/theirs")
    text = plugin.operator("topology").stdout
    assert f"{FIRST[:12]} net1" in text
    assert "theirs" in text
    told = json.loads(plugin.operator("topology", "-o", "json").stdout)
    assert {p["port"] for b in told["bridges"] for p in b["plugs"]} == {made.port, "theirs"}
    picture = plugin.operator("topology", "-o", "svg").stdout
    assert ET.fromstring(picture).tag.endswith("svg")  # noqa: S314  our own

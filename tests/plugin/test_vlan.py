"""VLAN modes: what ADD asks of the switch's Port, what CHECK sees of it, what is refused before it.

What the switch then does to frames is shown in tests/system/test_frames_*.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Attach
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

MODES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "access": ({"vlan": 7, "vlanMode": "access"}, {"tag": 7, "vlan_mode": "access"}),
    "untagged frames only": ({"vlan": 0}, {"tag": 0}),
    "trunk": ({"vlanMode": "trunk", "trunk": [{"id": 5}]}, {"trunks": 5, "vlan_mode": "trunk"}),
    "native-tagged": (
        {"vlan": 7, "vlanMode": "native-tagged", "trunk": [{"minID": 8, "maxID": 9}]},
        {"tag": 7, "trunks": [8, 9], "vlan_mode": "native-tagged"},
    ),
    "native-untagged": (
        {"vlan": 7, "vlanMode": "native-untagged"},
        {"tag": 7, "vlan_mode": "native-untagged"},
    ),
    "dot1q-tunnel": ({"vlan": 7, "vlanMode": "dot1q-tunnel"}, {"tag": 7, "vlan_mode": "dot1q-tunnel"}),
    "protected": ({"vlan": 7, "protected": True}, {"tag": 7, "protected": True}),
}
DEFAULTS = {"tag": [], "trunks": [], "vlan_mode": [], "cvlans": [], "protected": False}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_becomes_the_columns_of_the_port_and_check_agrees(
    attach: Attach, switch: Switch, mode: str
) -> None:
    keys, columns = MODES[mode]
    attached = attach(**keys)
    row = switch.row("Port", attached.port)
    assert {name: row[name] for name in DEFAULTS} == DEFAULTS | columns
    attached.check().succeeded()
    attached.delete().succeeded()
    assert not switch.ports()


def test_customer_vlans_are_refused_where_the_switch_sees_one_tag_only(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    switch.add_bridge("br0")
    conf = plugin.conf(vlan=100, vlanMode="dot1q-tunnel", cvlans=[{"id": 7}])
    outcome = plugin.add(conf, "c1", netns.path)
    assert outcome.code == 7
    assert "vlan-limit of the switch is 1" in outcome.words
    assert not switch.ports()
    assert not plugin.files()


def test_customer_vlans_become_a_column_where_the_switch_sees_two_tags(
    attach: Attach, switch: Switch
) -> None:
    switch.vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:vlan-limit=2")
    try:
        attached = attach(vlan=100, vlanMode="dot1q-tunnel", cvlans=[{"id": 7}, {"minID": 9, "maxID": 10}])
        assert switch.row("Port", attached.port)["cvlans"] == [7, 9, 10]
        attached.check().succeeded()
        attached.clear("Port", "cvlans")
        assert "cvlans is []" in attached.check().words
    finally:
        switch.vsctl("--no-wait", "remove", "Open_vSwitch", ".", "other_config", "vlan-limit")


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("vlan_mode", "trunk", "vlan_mode is 'trunk'"),
        ("protected", "false", "protected is False"),
        ("cvlans", "5", "cvlans is [5]"),
    ],
)
def test_check_names_a_column_that_somebody_changed(
    attach: Attach, column: str, value: str, words: str
) -> None:
    attached = attach(vlan=7, vlanMode="access", protected=True)
    attached.set("Port", column, value)
    outcome = attached.check()
    assert (outcome.code, outcome.answer["details"].count("; ")) == (104, 0)
    assert words in outcome.words


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"vlan": 4095}, "$.vlan: 4095 is not within 0 and 4094"),
        ({"vlan": 5000}, "$.vlan: 5000 is not within 0 and 4094"),
        ({"trunk": [{"minID": 9, "maxID": 8}]}, "is upside down"),
        ({"vlan": 7, "vlanMode": "dot1q-tunnel", "cvlans": [{"minID": 9, "maxID": 8}]}, "$.cvlans[0]"),
        ({"vlanMode": "access"}, '$.vlanMode: "access" needs `vlan`'),
        ({"vlanMode": "trunk", "vlan": 7}, "$.vlan: 7 is not read with `vlanMode` trunk"),
        ({"vlan": 7, "cvlans": [{"id": 3}]}, "$.cvlans: "),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_is_made(
    plugin: Plugin, switch: Switch, netns: Netns, keys: dict[str, Any], words: str
) -> None:
    outcome = plugin.add(plugin.conf(createBridge=True, **keys), "c1", netns.path)
    assert outcome.code == 7
    assert words in outcome.words
    assert not switch.bridges()
    assert not plugin.files()

"""The settings of virtual functions as messages, held against pyroute2's own notation of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # type: ignore[import-untyped]

from cni_userspace.host.netlink_vfs import Vf, changes, read
from cni_userspace.host.rtmessages import LinkMessage

if TYPE_CHECKING:
    from collections.abc import Iterable

MAC = "02:00:00:00:00:07"
SAID = [  # what a driver like ixgbe answers for one VF
    ("IFLA_VF_MAC", {"vf": 3, "mac": MAC}),
    ("IFLA_VF_VLAN", {"vf": 3, "vlan": 100, "qos": 5}),
    (
        "IFLA_VF_VLAN_LIST",
        {"attrs": [("IFLA_VF_VLAN_INFO", {"vf": 3, "vlan": 100, "qos": 5, "proto": 0x88A8})]},
    ),
    ("IFLA_VF_RATE", {"vf": 3, "min_tx_rate": 10, "max_tx_rate": 4000000000}),
    ("IFLA_VF_SPOOFCHK", {"vf": 3, "spoofchk": 1}),
    ("IFLA_VF_LINK_STATE", {"vf": 3, "link_state": 2}),
    ("IFLA_VF_TRUST", {"vf": 3, "trust": 0}),
]
SEEN = Vf(
    index=3,
    mac=MAC,
    vlan=100,
    qos=5,
    proto="802.1ad",
    min_tx_rate=10,
    max_tx_rate=4000000000,
    spoofchk=True,
    trust=False,
    link_state="disable",
)


def attributes(message: Any, form: type) -> dict[str, Any]:  # noqa: ANN401
    """Encode a message about one VF, and return what the other form reads in it."""
    message.encode()
    again = form(bytes(message.data))
    again.decode()
    info = again.get_attr("IFLA_VFINFO_LIST").get_attr("IFLA_VF_INFO")
    return {name: dict(value) for name, value in info["attrs"]}


def about(form: type, attrs: Iterable[tuple[str, Any]]) -> Any:  # noqa: ANN401
    message = form()
    message["index"] = 7
    message["attrs"] = [("IFLA_VFINFO_LIST", {"attrs": [("IFLA_VF_INFO", {"attrs": list(attrs)})]})]
    return message


def told(attrs: Iterable[tuple[str, Any]]) -> Vf:
    message = about(ifinfmsg, attrs)
    message.encode()
    again = LinkMessage(bytes(message.data))
    again.decode()
    return read(again.get_attr("IFLA_VFINFO_LIST").get_attr("IFLA_VF_INFO"))


def asked(**given: Any) -> dict[str, Any]:  # noqa: ANN401
    return attributes(about(LinkMessage, changes(3, **given)), ifinfmsg)


def without(*names: str) -> list[tuple[str, Any]]:
    return [item for item in SAID if item[0] not in names]


def test_every_setting_is_read() -> None:
    assert told(SAID) == SEEN


def test_what_a_driver_does_not_say_is_none() -> None:
    unsaid = [
        ("IFLA_VF_SPOOFCHK", {"vf": 3, "spoofchk": 0xFFFFFFFF}),
        ("IFLA_VF_TRUST", {"vf": 3, "trust": 0xFFFFFFFF}),
    ]
    found = told([*without("IFLA_VF_SPOOFCHK", "IFLA_VF_TRUST"), *unsaid])
    assert (found.spoofchk, found.trust) == (None, None)


def test_what_an_older_kernel_leaves_out_is_none() -> None:
    found = told(without("IFLA_VF_SPOOFCHK", "IFLA_VF_TRUST", "IFLA_VF_LINK_STATE", "IFLA_VF_VLAN_LIST"))
    assert (found.spoofchk, found.trust, found.link_state, found.proto) == (None, None, "", "802.1q")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"mac": MAC}, {"IFLA_VF_MAC": {"mac": MAC}}),
        ({"vlan": (100, 5, "802.1q")}, {"IFLA_VF_VLAN": {"vlan": 100, "qos": 5}}),
        ({"rates": (10, 20)}, {"IFLA_VF_RATE": {"min_tx_rate": 10, "max_tx_rate": 20}}),
        ({"spoofchk": False}, {"IFLA_VF_SPOOFCHK": {"spoofchk": 0}}),
        ({"spoofchk": True}, {"IFLA_VF_SPOOFCHK": {"spoofchk": 1}}),
        ({"trust": True}, {"IFLA_VF_TRUST": {"trust": 1}}),
        ({"link_state": "auto"}, {"IFLA_VF_LINK_STATE": {"link_state": 0}}),
        ({"link_state": "enable"}, {"IFLA_VF_LINK_STATE": {"link_state": 1}}),
        ({"link_state": "disable"}, {"IFLA_VF_LINK_STATE": {"link_state": 2}}),
    ],
)
def test_a_change_says_what_it_changes_and_nothing_else(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert asked(**given) == {name: {"vf": 3, **value} for name, value in expected.items()}


def test_a_service_tag_is_a_list_of_one() -> None:
    found = asked(vlan=(100, 5, "802.1ad"))
    assert set(found) == {"IFLA_VF_VLAN_LIST"}
    ((name, value),) = found["IFLA_VF_VLAN_LIST"]["attrs"]
    assert (name, dict(value)) == ("IFLA_VF_VLAN_INFO", {"vf": 3, "vlan": 100, "qos": 5, "proto": 0x88A8})


def test_a_service_tag_has_the_size_of_the_kernels_struct() -> None:
    message = about(LinkMessage, changes(3, vlan=(100, 5, "802.1ad")))
    message.encode()
    (start,) = (i for i in range(len(message.data)) if message.data[i : i + 2] == b"\x88\xa8")
    header = start - 12 - 4  # struct nlattr, then vf, vlan, qos before the protocol
    assert int.from_bytes(message.data[header : header + 2], "little") == 4 + 16


def test_all_changes_are_one_attribute_of_one_vf() -> None:
    found = asked(
        mac=MAC, vlan=(1, 0, "802.1q"), rates=(0, 9), spoofchk=True, trust=False, link_state="enable"
    )
    assert set(found) == {name for name, _ in SAID if name != "IFLA_VF_VLAN_LIST"}


def test_no_change_is_no_attribute() -> None:
    assert changes(3) == []

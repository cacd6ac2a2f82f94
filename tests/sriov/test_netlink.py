"""What rtnetlink does with a real PF and its VFs; ip(8) says what is true."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace.host import netns
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.netlink import Link, Netlink
from tests.support.guest.nic import NO_MAC, link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.guest.nic import Device, Pf, Vf

SECONDS = 60.0
MAC = "02:00:00:00:12:34"


@pytest.fixture
def kernel() -> Iterator[Netlink]:
    """Give the conversation with this namespace's kernel."""
    with Netlink(Deadline(SECONDS)) as netlink:
        yield netlink


def found(kernel: Netlink, device: Device) -> Link:
    one = kernel.by_pci(device.address.upper())
    assert one is not None
    return one


def test_functions_are_found_by_their_addresses(kernel: Netlink, pf: Pf, vfs: tuple[Vf, ...]) -> None:
    for device in (pf, *vfs):
        true = link(device.netdev)
        seen = found(kernel, device)
        assert (seen.pci, seen.index, seen.name) == (device.address, true["ifindex"], true["ifname"])
        assert seen.permanent_mac == true.get("permaddr", true["address"])


def test_every_vf_is_told_in_its_order(kernel: Netlink, pf: Pf, vfs: tuple[Vf, ...]) -> None:
    told = kernel.vfs(found(kernel, pf).index)
    assert [vf.index for vf in told] == [vf.index for vf in vfs]
    assert [vf.mac for vf in told] == [vf.settings()["address"] for vf in vfs]


@pytest.mark.parametrize(
    "change",
    [  # what is given, what ip then says, what undoes it
        ({"mac": MAC}, {"address": MAC}, {"mac": NO_MAC}),
        ({"vlan": (100, 5, "802.1q")}, {"vlan_list": [{"vlan": 100, "qos": 5}]}, {"vlan": (0, 0, "802.1q")}),
        ({"rates": (0, 100)}, {"rate": {"max_tx": 100, "min_tx": 0}}, {"rates": (0, 0)}),
        ({"spoofchk": False}, {"spoofchk": False}, {"spoofchk": True}),
        ({"trust": True}, {"trust": True}, {"trust": False}),
        (
            {"mac": MAC, "vlan": (7, 0, "802.1q"), "spoofchk": False, "trust": True},
            {"address": MAC, "vlan_list": [{"vlan": 7}], "spoofchk": False, "trust": True},
            {"mac": NO_MAC, "vlan": (0, 0, "802.1q"), "spoofchk": True, "trust": False},
        ),
    ],
)
def test_a_setting_changes_and_goes_back(
    kernel: Netlink, pf: Pf, vf: Vf, change: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
) -> None:
    given, told, back = change
    index, others = found(kernel, pf).index, [one.settings() for one in pf.vfs()[1:]]
    before = kernel.vfs(index)[0]
    kernel.set_vf(index, vf.index, **given)
    settings = vf.settings()
    assert {key: settings[key] for key in told} == told
    seen = kernel.vfs(index)[0]
    plain = {key: value for key, value in given.items() if key in ("mac", "spoofchk", "trust")}
    assert seen.replace(**plain) == seen
    assert (seen.vlan, seen.qos, seen.proto) == given.get("vlan", (0, 0, "802.1q"))
    assert (seen.min_tx_rate, seen.max_tx_rate) == given.get("rates", (0, 0))
    assert [one.settings() for one in pf.vfs()[1:]] == others
    kernel.set_vf(index, vf.index, **back)
    assert kernel.vfs(index)[0].replace(mac="") == before.replace(mac="")


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ({"vlan": (100, 0, "802.1ad")}, errno.EPROTONOSUPPORT),
        ({"rates": (10, 100)}, errno.EINVAL),
        ({"link_state": "auto"}, errno.EOPNOTSUPP),
        ({"link_state": "enable"}, errno.EOPNOTSUPP),
        ({"link_state": "disable"}, errno.EOPNOTSUPP),
        ({"mac": "01:00:00:00:00:01"}, errno.EINVAL),
        ({"vlan": (4096, 0, "802.1q")}, errno.EINVAL),
    ],
)
def test_what_the_driver_cannot_is_its_error_and_changes_nothing(
    kernel: Netlink, pf: Pf, vf: Vf, given: dict[str, Any], number: int
) -> None:
    before = vf.settings()
    with pytest.raises(OSError, match=os.strerror(number)):
        kernel.set_vf(found(kernel, pf).index, vf.index, **given)
    assert vf.settings() == before


def test_what_was_done_before_a_failure_stays(kernel: Netlink, pf: Pf, vf: Vf) -> None:
    index = found(kernel, pf).index
    with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
        kernel.set_vf(index, vf.index, spoofchk=False, link_state="auto", trust=True)
    assert (vf.settings()["spoofchk"], vf.settings()["trust"]) == (False, False)
    kernel.set_vf(index, vf.index, spoofchk=True)


def test_a_vf_that_does_not_exist_is_einval(kernel: Netlink, pf: Pf, vfs: tuple[Vf, ...]) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        kernel.set_vf(found(kernel, pf).index, len(vfs), trust=True)


def test_a_device_is_awaited_that_comes_home_from_a_dead_namespace(kernel: Netlink, vf: Vf) -> None:
    before = found(kernel, vf)
    with netns.Temporary() as pod:
        kernel.move(before.index, pod, "net1")
        assert kernel.by_pci(vf.address) is None
    back = kernel.await_link(lambda one: one.pci == vf.address, Deadline(SECONDS))
    assert (back.name, back.mac, back.up) == ("net1", before.mac, False)
    kernel.rename(back.index, before.name)
    assert link(before.name)["address"] == before.mac

"""The way of a network device into a container, on a macvlan that stands in for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cni_userspace.attach.store import Key
from cni_userspace.cni.result import IP, Result
from cni_userspace.engines.sriov import kernel
from cni_userspace.engines.sriov.planning import Plan
from cni_userspace.errors import ConflictError
from cni_userspace.host import netns as namespaces
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.netlink import Netlink

if TYPE_CHECKING:
    from typing import Any

    from tests.conftest import MakeNetns
    from tests.support.netns import Netns

PF, VF = "0000:01:00.0", "0000:01:10.0"
ADDRESS = "192.0.2.2/24"
MAC = "02:00:00:00:00:01"


@pytest.fixture
def node(make_netns: MakeNetns) -> Netns:
    """Give a namespace with `vf0` and `vf1`, which are macvlans."""
    node = make_netns()
    node.run("ip", "link", "add", "name", "lower", "type", "veth", "peer", "name", "other")
    node.run("ip", "link", "set", "lower", "up")
    for name in ("vf0", "vf1"):
        node.run("ip", "link", "add", "link", "lower", "name", name, "type", "macvlan")
    return node


def plan(container: Netns) -> Plan:
    return Plan(
        key=Key(network="fast", container_id="one", ifname="net1"),
        place="",
        netns=container.path,
        netns_id=namespaces.identity(container.path),
        pod={},
        pf=PF,
        whole=False,
        candidates=(VF,),
        chosen=True,
        settings={},
        mac="",
        mtu=1400,
        dpdk=False,
        driver="",
    )


def move(node: Netns, container: Netns) -> dict[str, Any]:
    deadline = Deadline(30)
    with open(node.path, "rb") as there, Netlink(deadline, there.fileno()) as home:
        link = home.link("vf0")
        assert link is not None
        assigned = Result(ips=(IP(address=ADDRESS),))
        return kernel.move(plan(container), link, home, lambda: assigned, deadline)


def test_it_has_the_containers_name_and_what_was_asked_for(node: Netns, netns: Netns) -> None:
    made = move(node, netns)
    assert (made["mtu"], made["addresses"]) == (1400, [ADDRESS])
    assert "vf0" not in node.links()
    assert ADDRESS in netns.run("ip", "address", "show", "dev", "net1", "up")


def test_one_that_does_not_come_up_is_named_with_a_reason(node: Netns, netns: Netns) -> None:
    for name in ("vf0", "vf1"):  # two of one MAC: macvlan lets one come up
        node.run("ip", "link", "set", name, "address", MAC)
    node.run("ip", "link", "set", "vf1", "up")
    with pytest.raises(ConflictError, match="net1 does not come up") as caught:
        move(node, netns)
    assert caught.value.details == "Address already in use"
    assert "PF is up" in caught.value.hint


def test_one_whose_name_is_taken_in_the_container_is_told(node: Netns, netns: Netns) -> None:
    """The kernel moves first, then renames; the way back finds the device by its address."""
    netns.run("ip", "link", "add", "name", "net1", "type", "veth", "peer", "name", "p1")
    with pytest.raises(ConflictError, match="the container does not take vf0 as net1") as caught:
        move(node, netns)
    assert caught.value.details.startswith("File exists")

"""Marks: what they say is enough to find an attachment again, and only that one."""

from __future__ import annotations

from typing import Any

from cni_userspace.attach.store import Key
from cni_userspace.engines.ovs_dpdk import marks
from tests.support.plans import plan

ARGS = {"K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": "pod1", "K8S_POD_UID": "0aa9"}


def of_port(**keys: Any) -> dict[str, str]:  # noqa: ANN401  see plans.plan
    made = plan(**keys)
    return marks.of_port(made.as_dict(), made.key)


def test_every_mark_is_text_and_none_is_empty() -> None:
    for told in (of_port(), of_port(args=ARGS, delete_bridge=True)):
        assert all(isinstance(value, str) and value for value in told.values())


def test_a_port_says_whose_it_is() -> None:
    told = of_port(container="f" * 64, ifname="net7")
    assert told["owner"] == "cni-userspace"
    assert told["cni-container-id"] == "f" * 64  # whole: names are cut, this is not
    assert (told["cni-network"], told["cni-ifname"]) == ("fast", "net7")


def test_a_port_says_where_its_socket_and_namespace_are() -> None:
    told = of_port()
    assert (told["cni-directory"], told["cni-socket-name"]) == ("/run/cni-userspace/c1", "net1")
    assert (told["cni-netns"], told["cni-netns-id"]) == ("/run/netns/c1", "boot:4:4026532246")
    assert told["cni-attempt"] == "0123456789abcdef"


def test_a_port_says_which_pod_it_serves() -> None:
    told = of_port(args=ARGS)
    assert (told["pod-namespace"], told["pod-name"], told["pod-uid"]) == ("default", "pod1", "0aa9")
    assert not any(name.startswith("pod-") for name in of_port())


def test_an_interface_says_its_mac_under_the_name_that_others_read() -> None:
    made = plan(mac="02:00:00:00:00:01")
    assert marks.of_interface(made.as_dict(), made.key)["attached-mac"] == "02:00:00:00:00:01"


def test_marks_of_a_plan_read_back_are_enough_for_del() -> None:
    made = plan(args=ARGS, delete_bridge=True, create_bridge=True)
    found = marks._marked("unix:/db.sock", made.port, marks.of_port(made.as_dict(), made.key))  # noqa: SLF001
    assert found.key == made.key
    assert (found.netns, found.netns_id, found.pod) == (made.netns, made.netns_id, made.pod)
    assert found.plan["place"] == "unix:/db.sock"
    wanted = made.as_dict()
    known = {k: v for k, v in found.plan.items() if k not in ("place", "port")}
    assert known == {name: wanted[name] for name in known}
    assert {"directory", "socket_name", "own_directory", "delete_bridge", "bridge", "link"} <= set(known)


def test_a_port_with_our_mark_alone_is_found_without_an_identity() -> None:
    found = marks._marked("unix:/db.sock", "p", {"owner": "cni-userspace"})  # noqa: SLF001
    assert found.key == Key(network="", container_id="", ifname="")
    assert found.plan["directory"] == ""
    assert found.plan["own_directory"] is False


def test_a_condition_asks_for_all_marks_of_one_attachment() -> None:
    key = Key(network="fast", container_id="c1", ifname="net1")
    column, function, wanted = marks.condition(marks.identity(key))
    assert (column, function) == ("external_ids", "includes")
    assert dict(wanted[1]) == {
        "owner": "cni-userspace",
        "cni-network": "fast",
        "cni-container-id": "c1",
        "cni-ifname": "net1",
    }

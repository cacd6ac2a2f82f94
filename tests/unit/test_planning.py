"""The plan: names, paths and rows decided from netconf and facts alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cni_userspace.attach.naming import port_name, stable_mac
from cni_userspace.attach.store import Key
from cni_userspace.errors import ConflictError, InvalidConfigError
from tests.support.plans import plan

SERVER = "dpdkvhostuser"
FULL_ID = "f" * 64
KUBELET = (
    "/var/lib/kubelet/pods/0aa9e3f0-9b3a-4f2f-a4d6-5a3d4a3f2b1c/volumes/kubernetes.io~empty-dir/shared-dir"
)


def test_a_plan_is_the_same_for_the_same_words() -> None:
    assert plan(mtu=9000) == plan(mtu=9000)
    assert plan(mtu=9000) != plan(mtu=1500)


def test_the_socket_is_named_after_the_interface_in_the_containers_own_directory() -> None:
    made = plan(container=FULL_ID)
    assert made.directory == f"/run/cni-userspace/{FULL_ID}"
    assert made.switch_path == made.container_socket == f"{made.directory}/net1"
    assert made.socket_name == made.socketfile == "net1"
    assert made.shared_directory == made.directory


def test_the_port_is_named_after_the_whole_identity() -> None:
    assert plan(container=FULL_ID).port == port_name(FULL_ID, "net1")


def test_names_that_are_given_are_taken() -> None:
    made = plan(port_name="mgmt0", socket_name="vnf.sock")
    assert (made.port, made.socket_name) == ("mgmt0", "vnf.sock")
    assert made.switch_path.endswith("/c1/vnf.sock")


@pytest.mark.parametrize("name", [{"ifname": "userspace.json"}, {"socket_name": "userspace.json"}])
def test_the_name_of_the_interfaces_file_is_no_sockets(name: dict[str, Any]) -> None:
    with pytest.raises(ConflictError, match="the socket's name is taken"):
        plan(**name)
    assert plan(**{**name, "socket_name": "s"}).socket_name == "s"


def test_the_container_sees_the_socket_where_its_mount_is() -> None:
    made = plan(container_path="/var/run/userspace/")
    assert made.container_socket == "/var/run/userspace/net1"
    assert made.switch_path == "/run/cni-userspace/c1/net1"


@pytest.mark.parametrize(("kind", "mode"), [("dpdkvhostuserclient", "server"), (SERVER, "client")])
def test_the_applications_role_is_the_inverse_of_the_switchs(kind: str, mode: str) -> None:
    assert plan(interface_type=kind, container_path="/s").device_info == {
        "type": "vhost-user",
        "version": "1.1.0",
        "vhost-user": {"mode": mode, "path": "/s/net1"},
    }


def test_a_mac_is_made_up_where_none_is_given() -> None:
    assert plan().mac == stable_mac("c1", "net1")
    assert plan(mac="02:00:00:00:00:01").mac == "02:00:00:00:00:01"


def test_the_pod_is_known_from_cni_args() -> None:
    args = {"K8S_POD_NAMESPACE": "ns", "K8S_POD_NAME": "p", "K8S_POD_UID": "", "IgnoreUnknown": "1"}
    assert plan(args=args).pod == {"namespace": "ns", "name": "p"}
    assert plan().pod == {}


def test_a_plan_becomes_json_for_the_record() -> None:
    made = plan(trunk=(1, 2), vlan=7)
    kept = json.loads(json.dumps(made.as_dict()))
    assert kept == made.as_dict()
    assert kept["key"] == {"network": "fast", "container_id": "c1", "ifname": "net1"}
    assert (kept["trunk"], kept["vlan"]) == ([1, 2], 7)


def test_a_changed_copy_is_still_a_plan() -> None:
    copy = plan(trunk=(1, 2)).replace(mtu=9000)
    assert copy == plan(trunk=(1, 2), mtu=9000)
    assert copy.key == Key(network="fast", container_id="c1", ifname="net1")


# --- server mode


def test_in_server_mode_the_switch_names_the_socket_after_the_port() -> None:
    made = plan(interface_type=SERVER)
    assert made.switch_path == f"/run/openvswitch/{made.port}"
    assert made.container_socket == "/run/cni-userspace/c1/net1"
    assert not made.in_place


def test_in_server_mode_each_attempt_has_a_port_of_its_own() -> None:
    one, two = (plan(interface_type=SERVER, facts={"attempt": a}) for a in ("a" * 16, "b" * 16))
    assert one.port != two.port
    assert one.socket_name == two.socket_name == "net1"


def test_in_the_switchs_own_directory_the_socket_stays_where_it_is() -> None:
    made = plan(interface_type=SERVER, facts={"base": "/run/openvswitch"})
    assert made.in_place
    assert made.directory == "/run/openvswitch"
    assert made.socket_name == made.port
    assert made.container_socket == f"/run/openvswitch/{made.port}"
    assert made.shared_directory == ""
    assert not made.own_directory


def test_in_client_mode_the_switchs_directory_is_like_any_other() -> None:
    made = plan(facts={"base": "/run/openvswitch"})
    assert (made.directory, made.in_place) == ("/run/openvswitch/c1", False)


# --- Intel's names


def test_intels_dialect_keeps_intels_names() -> None:
    made = plan(container=FULL_ID, intel_names=True)
    assert made.socket_name == "f" * 12 + "-net1"
    assert made.port.startswith("f" * 7)
    assert len(made.port) == 15


def test_an_id_under_12_characters_is_no_trouble_in_intels_dialect() -> None:
    made = plan(container="c1", intel_names=True)
    assert (made.port, made.socket_name) == ("c1-net1", "c1-net1")


def test_names_that_are_given_win_over_intels() -> None:
    made = plan(intel_names=True, port_name="p", socket_name="s")
    assert (made.port, made.socket_name) == ("p", "s")


# --- whose the directory is


@pytest.mark.parametrize(
    ("there", "siblings", "ours"),
    [(False, False, True), (True, False, False), (True, True, True), (False, True, True)],
)
def test_a_directory_is_ours_if_we_make_it_or_a_sibling_of_ours_did(
    there: bool,  # noqa: FBT001  a column
    siblings: bool,  # noqa: FBT001
    ours: bool,  # noqa: FBT001
) -> None:
    facts = {"directory_exists": there, "siblings_own_directory": siblings}
    assert plan(facts=facts).own_directory is ours


# --- 107 bytes


def test_107_bytes_need_no_link() -> None:
    base = "/" + "b" * (107 - len("/c1/net1") - 1)
    made = plan(facts={"base": base})
    assert made.switch_path == f"{base}/c1/net1"
    assert len(made.switch_path) == 107


def test_a_longer_path_goes_by_a_short_link() -> None:
    base = "/" + "b" * (108 - len("/c1/net1") - 1)
    made = plan(facts={"base": base})
    assert made.link.startswith("/run/cni-userspace-links/")
    assert made.switch_path == f"{made.link}/net1"
    assert len(made.switch_path) < 50
    assert made.container_socket == f"{base}/c1/net1"


def test_bytes_count_and_not_characters() -> None:
    made = plan(facts={"base": "/" + "é" * 50})
    assert made.switch_path == f"{made.link}/net1"


def test_the_interfaces_of_a_container_share_their_link() -> None:
    facts = {"base": KUBELET}
    one, two = (plan(ifname=name, facts=facts) for name in ("net1", "net2"))
    assert one.link == two.link != ""
    assert plan(container="c2", facts=facts).link != one.link


def test_a_path_that_not_even_a_link_makes_short_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match="too long for a unix socket") as caught:
        plan(facts={"base": KUBELET}, link_dir="/" + "l" * 107)
    assert "107 fit" in caught.value.details


def test_a_long_socket_name_is_refused_where_it_does_not_fit() -> None:
    with pytest.raises(InvalidConfigError):
        plan(socket_name="s" * 107)


def test_a_switch_whose_directory_is_too_long_for_server_sockets_is_refused() -> None:
    with pytest.raises(InvalidConfigError):
        plan(interface_type=SERVER, facts={"socket_dir": "/" + "r" * 100})


# --- the bridge


def test_a_missing_bridge_is_refused_where_it_is_not_to_be_made() -> None:
    with pytest.raises(ConflictError, match="the bridge br7 does not exist") as caught:
        plan(bridge="br7", facts={"bridge_exists": False})
    assert "createBridge" in caught.value.hint


def test_a_missing_bridge_is_made_where_the_netconf_says_so() -> None:
    made = plan(create_bridge=True, facts={"bridge_exists": False})
    assert (made.create_bridge, made.bridge_exists) == (True, False)

"""Intel's netconf, read in this plugin's words."""

from __future__ import annotations

import json

import pytest

from cni_userspace.cni.nodefile import NodeFile
from tests.support.netconfs import INTEL_SIDE, base, host, sides
from tests.support.parsing import mistakes, ovs, parse


def test_intels_defaults_are_kept() -> None:
    conf = parse(
        {"cniVersion": "0.2.0", "type": "userspace", "host": {"engine": "ovs-dpdk", "iftype": "vhostuser"}}
    )
    options = ovs(conf.raw)
    assert (conf.dialect, conf.engine) == ("intel", "ovs-dpdk")
    assert (options.bridge, options.create_bridge, options.delete_bridge) == ("br0", True, True)
    assert options.interface_type == "dpdkvhostuser"  # every mode but "client" is a server there
    assert (options.intel_names, options.socket_name, options.port_name) == (True, "", "")
    assert (options.vlan, options.group) == (None, "")


def test_container_alone_is_intels_dialect_too() -> None:
    assert parse(base(container={})).dialect == "intel"


def test_what_intels_host_says_is_said_natively() -> None:
    options = ovs(
        host(
            vhost={"mode": "client", "group": "hugetlbfs", "socketfile": "a.sock"},
            bridge={"bridgeName": "br-4", "bridgeId": 4, "vlanId": 7},
        ),
    )
    assert options.interface_type == "dpdkvhostuserclient"
    assert (options.bridge, options.vlan) == ("br-4", 7)
    assert (options.socket_name, options.group) == ("a.sock", "hugetlbfs")


def test_vlan_id_0_means_none_as_in_go() -> None:
    assert ovs(host(bridge={"vlanId": 0})).vlan is None


def test_keys_within_host_are_read_without_regard_to_case() -> None:
    assert ovs(base(Host={"Vhost": {"Mode": "client"}, "bridge": {"bridgename": "b"}})).bridge == "b"


@pytest.mark.parametrize(
    ("container", "kind"), [("server", "dpdkvhostuserclient"), ("client", "dpdkvhostuser")]
)
def test_the_containers_role_is_the_inverse_of_the_hosts(container: str, kind: str) -> None:
    mode = "client" if container == "server" else "server"
    assert ovs(sides(mode, container)).interface_type == kind


def test_roles_that_never_meet_are_a_mistake() -> None:
    (mistake,) = mistakes(sides(None, "server"))
    assert mistake.startswith('$.container.vhost.mode: "server" never meets its peer')
    assert "the default" in mistake


def test_mistakes_show_the_users_own_words() -> None:
    config = host(bridge={"bridgeName": "a/b", "vlanId": 5000}, vhost={"mod": "client"})
    assert set(mistakes(config)) == {
        '$.host.bridge.bridgeName: "a/b" holds a slash; it is a name, not a path',
        "$.host.bridge.vlanId: 5000 is not within 0 and 4094",
        "$.host.vhost.mod: unknown key; did you mean `mode`?",
    }


def test_a_native_key_beside_host_adds_to_it() -> None:
    options = ovs(
        {**host(bridge={"bridgeName": "br-4"}), "mtu": 9000, "createBridge": False, "trunk": [{"id": 4}]}
    )
    assert (options.mtu, options.create_bridge, options.bridge, options.trunk) == (9000, False, "br-4", (4,))


def test_a_native_key_that_contradicts_host_is_a_mistake() -> None:
    said = '$.host.bridge.bridgeName: "br-4" contradicts $.bridge'
    assert mistakes({**host(bridge={"bridgeName": "br-4"}), "bridge": "br-5"}) == (said,)


def test_the_node_files_default_contradicts_nobody() -> None:
    node = NodeFile(path="/node", defaults={"bridge": "br-node", "createBridge": False})
    named = ovs(host(bridge={"bridgeName": "br-4"}), node)
    assert (named.bridge, named.create_bridge) == ("br-4", False)
    assert ovs(host(), node).bridge == "br-node"


def test_net_type_interface_is_refused_as_intel_refuses_it_for_ovs() -> None:
    (mistake,) = mistakes(host(netType="interface"))
    assert '$.host.netType: "interface" is not supported' in mistake
    assert parse(base(host=INTEL_SIDE, container={"netType": "interface"})).dialect == "intel"


def test_the_whole_netconf_of_intels_readme_passes() -> None:
    text = """{
        "cniVersion": "0.3.1", "type": "userspace", "name": "userspace-ovs-net-1",
        "kubeconfig": "/etc/cni/net.d/multus.d/multus.kubeconfig",
        "logFile": "/var/log/userspace-ovs-net-1-cni.log", "logLevel": "debug",
        "host": {"engine": "ovs-dpdk", "iftype": "vhostuser", "netType": "bridge",
                 "vhost": {"mode": "server"}, "bridge": {"bridgeName": "br-4"}},
        "container": {"engine": "ovs-dpdk", "iftype": "vhostuser", "netType": "interface",
                      "vhost": {"mode": "client"}},
        "ipam": {"type": "host-local", "subnet": "10.56.217.0/24", "rangeStart": "10.56.217.131",
                 "rangeEnd": "10.56.217.190", "routes": [{"dst": "0.0.0.0/0"}], "gateway": "10.56.217.1"}
    }"""
    conf = parse(json.loads(text))
    assert (conf.log_level, conf.ipam_type, conf.kubeconfig[-17:]) == (
        "debug",
        "host-local",
        "multus.kubeconfig",
    )


@pytest.mark.parametrize("wrong", [[], "x", 1, None, {"vhost": []}, {"bridge": 1}, {"memif": "x"}])
def test_a_host_that_is_wrong_is_a_mistake_and_no_traceback(wrong: object) -> None:
    assert len(mistakes(base(host=wrong))) == 1
    assert parse(base(host=wrong), strict=False).dialect == "intel"

"""What ADD answers: golden results of every version, chains, and what a runtime may ask for.

The golden files hold the JSON that the executable printed, with NETNS and
SHARED where the test's own paths stood; port name and MAC follow from the
containerID.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.node import BRIDGE
from tests.support.remains import device_info_file, host_local, leases

if TYPE_CHECKING:
    from tests.support.node import Node

pytestmark = pytest.mark.runtime

GOLDEN = Path(__file__).with_name("golden")
VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
CONTAINER = "4f1c" * 16
ROUTES = [{"dst": "0.0.0.0/0"}, {"dst": "2001:db8::/32", "gw": "fd00:9::fe", "mtu": 1400}]
STATIC = {
    "type": "static",
    "addresses": [
        {"address": "10.9.0.5/24", "gateway": "10.9.0.1"},
        {"address": "fd00:9::5/64", "gateway": "fd00:9::1"},
    ],
    "routes": ROUTES,
    "dns": {"nameservers": ["10.9.0.1"], "search": ["lab"]},
}
CASES = ("no IPAM", "host-local", "static")


def ipam(node: Node, case: str) -> dict[str, Any] | None:
    """Return what the netconf says of addresses."""
    return {"no IPAM": None, "host-local": host_local(node.plugin, routes=ROUTES), "static": STATIC}[case]


def plain(node: Node, answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without this test's own paths."""
    text = json.dumps(answer).replace(node.netns.path, "NETNS").replace(node.plugin.shared, "SHARED")
    result: dict[str, Any] = json.loads(text)
    return result


@pytest.mark.usefixtures("reference_plugins")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_result_is_the_golden_one(node: Node, version: str, case: str) -> None:
    conf = node.plugin.conf(cniVersion=version, mtu=9000, ipam=ipam(node, case))
    answer = node.add(conf=conf, container=CONTAINER).succeeded()
    golden = json.loads((GOLDEN / f"{version}.json").read_text(encoding="utf-8"))
    assert plain(node, answer) == golden[case]
    node.delete(conf=conf, container=CONTAINER).succeeded()
    assert node.left() == []


# --- chains

BEFORE: dict[str, Any] = {
    "interfaces": [
        {"name": "cni0", "mac": "02:00:00:00:00:01"},
        {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/x"},
    ],
    "ips": [{"address": "192.168.7.9/24", "gateway": "192.168.7.1", "interface": 1}],
    "routes": [{"dst": "0.0.0.0/0", "gw": "192.168.7.1"}],
    "dns": {"nameservers": ["192.168.7.1"]},
}


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_what_the_chain_made_before_is_passed_on(node: Node, version: str) -> None:
    before = {"cniVersion": version, **BEFORE}
    if version < "1.0.0":
        before["ips"] = [{"version": "4", **BEFORE["ips"][0]}]
    conf = node.plugin.conf(cniVersion=version, prevResult=before, ipam=STATIC if version < "1.1.0" else None)
    answer = node.add(conf=conf).succeeded()
    for key in ("interfaces", "ips", "routes"):
        known = before[key]
        assert answer[key][: len(known)] == known
    assert [i["name"] for i in answer["interfaces"][3:]] == ["net1"]
    assert all(ip["interface"] == 3 for ip in answer["ips"][1:])
    assert answer["dns"]["nameservers"][0] == "192.168.7.1"
    if version >= "0.4.0":
        node.check(conf={**conf, "prevResult": answer}).succeeded()
    node.delete(conf={**conf, "prevResult": answer}).succeeded()
    assert node.left() == []


def test_a_chains_result_of_an_older_version_is_read(node: Node) -> None:
    before = {"cniVersion": "0.2.0", "ip4": {"ip": "192.168.7.9/24", "gateway": "192.168.7.1"}}
    answer = node.add(prevResult=before).succeeded()
    assert answer["cniVersion"] == "1.1.0"
    assert answer["ips"] == [{"address": "192.168.7.9/24", "gateway": "192.168.7.1"}]


@pytest.mark.parametrize("before", [{"interfaces": {}}, {"ips": [{"address": "x"}]}, {"cniVersion": "7"}])
def test_a_malformed_result_of_the_chain_fails_before_anything_is_made(
    node: Node, before: dict[str, Any]
) -> None:
    failed = node.add(prevResult=before)
    assert failed.code == 6
    assert "prevResult" in failed.words
    assert node.left() == []


def test_a_malformed_result_of_the_chain_does_not_fail_del(node: Node) -> None:
    node.add().succeeded()
    node.delete(prevResult={"interfaces": {}}).succeeded()
    assert node.left() == []


# --- what a runtime may ask for


def inside(answer: dict[str, Any]) -> dict[str, Any]:
    (interface,) = (i for i in answer["interfaces"] if i.get("sandbox"))
    return dict(interface)


MACS: dict[str, dict[str, Any]] = {
    "runtimeConfig": {"runtimeConfig": {"mac": "02:00:00:00:00:01"}},
    "CNI_ARGS": {"cni_args": "IgnoreUnknown=1;MAC=02:00:00:00:00:02"},
    "args.cni": {"args": {"cni": {"mac": "02:00:00:00:00:03"}}},
    "the netconf": {"mac": "02:00:00:00:00:04"},
}


@pytest.mark.parametrize("first", range(len(MACS)))
def test_the_mac_is_the_runtimes_before_the_arguments_before_the_netconfs(node: Node, first: int) -> None:
    asked: dict[str, Any] = {}
    for given in list(MACS.values())[first:]:
        asked |= given
    answer = node.add(**asked).succeeded()
    assert inside(answer)["mac"] == f"02:00:00:00:00:0{first + 1}"
    (port,) = node.switch.ports(BRIDGE)
    assert node.switch.row("Interface", port)["external_ids"]["attached-mac"] == inside(answer)["mac"]


def test_without_a_mac_an_attachment_gets_the_same_local_one_again(node: Node) -> None:
    macs = []
    for ifname in ("net1", "net1", "net2"):
        macs.append(inside(node.add(ifname=ifname).succeeded())["mac"])
        node.delete(ifname=ifname).succeeded()
    assert macs[0] == macs[1] != macs[2]
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)  # locally administered, unicast


@pytest.mark.usefixtures("reference_plugins")
@pytest.mark.parametrize(
    "asked",
    [
        {"capabilities": {"ips": True}, "runtimeConfig": {"ips": ["10.9.0.7/24", "fd00:9::7/64"]}},
        {"args": {"cni": {"ips": ["10.9.0.7/24", "fd00:9::7/64"]}}},
        {"cni_args": "IgnoreUnknown=1;IP=10.9.0.7/24,fd00:9::7/64"},
    ],
)
def test_addresses_that_a_runtime_asks_for_reach_the_ipam_plugin(node: Node, asked: dict[str, Any]) -> None:
    answer = node.add(ipam={"type": "static"}, **asked).succeeded()
    assert [ip["address"] for ip in answer["ips"]] == ["10.9.0.7/24", "fd00:9::7/64"]


def test_the_pod_of_cni_args_is_on_the_port(node: Node) -> None:
    pod = {"K8S_POD_NAMESPACE": "lab", "K8S_POD_NAME": "vnf-0", "K8S_POD_UID": "0f-1"}
    node.add(cni_args=";".join(f"{k}={v}" for k, v in pod.items())).succeeded()
    (port,) = node.switch.ports(BRIDGE)
    marks = node.switch.row("Port", port)["external_ids"]
    assert [marks[f"pod-{name}"] for name in ("namespace", "name", "uid")] == list(pod.values())


@pytest.mark.parametrize(
    ("interface_type", "mode"), [("dpdkvhostuserclient", "server"), ("dpdkvhostuser", "client")]
)
def test_the_device_information_file_tells_mode_and_path(node: Node, interface_type: str, mode: str) -> None:
    file = device_info_file(node.plugin)
    asked = {"interface_type": interface_type, "runtimeConfig": {"CNIDeviceInfoFile": file}}
    answer = node.add(**asked).succeeded()
    with open(file, encoding="utf-8") as text:
        told = json.load(text)
    assert told["type"] == "vhost-user"
    assert told["vhost-user"] == {"mode": mode, "path": inside(answer)["socketPath"]}
    node.delete(**asked).succeeded()
    assert node.left() == []


def test_a_device_plugins_words_in_that_file_survive_an_attachment(node: Node) -> None:
    file = device_info_file(node.plugin)
    os.makedirs(os.path.dirname(file))
    theirs = {
        "type": "vhost-user",
        "version": "1.1.0",
        "vhost-user": {"mode": "server", "path": "/x"},
        "theirs": 1,
    }
    Path(file).write_text(json.dumps(theirs), encoding="utf-8")
    asked = {"runtimeConfig": {"CNIDeviceInfoFile": file}}
    answer = node.add(**asked).succeeded()
    told = json.loads(Path(file).read_text(encoding="utf-8"))
    assert told["theirs"] == 1
    assert told["vhost-user"]["path"] == inside(answer)["socketPath"]
    node.delete(**asked).succeeded()
    assert json.loads(Path(file).read_text(encoding="utf-8")) == theirs


# --- IPAM plugins that fail: small programs, because no real one does on request


def ipam_plugin(node: Node, script: str) -> dict[str, Any]:
    """Install an IPAM plugin; the script finds the real host-local's path in $REAL."""
    real = next(p for d in node.plugin.cni_path.split(":") if os.path.exists(p := f"{d}/host-local"))
    path = Path(node.plugin.bin, "moody")
    path.write_text(f"#!/bin/sh\nREAL={real}\nSTATE={node.plugin.directory}\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return {**host_local(node.plugin), "type": "moody"}


FAIL = """echo '{"code": 77, "msg": "no addresses today", "details": "ask again"}'; exit 1"""


def test_an_ipam_plugin_that_fails_leaves_nothing(node: Node) -> None:
    moody = ipam_plugin(node, f'[ "$CNI_COMMAND" = DEL ] || {{ {FAIL}; }}')
    failed = node.add(ipam=moody)
    assert failed.code == 77
    assert "no addresses today" in failed.words
    assert node.left() == []


def test_an_ipam_plugin_that_fails_after_it_assigned_leaves_nothing(node: Node) -> None:
    script = f'[ "$CNI_COMMAND" = ADD ] || exec $REAL; $REAL >/dev/null; {FAIL}'
    failed = node.add(cniVersion="1.0.0", ipam=ipam_plugin(node, script))
    assert failed.code == 77
    assert os.listdir(f"{node.plugin.directory}/ipam/fast")  # it had assigned something
    assert leases(node.plugin) == []
    assert node.left() == []


def test_exhausted_addresses_fail_one_attachment_and_leave_the_other(node: Node) -> None:
    few = host_local(node.plugin, ranges=[[{"subnet": "10.9.0.0/30", "rangeStart": "10.9.0.2"}]])
    conf = node.plugin.conf(cniVersion="1.0.0", ipam=few)
    answer = node.add(conf=conf).succeeded()
    failed = node.add(conf=conf, ifname="net2")
    assert "no IP addresses available" in failed.words
    assert node.told().keys() == {"net1"}
    node.check(conf={**conf, "prevResult": answer}).succeeded()
    node.delete(conf=conf).succeeded()
    assert node.left() == []


def test_a_missing_ipam_plugin_is_error_7_and_leaves_nothing(node: Node) -> None:
    failed = node.add(ipam={"type": "nobody"})
    assert failed.code == 7
    assert "nobody" in failed.words
    assert node.left() == []


def test_addresses_that_could_not_be_released_are_owed_and_released_later(node: Node) -> None:
    moody = ipam_plugin(node, f'[ "$CNI_COMMAND" = DEL ] && [ -e $STATE/ill ] && {{ {FAIL}; }}; exec $REAL')
    conf = node.plugin.conf(cniVersion="1.0.0", ipam=moody)
    node.add(conf=conf).succeeded()
    ill = Path(node.plugin.directory, "ill")
    ill.touch()

    failed = node.delete(conf=conf)
    assert failed.code == 11
    assert "no addresses today" in failed.words
    assert node.switch.ports() == set()
    assert len(node.debts()) == 1
    ill.unlink()
    node.add(ifname="net2").succeeded()  # any call settles
    assert node.debts() == leases(node.plugin) == []
    node.delete(ifname="net2").succeeded()
    assert node.left() == []

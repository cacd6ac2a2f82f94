"""The Arm servers' deployment: a whole PF as net0 beside a pod's own network.

As its document writes the delegate, called directly, and in today's form:
Multus reads a pod's annotation and the network from a real Kubernetes API,
which runs outside the guest.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import gotools
from tests.support.guest.nic import addresses, link
from tests.support.guest.outside import outside
from tests.support.kubeapi import KubeApi
from tests.support.kubeobjects import MULTUS_RULES, NETWORK_STATUS, NETWORKS, network, pod
from tests.support.multus import Multus, MultusError
from tests.support.need import missing
from tests.support.sriovconfs import ARM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.guest.nic import Pf, Vf
    from tests.support.kubeobjects import Object
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin

SANDBOX = "3b1c5a1be8d14a6c9f0e2b7d6a51c8e4f7b2d9035e6a1c4b8d7f0e9a2c3b5d62"
ATTEMPTS = 5  # Multus gives a question to the API 250 ms, and a kubelet calls it again


def document(plugin: Plugin, pf: Pf) -> dict[str, Any]:
    """Return the document's delegate, with the PF's name here, and leases in a place of ours."""
    ipam = {**ARM["ipam"], "dataDir": f"{plugin.directory}/ipam"}
    return {**ARM, "master": pf.netdev, "ipam": ipam}


def has_the_pf(netns: Netns, mac: str) -> bool:
    """Tell whether a pod has, beside eth0, the PF as net0 with the document's address and a default route."""
    assert sorted(netns.links()) == ["eth0", "net0"]
    assert addresses("net0", netns.name) == ["192.168.123.2/24"]
    routes = netns.run("ip", "route", "show", "default")
    assert "dev eth0" in routes
    assert "default via 192.168.123.1 dev net0" in routes
    return "UP" in link("net0", netns.name)["flags"] and link("net0", netns.name)["address"] == mac


def test_the_documents_delegate_gives_the_pf(plugin: Plugin, other_pf: Pf, netns: Netns) -> None:
    name, mac = other_pf.netdev, other_pf.link["address"]
    asked = document(plugin, other_pf)
    assert not {"name", "cniVersion"} & set(asked)
    for words in (
        "link add eth0 type dummy",
        "link set eth0 up",
        "address add 10.244.0.9/24 dev eth0",
        "route add default via 10.244.0.1",
    ):
        netns.run("ip", *words.split())

    result = plugin.add(asked, "one", netns.path, ifname="net0").succeeded()

    assert result["ip4"]["ip"] == "192.168.123.2/24"
    assert has_the_pf(netns, mac)
    assert other_pf.netdev == ""
    plugin.delete(asked, "one", netns.path, ifname="net0").succeeded()
    assert (other_pf.netdev, other_pf.link["address"]) == (name, mac)


# --- today


class Cluster:
    """One node whose Multus asks the API; a pod has a network of its own, and those that it asks for."""

    def __init__(self, api: KubeApi, plugin: Plugin, netns: Netns) -> None:
        """Give Multus the rights that its own deployment gives it."""
        self.api = api
        self.netns = netns
        self.multus = Multus(os.path.join(plugin.directory, "multus"), plugin.cni_path, plugin.env)
        leases = {"type": "host-local", "dataDir": f"{plugin.directory}/ipam"}
        routed = {**leases, "subnet": "10.244.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}
        pods = {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": routed}]}
        self.conf = self.multus.configuration([pods], kubeconfig=api.kubeconfig("multus", MULTUS_RULES))

    def run(self, name: str, asked: object) -> Object:
        """Make the pod with this annotation, ADD it as a kubelet does; return what it is told of net0."""
        text = asked if isinstance(asked, str) else json.dumps(asked)
        made = self.api.admin.create(pod(name, {NETWORKS: text}))
        for attempt in range(ATTEMPTS):
            try:
                self.multus.add(self.conf, SANDBOX, self.netns.path, name, made["metadata"]["uid"])
                break
            except MultusError as error:
                if attempt == ATTEMPTS - 1 or "context deadline exceeded" not in str(error):
                    raise
                self.remove(name)
        told = json.loads(self.api.admin.get("Pod", name)["metadata"]["annotations"][NETWORK_STATUS])
        (status,) = (one for one in told if not one.get("default"))
        return dict(status)

    def remove(self, name: str) -> None:
        """DEL that pod."""
        self.multus.delete(self.conf, SANDBOX, self.netns.path, name)


@pytest.fixture
def cluster(plugin: Plugin, netns: Netns) -> Iterator[Cluster]:
    """Give a node that takes part in the API outside."""
    gotools.needed()
    api = KubeApi.invited()
    if api is None:
        missing("no Kubernetes API beside the guest", "python -m tests.support.gotools kubernetes")
    with outside():
        api.clean()
        yield Cluster(api, plugin, netns)
        api.clean()


def test_a_pod_gets_the_pf_by_its_annotation(
    cluster: Cluster, plugin: Plugin, other_pf: Pf, netns: Netns
) -> None:
    name, mac = other_pf.netdev, other_pf.link["address"]
    today = {**document(plugin, other_pf), "cniVersion": "1.0.0", "type": "userspace"}
    cluster.api.admin.create(network("sriov-conf", today))

    status = cluster.run("firewall", "default/sriov-conf@net0")

    assert (status["name"], status["interface"]) == ("default/sriov-conf", "net0")
    assert (status["mac"], status["ips"]) == (mac, ["192.168.123.2"])
    assert has_the_pf(netns, mac)
    cluster.remove("firewall")
    assert netns.links() == []
    assert (other_pf.netdev, other_pf.link["address"]) == (name, mac)
    assert cluster.multus.cached() == []


def test_the_status_of_a_vf_that_a_device_plugin_gave_tells_its_address(
    cluster: Cluster, plugin: Plugin, pf: Pf, vf: Vf
) -> None:
    capable = {"capabilities": {"deviceID": True, "CNIDeviceInfoFile": True}}
    conf = plugin.conf(bridge=None, cniVersion="1.0.0", name=None, engine="sriov", vlan=5, **capable)
    cluster.api.admin.create(network("fast", conf))

    status = cluster.run("vnf", [{"name": "fast", "interface": "net0", "deviceID": vf.address}])

    told = status["device-info"]
    assert (told["type"], told["pci"]["pci-address"]) == ("pci", vf.address)
    assert told["pci"]["pf-pci-address"] == pf.address
    assert vf.settings()["vlan_list"] == [{"vlan": 5}]
    cluster.remove("vnf")
    assert vf.settings()["vlan_list"] == [{}]

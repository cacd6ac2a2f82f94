"""Multus 4.2 reads a pod's annotation and its networks from a real Kubernetes API.

What only this way shows: the networks, names and addresses that a pod asks for
reach the plugin, Multus writes what the plugin answered back to the pod, and a
pod whose object is long gone is still taken away.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import gotools
from tests.support.kubeobjects import MULTUS_RULES, NETWORK_STATUS, NETWORKS, network, pod
from tests.support.multus import Multus, MultusError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.apiserver import ApiServer
    from tests.support.kubeobjects import Object
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

SANDBOX = "7d0c5a1be8d14a6c9f0e2b7d6a51c8e4f7b2d9035e6a1c4b8d7f0e9a2c3b5d62"
MAC = "02:00:00:00:00:99"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One node with Multus, which asks the API; its pods have a pod network and our plugin's."""

    api: ApiServer
    multus: Multus
    conf: Object
    plugin: Plugin
    switch: Switch
    netns: Netns

    def run(self, asked: object, name: str = "vnf") -> Object:
        """Make the pod with this annotation (text, or JSON), ADD it; return it as it is then."""
        text = asked if isinstance(asked, str) else json.dumps(asked)
        made = self.api.admin.create(pod(name, {NETWORKS: text}))
        self.multus.add(self.conf, SANDBOX, self.netns.path, name, made["metadata"]["uid"])
        return self.api.admin.get("Pod", name)

    def remove(self, made: Object) -> None:
        """DEL that pod, whose object may be gone."""
        about = made["metadata"]
        self.multus.delete(self.conf, SANDBOX, self.netns.path, about["name"], about["uid"])

    def define(self, name: str, **keys: Any) -> Object:  # noqa: ANN401  keys of a netconf
        """Make a network of the plugin, which takes its name from the object."""
        return self.api.admin.create(network(name, self.plugin.conf(cniVersion="1.0.0", name=None, **keys)))

    def nothing_is_left(self) -> None:
        """Hold that nobody knows the pod any more; the pod network's interface went with the others."""
        assert self.switch.ports() == set()
        assert self.plugin.files() == []
        assert os.listdir(self.plugin.shared) == []
        assert self.multus.cached() == []
        assert not os.path.exists(self.netns.path) or self.netns.links() == []


@pytest.fixture
def cluster(api: ApiServer, plugin: Plugin, switch: Switch, netns: Netns) -> Iterator[Cluster]:
    """Give a node whose Multus has the rights that its own deployment gives it, and a bridge br0."""
    gotools.needed()
    switch.add_bridge("br0")
    multus = Multus(os.path.join(plugin.directory, "multus"), plugin.cni_path, plugin.env)
    # A kernel interface that changes nothing of the host but for one bridge: no gateway, no forwarding.
    bridge = f"us{os.path.basename(plugin.directory)[-8:]}"
    leases = os.path.join(plugin.directory, "ipam")
    addresses = {"type": "host-local", "dataDir": leases, "subnet": "10.5.0.0/24"}
    pods = {"type": "bridge", "bridge": bridge, "ipam": addresses}
    conf = multus.configuration(
        [{"cniVersion": "1.0.0", "name": "pods", "plugins": [pods]}],
        kubeconfig=api.kubeconfig("multus", MULTUS_RULES),
    )
    yield Cluster(api=api, multus=multus, conf=conf, plugin=plugin, switch=switch, netns=netns)
    subprocess.run(["ip", "link", "delete", bridge], check=False, capture_output=True)


def statuses(made: Object) -> list[Object]:
    """Return what Multus wrote to the pod about the networks that it asked for."""
    told: list[Object] = json.loads(made["metadata"]["annotations"][NETWORK_STATUS])
    assert [status["name"] for status in told if status.get("default")] == ["pods"]
    return [status for status in told if not status.get("default")]


def test_a_pod_gets_the_network_that_its_annotation_names(cluster: Cluster) -> None:
    cluster.define("fast")

    made = cluster.run("default/fast@net0")

    (status,) = statuses(made)
    assert (status["name"], status["interface"]) == ("default/fast", "net0")
    assert len(cluster.switch.ports("br0")) == 1
    assert cluster.netns.links() == ["eth0"]
    cluster.remove(made)
    cluster.nothing_is_left()


def test_the_status_tells_of_the_device(cluster: Cluster) -> None:
    cluster.define("fast", capabilities={"deviceID": True, "CNIDeviceInfoFile": True})

    made = cluster.run([{"name": "fast", "interface": "net0", "deviceID": "vhost-pool-0"}])

    (status,) = statuses(made)
    path = os.path.join(cluster.plugin.shared, SANDBOX, "net0")
    assert status["device-info"]["type"] == "vhost-user"
    assert status["device-info"]["vhost-user"] == {"mode": "server", "path": path}
    cluster.remove(made)
    cluster.nothing_is_left()


def test_a_pod_has_the_mac_and_the_address_that_it_asks_for(cluster: Cluster) -> None:
    cluster.define("fast", capabilities={"mac": True, "ips": True}, ipam={"type": "static"})

    made = cluster.run([{"name": "fast", "interface": "net0", "mac": MAC, "ips": ["10.6.0.9/24"]}])

    (status,) = statuses(made)
    assert (status["mac"], status["ips"]) == (MAC, ["10.6.0.9"])
    cluster.remove(made)
    cluster.nothing_is_left()


def test_lists_and_plugins_serve_one_pod(cluster: Cluster) -> None:
    cluster.define("one")
    keys = {"bridge": "br-vnf", "createBridge": True, "deleteBridge": True}
    ours = cluster.plugin.conf(cniVersion=None, name=None, **keys)
    listed = {"cniVersion": "1.0.0", "plugins": [ours, {"type": "portmap"}]}
    cluster.api.admin.create(network("two", listed))

    made = cluster.run("one,two")

    assert [(s["name"], s["interface"]) for s in statuses(made)] == [
        ("default/one", "net1"),
        ("default/two", "net2"),
    ]
    assert len(cluster.switch.ports("br0")) == len(cluster.switch.ports("br-vnf")) == 1
    cluster.remove(made)
    assert cluster.switch.bridges() == {"br0"}
    cluster.nothing_is_left()


def test_a_pod_is_taken_away_after_its_object_and_its_network_have_gone(cluster: Cluster) -> None:
    defined = cluster.define("fast")
    made = cluster.run("fast@net0")
    cluster.api.admin.delete(made)
    cluster.api.admin.delete(defined)
    cluster.netns.close()

    cluster.remove(made)

    cluster.nothing_is_left()


def test_a_pod_is_taken_away_while_the_api_is_down(cluster: Cluster) -> None:
    cluster.define("fast")
    made = cluster.run("fast@net0")
    cluster.api.kill_apiserver()

    cluster.remove(made)

    cluster.nothing_is_left()


def test_a_pod_whose_network_is_refused_has_nothing_and_no_status(cluster: Cluster) -> None:
    cluster.define("fast")
    cluster.define("broken", bridge="br-not-there")

    with pytest.raises(MultusError, match="br-not-there"):
        cluster.run("fast,broken")

    made = cluster.api.admin.get("Pod", "vnf")
    assert NETWORK_STATUS not in made["metadata"]["annotations"]
    cluster.remove(made)  # as the runtime does after a failed ADD
    cluster.nothing_is_left()

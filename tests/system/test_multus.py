"""Multus 4.2 calls the plugin as a delegate, without a cluster.

What Multus does that no other runtime does: empty cniVersion, DEL with a
config stripped of every key of the plugin's own, duplicate CNI_ARGS, device
information files (tests/support/multus.py names the sources).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import gotools
from tests.support.multus import Multus, MultusError

if TYPE_CHECKING:
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

POD = "3f5c0a9be8d14a6c9f0e2b7d6a51c8e4f7b2d9035e6a1c4b8d7f0e9a2c3b5d61"
MAC = "02:00:00:00:00:99"


@pytest.fixture
def multus(plugin: Plugin, switch: Switch) -> Multus:
    """Give Multus with a cache of its own, and a bridge br0."""
    gotools.needed()
    switch.add_bridge("br0")
    return Multus(os.path.join(plugin.directory, "multus"), plugin.cni_path, plugin.env)


def host_local(plugin: Plugin, subnet: str) -> dict[str, Any]:
    """Return an IPAM configuration whose leases are in the plugin's directory."""
    return {"type": "host-local", "dataDir": os.path.join(plugin.directory, "ipam"), "subnet": subnet}


def leases(plugin: Plugin) -> list[str]:
    """Return the addresses that host-local holds, of all networks."""
    found = []
    for _, _, files in os.walk(os.path.join(plugin.directory, "ipam")):
        found += [name for name in files if name != "lock" and not name.startswith("last_reserved")]
    return sorted(found)


def single(plugin: Plugin, name: str, subnet: str, **keys: Any) -> dict[str, Any]:  # noqa: ANN401  keys of a netconf
    """Return a delegate that is one plugin."""
    return plugin.conf(cniVersion="1.0.0", name=name, ipam=host_local(plugin, subnet), **keys)


def listed(plugin: Plugin, name: str, subnet: str, **keys: Any) -> dict[str, Any]:  # noqa: ANN401  keys of a netconf
    """Return a delegate that is a list: the plugin, and one behind it that wants a prevResult."""
    ours = plugin.conf(cniVersion=None, name=None, ipam=host_local(plugin, subnet), **keys)
    return {"cniVersion": "1.0.0", "name": name, "plugins": [ours, {"type": "portmap"}]}


def unversioned(delegate: dict[str, Any]) -> dict[str, Any]:
    """Return a delegate without cniVersion, which makes Multus strip its DEL."""
    return {key: value for key, value in delegate.items() if key != "cniVersion"}


def nothing_is_left(plugin: Plugin, switch: Switch, multus: Multus) -> None:
    """Hold that switch, directories, records, leases and Multus' cache know nothing any more."""
    assert switch.ports() == set()
    assert plugin.files() == []
    assert os.listdir(plugin.shared) == []
    assert leases(plugin) == []
    assert multus.cached() == []


def attachments(plugin: Plugin) -> list[str]:
    """Return the interfaces of the pod that its directory tells of."""
    with open(os.path.join(plugin.shared, POD, "userspace.json"), encoding="utf-8") as file:
        told: dict[str, Any] = json.load(file)
    return sorted(told["interfaces"])


def test_a_plugin_and_a_list_are_attached_and_detached(
    multus: Multus, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    conf = multus.configuration([single(plugin, "one", "10.1.0.0/24"), listed(plugin, "two", "10.2.0.0/24")])

    result = multus.add(conf, POD, netns.path)

    assert [i["name"] for i in result["interfaces"] if i.get("sandbox")] == ["eth0"]  # the first delegate's
    assert len(switch.ports("br0")) == 2
    assert attachments(plugin) == ["eth0", "net1"]
    assert leases(plugin) == ["10.1.0.2", "10.2.0.2"]
    assert multus.cached() == [POD, f"results/one-{POD}-eth0", f"results/two-{POD}-net1"]

    multus.delete(conf, POD, netns.path)

    nothing_is_left(plugin, switch, multus)
    multus.delete(conf, POD, netns.path)


def test_del_without_a_key_of_ours_leaves_nothing(
    multus: Multus, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    delegate = unversioned(
        listed(plugin, "two", "10.2.0.0/24", bridge="br-vnf", createBridge=True, deleteBridge=True)
    )
    conf = multus.configuration([delegate])
    multus.add(conf, POD, netns.path)
    assert switch.bridges() == {"br0", "br-vnf"}

    multus.delete(conf, POD, netns.path)

    # What Multus sent is in its log: no bridge, and nothing of IPAM but its type.
    with open(multus.log, encoding="utf-8") as log:
        sent = next(line for line in log if " Del: " in line)
    assert '"ipam":{"type":"host-local"}' in sent
    assert "br-vnf" not in sent
    assert switch.bridges() == {"br0"}
    nothing_is_left(plugin, switch, multus)


def test_del_works_when_the_namespace_is_gone(
    multus: Multus, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    conf = multus.configuration(
        [single(plugin, "one", "10.1.0.0/24"), unversioned(listed(plugin, "two", "10.2.0.0/24"))]
    )
    multus.add(conf, POD, netns.path)
    netns.close()

    multus.delete(conf, POD, netns.path)

    nothing_is_left(plugin, switch, multus)


def test_a_delegate_that_fails_takes_its_neighbour_with_it(
    multus: Multus, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    broken = single(plugin, "two", "10.2.0.0/24", bridge="br-not-there")
    conf = multus.configuration([single(plugin, "one", "10.1.0.0/24"), broken])

    with pytest.raises(MultusError, match="br-not-there"):
        multus.add(conf, POD, netns.path)

    multus.delete(conf, POD, netns.path)  # as the runtime does after a failed ADD
    nothing_is_left(plugin, switch, multus)


def test_the_device_information_is_where_multus_looks_for_it(
    multus: Multus, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    delegate = single(
        plugin, "one", "10.1.0.0/24", capabilities={"deviceID": True, "CNIDeviceInfoFile": True}
    )
    conf = multus.configuration([delegate], device_id="vhost-pool-0")

    multus.add(conf, POD, netns.path)

    path = os.path.join(multus.device_info, "devinfo", "cni", f"one-{POD}_eth0")
    with open(path, encoding="utf-8") as file:
        told = json.load(file)
    assert told["type"] == "vhost-user"
    assert told["vhost-user"] == {"mode": "server", "path": os.path.join(plugin.shared, POD, "eth0")}
    multus.delete(conf, POD, netns.path)
    assert not os.path.exists(path)
    nothing_is_left(plugin, switch, multus)

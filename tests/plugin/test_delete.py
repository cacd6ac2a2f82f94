"""DEL: it gets there whatever is missing, wrong or gone, any number of times, and takes only its own."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace import schema
from tests.support.node import BRIDGE, new_container
from tests.support.remains import device_info_file, host_local, leases

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.node import Node

pytestmark = pytest.mark.runtime

STRIPPED = {"cniVersion": "1.0.0", "name": "fast", "type": "userspace"}  # as Multus 4.2 strips a conflist
KINDS = ("dpdkvhostuserclient", "dpdkvhostuser")


def everything(node: Node) -> dict[str, Any]:
    """Return a netconf whose ADD makes all that an ADD can make."""
    return node.plugin.conf(
        cniVersion="1.0.0",
        bridge="auto",
        createBridge=True,
        deleteBridge=True,
        sharedDir=os.path.join(node.plugin.shared, "d" * 60),  # needs a short link
        mtu=1400,
        ipam=host_local(node.plugin),
        runtimeConfig={"CNIDeviceInfoFile": device_info_file(node.plugin)},
    )


def left(node: Node) -> list[str]:
    """Return what is left but the shared directory itself, which is the administrator's."""
    long = os.path.join(node.plugin.shared, "d" * 60)
    return [path for path in node.left() if path != long]


def test_an_add_makes_all_that_these_tests_look_for(node: Node) -> None:
    node.add(conf=everything(node)).succeeded()
    found = "\n".join(left(node))
    for place in ("port vhu", "bridge auto", "/userspace.json", "/l/", "net1@", "/ipam/", "/devinfo/"):
        assert place in found


# --- the configuration


WRONG: dict[str, Any] = {
    "text": "no such thing/",
    "number": -1,
    "list": [[]],
    "object": {"x": 1},
    "null": None,
}


@pytest.mark.parametrize("kind", KINDS)
def test_del_with_every_key_of_the_plugins_own_missing_succeeds(node: Node, kind: str) -> None:
    conf = {**everything(node), "interface_type": kind}
    node.add(conf=conf).succeeded()
    node.delete(conf=STRIPPED).succeeded()
    assert left(node) == []


@pytest.mark.parametrize("wrong", WRONG)
def test_del_with_every_key_of_the_plugins_own_wrong_succeeds(node: Node, wrong: str) -> None:
    node.add(conf=everything(node)).succeeded()
    keys = [*schema.properties(), "unknown"]
    node.delete(conf={**dict.fromkeys(keys, WRONG[wrong]), **STRIPPED}).succeeded()
    assert left(node) == []


@pytest.mark.parametrize("wrong", ["", "no JSON", "[]", '{"stateDir": 5, "sharedDir": [], "typo": 1}'])
def test_del_with_a_node_file_that_is_wrong_beside_its_state_directory_succeeds(
    node: Node, wrong: str
) -> None:
    node.add(conf=everything(node)).succeeded()
    node.plugin.set_node(vlan=9999, typo=1, sharedDir=7, socket_file=wrong)
    node.delete(conf=STRIPPED).succeeded()
    assert left(node) == []


def test_del_with_the_config_that_multus_strips_releases_the_addresses(node: Node) -> None:
    node.add(conf=everything(node)).succeeded()
    assert leases(node.plugin)
    multus = {**STRIPPED, "ipam": {"type": "host-local"}, "capabilities": {}, "runtimeConfig": {}}
    node.delete(conf={**multus, "prevResult": {"cniVersion": "1.0.0", "ips": []}}).succeeded()
    assert leases(node.plugin) == left(node) == []


# --- what can be gone


def netns_gone(node: Node) -> None:
    node.netns.close()


def directory_gone(node: Node) -> None:
    shutil.rmtree(node.plugin.shared)
    os.mkdir(node.plugin.shared)


def short_link_gone(node: Node) -> None:
    for name in os.listdir(node.plugin.links):
        os.unlink(os.path.join(node.plugin.links, name))


def bridge_gone(node: Node) -> None:
    node.switch.vsctl("del-br", "auto")


def port_gone(node: Node) -> None:
    for name in node.switch.ports("auto"):
        node.switch.vsctl("del-port", name)


def port_moved(node: Node) -> None:
    (name,) = node.switch.ports("auto")
    uuid = node.switch.row("Port", name)["_uuid"]
    node.switch.vsctl("remove", "bridge", "auto", "ports", uuid, "--", "add", "bridge", BRIDGE, "ports", uuid)


def database_new(node: Node) -> None:
    for name in node.switch.bridges() - {BRIDGE}:
        node.switch.vsctl("del-br", name)
    node.switch.vsctl("clear", "Open_vSwitch", ".", "external_ids")


def leases_gone(node: Node) -> None:
    shutil.rmtree(f"{node.plugin.directory}/ipam")


def device_information_gone(node: Node) -> None:
    os.unlink(device_info_file(node.plugin))


def entry_gone(node: Node) -> None:
    os.unlink(os.path.join(node.plugin.shared, "d" * 60, node.container, "userspace.json"))


def all_gone(node: Node) -> None:
    for step in (
        netns_gone,
        directory_gone,
        short_link_gone,
        bridge_gone,
        leases_gone,
        device_information_gone,
    ):
        step(node)


GONE = (
    netns_gone,
    directory_gone,
    short_link_gone,
    bridge_gone,
    port_gone,
    port_moved,
    database_new,
    leases_gone,
    device_information_gone,
    entry_gone,
    all_gone,
)


@pytest.mark.parametrize("gone", GONE)
def test_del_succeeds_any_number_of_times_with(node: Node, gone: Callable[[Node], None]) -> None:
    conf = everything(node)
    node.add(conf=conf).succeeded()
    gone(node)
    for _ in range(3):
        node.delete(conf=conf).succeeded()
    assert left(node) == []


def test_del_of_what_was_never_added_succeeds_and_makes_nothing(node: Node) -> None:
    for conf in (everything(node), STRIPPED):
        node.delete(conf=conf, container=new_container()).succeeded()
    assert left(node) == []


def test_del_on_a_node_without_a_switch_of_what_was_never_added_succeeds(node: Node) -> None:
    conf = {**everything(node), "socket_file": "/nowhere/db.sock", "ipam": None}
    node.delete(conf=conf).succeeded()
    assert left(node) == []


# --- the record


def torn(record: str) -> None:
    os.truncate(record, os.path.getsize(record) // 2)


def emptied(record: str) -> None:
    os.truncate(record, 0)


def garbled(record: str) -> None:
    Path(record).write_bytes(os.urandom(2000))


def of_a_later_format(record: str) -> None:
    Path(record).write_text('{"format": 99, "something": "else"}', encoding="utf-8")


RUINED = (os.unlink, torn, emptied, garbled, of_a_later_format)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ruin", RUINED)
def test_del_gets_there_by_the_marks_with_its_record(
    node: Node, ruin: Callable[[str], None], kind: str
) -> None:
    conf = {**everything(node), "interface_type": kind}
    del conf["runtimeConfig"]  # nothing but the record knows that file, and Multus deletes it itself
    node.add(conf=conf).succeeded()
    ruin(node.record())
    for _ in range(2):
        node.delete(conf=conf).succeeded()
    assert left(node) == []


def test_an_add_after_a_ruined_record_and_its_del_works(node: Node) -> None:
    conf = everything(node)
    for ruin in RUINED:
        node.add(conf=conf).succeeded()
        ruin(node.record())
        node.delete(conf=conf).succeeded()
    node.add(conf=conf).succeeded()
    node.delete(conf=conf).succeeded()
    assert left(node) == []


def test_del_with_the_whole_state_directory_gone_succeeds(node: Node) -> None:
    conf = node.plugin.conf()
    node.add(conf=conf).succeeded()
    shutil.rmtree(node.plugin.state)
    node.delete(conf=conf).succeeded()
    assert node.left() == []


def test_del_whose_records_cannot_be_read_takes_all_else_and_says_so(node: Node) -> None:
    node.add().succeeded()
    folder = os.path.dirname(node.record())
    shutil.rmtree(folder)
    Path(folder).touch()  # no directory: not even root can look into it

    failed = node.delete()

    assert failed.code == 5
    assert folder in failed.words
    assert node.left() == [folder]
    os.unlink(folder)
    node.delete().succeeded()
    assert node.left() == []


@pytest.mark.parametrize("ruin", [os.unlink, torn])
def test_del_leaves_the_directory_to_an_interface_whose_record_is_ruined(
    node: Node, ruin: Callable[[str], None]
) -> None:
    names = ("net1", "net2")
    for ifname in names:
        node.add(ifname=ifname).succeeded()
    for ifname in names:
        ruin(node.record(ifname))
    for ifname in names:
        assert os.path.isdir(node.directory())
        node.delete(ifname=ifname).succeeded()
    assert node.left() == []


def test_del_with_a_ruined_record_and_without_a_database_forgets_nothing(node: Node) -> None:
    node.add().succeeded()
    torn(node.record())
    node.switch.kill_ovsdb()
    assert node.delete().code == 11
    node.switch.start_ovsdb()
    node.delete().succeeded()
    assert node.left() == []


# --- what is not its own


def test_del_leaves_the_same_interface_of_another_network_alone(node: Node) -> None:
    answer = node.add(name="other").succeeded()
    node.delete(name="fast").succeeded()
    node.check(name="other", prevResult=answer).succeeded()
    node.delete(name="other").succeeded()
    assert node.left() == []


def test_del_leaves_other_containers_and_interfaces_alone(node: Node) -> None:
    conf = node.plugin.conf(bridge="auto", createBridge=True, deleteBridge=True)
    kept = [(node.container, "net10"), (node.container + "0", "net1"), (node.container[:-1], "net1")]
    answers = [node.add(conf=conf, container=c, ifname=i).succeeded() for c, i in kept]
    node.add(conf=conf).succeeded()
    node.delete(conf=conf).succeeded()
    for (container, ifname), answer in zip(kept, answers, strict=True):
        whole = {**conf, "prevResult": answer}
        node.check(conf=whole, container=container, ifname=ifname).succeeded()
        node.delete(conf=conf, container=container, ifname=ifname).succeeded()
    assert node.left() == []


def test_del_leaves_a_directory_that_was_there_before(node: Node) -> None:
    os.mkdir(node.directory())
    Path(node.directory(), "theirs").touch()
    node.add().succeeded()
    node.delete().succeeded()
    assert os.listdir(node.directory()) == ["theirs"]


def test_del_leaves_a_directory_that_took_the_place_of_ours(node: Node) -> None:
    node.add().succeeded()
    os.rename(node.directory(), f"{node.directory()}-away")
    os.mkdir(node.directory())
    Path(node.directory(), "theirs").touch()
    node.delete().succeeded()
    assert os.listdir(node.directory()) == ["theirs"]


def test_del_leaves_a_port_without_our_mark_that_has_our_name(node: Node) -> None:
    node.add(portName="p1").succeeded()
    node.switch.vsctl("del-port", "p1")
    node.switch.add_port(BRIDGE, "p1", path=f"{node.plugin.directory}/theirs")
    node.delete(portName="p1").succeeded()
    assert node.switch.ports(BRIDGE) == {"p1"}


def test_del_leaves_a_device_information_file_that_tells_of_another_device(node: Node) -> None:
    file = device_info_file(node.plugin)
    asked = {"runtimeConfig": {"CNIDeviceInfoFile": file}}
    node.add(**asked).succeeded()
    Path(file).write_text('{"type": "vhost-user", "vhost-user": {"path": "/other"}}', encoding="utf-8")
    node.delete(**asked).succeeded()
    assert os.path.exists(file)


def test_del_with_a_file_in_the_place_of_the_directory_succeeds(node: Node) -> None:
    node.add().succeeded()
    shutil.rmtree(node.directory())
    Path(node.directory()).touch()
    node.delete().succeeded()
    assert node.left() == [node.directory()]


@pytest.mark.parametrize("name", ["userspace.json", "net1"])
def test_what_a_container_planted_under_our_names_holds_up_no_del(node: Node, name: str) -> None:
    node.add().succeeded()
    planted = Path(node.directory(), name)
    planted.unlink(missing_ok=True)
    planted.mkdir()
    Path(planted, "file").touch()
    node.delete().succeeded()
    assert node.left() == []


def test_del_follows_no_link_out_of_the_directory(node: Node) -> None:
    outside = Path(node.plugin.directory, "outside")
    outside.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(outside / "net1"))
        (outside / "userspace.json").touch()
        answer = node.add().succeeded()
        shutil.rmtree(node.directory())
        os.symlink(outside, node.directory())
        assert "does not exist" in node.check(prevResult=answer).words
        node.delete().succeeded()
    assert sorted(os.listdir(outside)) == ["net1", "userspace.json"]

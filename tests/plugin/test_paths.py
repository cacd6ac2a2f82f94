"""The container's directory: where it stands, whose it is, how long its path may be, when it goes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import intel
from tests.support.attached import CONTAINER
from tests.support.listener import Listener
from tests.support.planted import plant
from tests.support.remains import device_info_file, remains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.plugin.conftest import Attach
    from tests.support.attached import Attached
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

SUN_PATH = 107


def of_length(plugin: Plugin, length: int, name: str = "net1") -> str:
    """Return a shared directory that gives the container's socket a path of so many bytes."""
    rest = length - len(f"{plugin.directory}//{CONTAINER}/{name}")
    return f"{plugin.directory}/{'d' * rest}"


def switch_path(attached: Attached) -> str:
    """Return the path that the switch was given."""
    options = attached.switch.row("Interface", attached.port)["options"]
    return str(options["vhost-server-path"])


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


# --- long paths -------------------------------------------------------------


def test_an_application_on_a_path_of_200_bytes_is_connected_to(attach: Attach, plugin: Plugin) -> None:
    attached = attach(sharedDir=of_length(plugin, 200))
    assert attached.result["interfaces"][1]["socketPath"] == attached.socket
    assert len(switch_path(attached)) <= SUN_PATH
    with Listener(attached.socket) as application:
        application.await_connection()


def test_a_path_of_107_bytes_needs_no_link_and_connects(attach: Attach, plugin: Plugin) -> None:
    attached = attach(sharedDir=of_length(plugin, SUN_PATH))
    assert switch_path(attached) == attached.socket
    assert os.listdir(plugin.links) == []
    with Listener(attached.socket) as application:
        application.await_connection()


def test_a_path_of_108_bytes_goes_through_a_link(attach: Attach, plugin: Plugin) -> None:
    attached = attach(sharedDir=of_length(plugin, SUN_PATH + 1))
    assert switch_path(attached) == f"{attached.link}/net1"
    assert os.readlink(attached.link) == attached.directory


@pytest.mark.parametrize("order", [("net1", "net10"), ("net10", "net1")])
def test_a_link_that_one_of_two_interfaces_needs_goes_with_the_last(
    attach: Attach, plugin: Plugin, switch: Switch, order: tuple[str, str]
) -> None:
    shared = of_length(plugin, SUN_PATH)
    made = {name: attach(ifname=name, sharedDir=shared, deleteBridge=True) for name in ("net1", "net10")}
    first, last = (made[name] for name in order)
    first.delete().succeeded()
    last.check().succeeded()
    last.delete().succeeded()
    assert os.listdir(shared) == []
    assert remains(plugin, switch) == []


def test_a_path_that_no_link_can_shorten_is_refused_with_the_reason(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    shared = of_length(plugin, 200)
    plugin.set_node(linkDir=f"{plugin.directory}/{'l' * 90}")
    outcome = plugin.add(plugin.conf(createBridge=True, sharedDir=shared), CONTAINER, netns.path)
    assert outcome.code == 7
    assert f"{SUN_PATH} fit" in outcome.words
    assert "linkDir" in outcome.words
    assert not os.path.exists(shared)
    assert remains(plugin, switch) == []


# --- the application's socket -----------------------------------------------


def test_the_stale_socket_of_a_dead_application_is_removed_at_add(attach: Attach, plugin: Plugin) -> None:
    os.mkdir(f"{plugin.shared}/{CONTAINER}")
    Listener(f"{plugin.shared}/{CONTAINER}/net1").close()
    attached = attach()
    assert not os.path.exists(attached.socket)
    with Listener(attached.socket) as application:
        application.await_connection()


def test_the_socket_of_a_living_application_is_neither_touched_nor_connected_to_by_the_plugin(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    os.mkdir(f"{plugin.shared}/{CONTAINER}")
    switch.stop_answering()  # so that nobody but the plugin could connect
    with Listener(f"{plugin.shared}/{CONTAINER}/net1") as application:
        before = os.lstat(application.path)
        outcome = plugin.add(plugin.conf(createBridge=True, timeout=1), CONTAINER, netns.path)
        assert "did not answer in time" in outcome.words
        assert not application.was_asked()
        assert os.path.samestat(os.lstat(application.path), before)


def test_a_living_application_is_connected_to_by_the_switch(attach: Attach, plugin: Plugin) -> None:
    os.mkdir(f"{plugin.shared}/{CONTAINER}")
    with Listener(f"{plugin.shared}/{CONTAINER}/net1") as application:
        attach()
        application.await_connection()


# --- the shared directory ---------------------------------------------------


def test_links_on_the_way_to_the_shared_directory_are_resolved_once(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    real, other = f"{plugin.directory}/run", f"{plugin.directory}/other"
    os.makedirs(f"{real}/userspace")
    os.makedirs(f"{other}/userspace/{CONTAINER}/precious")
    os.symlink(real, f"{plugin.directory}/var-run")
    attached = attach(sharedDir=f"{plugin.directory}/var-run/userspace", deleteBridge=True)
    path = f"{real}/userspace/{CONTAINER}/net1"
    assert attached.result["interfaces"][1]["socketPath"] == path
    assert switch_path(attached) == path
    attached.check().succeeded()
    os.unlink(f"{plugin.directory}/var-run")
    os.symlink(other, f"{plugin.directory}/var-run")
    attached.delete().succeeded()
    assert os.listdir(f"{real}/userspace") == []
    assert os.listdir(f"{other}/userspace/{CONTAINER}") == ["precious"]
    assert remains(plugin, switch) == []


def test_a_missing_shared_directory_is_made_for_everybody_to_pass_through(
    attach: Attach, plugin: Plugin
) -> None:
    before = os.umask(0o077)
    try:
        attached = attach(sharedDir=f"{plugin.directory}/not/yet/there")
    finally:
        os.umask(before)
    assert mode_of(f"{plugin.directory}/not/yet/there") == 0o755
    assert mode_of(attached.directory) == 0o755


@pytest.mark.parametrize("below", ["", "/further/down"])
def test_a_shared_directory_that_is_a_file_is_refused_and_named(
    plugin: Plugin, switch: Switch, netns: Netns, below: str
) -> None:
    path = f"{plugin.directory}/file"
    plant("file", path, plugin)
    outcome = plugin.add(plugin.conf(createBridge=True, sharedDir=path + below), CONTAINER, netns.path)
    assert outcome.code == 5
    assert path + below in outcome.words
    assert "Not a directory" in outcome.words
    assert remains(plugin, switch) == []


@pytest.fixture
def read_only(plugin: Plugin) -> Iterator[str]:
    """Give a directory on a filesystem that nobody can write."""
    path = f"{plugin.directory}/read-only"
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "test", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize("below", ["", "/further"])
def test_a_read_only_shared_directory_is_refused_and_named(
    plugin: Plugin, switch: Switch, netns: Netns, read_only: str, below: str
) -> None:
    conf = plugin.conf(createBridge=True, sharedDir=read_only + below)
    outcome = plugin.add(conf, CONTAINER, netns.path)
    assert outcome.code == 5
    assert read_only + below in outcome.words
    assert "Read-only file system" in outcome.words
    assert remains(plugin, switch) == []


# --- whose it is ------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({}, (0, 0, 0o755)),
        ({"owner": 12345, "group": "23456", "dirMode": "0750"}, (12345, 23456, 0o750)),
        ({"owner": "daemon", "group": "daemon", "dirMode": "2770"}, (1, 1, 0o2770)),
        ({"group": 23456}, (0, 23456, 0o755)),
        ({"dirMode": "1777"}, (0, 0, 0o1777)),
    ],
)
def test_owner_group_and_mode_of_the_directory_are_as_asked_whatever_the_umask(
    attach: Attach, keys: dict[str, Any], wanted: tuple[int, int, int]
) -> None:
    before = os.umask(0o077)
    try:
        found = os.stat(attach(**keys).directory)
    finally:
        os.umask(before)
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == wanted


@pytest.mark.parametrize("key", ["owner", "group"])
def test_an_account_that_the_node_does_not_know_is_an_invalid_config(
    plugin: Plugin, switch: Switch, netns: Netns, key: str
) -> None:
    outcome = plugin.add(plugin.conf(createBridge=True, **{key: "nobody-knows"}), CONTAINER, netns.path)
    assert outcome.code == 7
    assert f"{key}: 'nobody-knows'" in outcome.words
    assert remains(plugin, switch) == []


def test_the_directory_goes_with_the_last_interface(attach: Attach, plugin: Plugin, switch: Switch) -> None:
    first, last = (attach(ifname=name, deleteBridge=True) for name in ("net1", "net2"))
    first.delete().succeeded()
    assert os.listdir(last.directory) == ["userspace.json"]
    last.check().succeeded()
    last.delete().succeeded()
    assert remains(plugin, switch) == []


def test_a_directory_that_stood_before_stays_as_it_was(attach: Attach, plugin: Plugin) -> None:
    directory = f"{plugin.shared}/{CONTAINER}"
    os.mkdir(directory, 0o710)
    plant("file", f"{directory}/theirs", plugin)
    made = [attach(ifname=name, owner=12345, dirMode="0777") for name in ("net1", "net2")]
    with Listener(made[0].socket):
        for attached in made:
            attached.delete().succeeded()
    assert os.listdir(directory) == ["theirs"]
    assert (os.stat(directory).st_uid, mode_of(directory)) == (0, 0o710)


def test_a_failed_add_leaves_the_directory_of_the_containers_other_interface(
    attach: Attach, plugin: Plugin, netns: Netns
) -> None:
    attached = attach()
    conf = {**attached.conf, "ofport_request": 1, "portName": attached.port}
    assert plugin.add(conf, CONTAINER, netns.path, ifname="net2").code == 103
    attached.check().succeeded()


# --- names ------------------------------------------------------------------


def test_the_application_is_told_the_path_inside_the_container(attach: Attach, plugin: Plugin) -> None:
    file = device_info_file(plugin)
    attached = attach(containerPath="/var/run/vhost/", runtimeConfig={"CNIDeviceInfoFile": file})
    wanted = {"mode": "server", "path": "/var/run/vhost/net1"}
    for path, keys in (
        (file, ("vhost-user",)),
        (f"{attached.directory}/userspace.json", ("interfaces", "net1", "deviceInfo", "vhost-user")),
    ):
        with open(path, encoding="utf-8") as told:
            found = json.load(told)
        for key in keys:
            found = found[key]
        assert found == wanted
    assert attached.result["interfaces"][1]["socketPath"] == attached.socket


def test_without_a_container_path_the_application_is_told_the_hosts(attach: Attach, plugin: Plugin) -> None:
    file = device_info_file(plugin)
    attached = attach(runtimeConfig={"CNIDeviceInfoFile": file})
    with open(file, encoding="utf-8") as told:
        assert json.load(told)["vhost-user"]["path"] == attached.socket


def test_fixed_names_of_port_and_socket_are_used(attach: Attach) -> None:
    attached = attach(portName="vnf0", socketName="vhost0.sock")
    assert attached.port == "vnf0"
    assert switch_path(attached) == f"{attached.directory}/vhost0.sock"


def test_two_interfaces_of_a_container_cannot_share_one_fixed_socket_name(
    attach: Attach, plugin: Plugin, netns: Netns
) -> None:
    attached = attach(socketName="vhost0.sock")
    outcome = plugin.add(attached.conf, CONTAINER, netns.path, ifname="net2")
    assert outcome.code == 103
    assert "another port uses the same socket" in outcome.words
    attached.check().succeeded()


@pytest.mark.parametrize("mode", ["client", "server"])
def test_intels_netconf_keeps_intels_names(plugin: Plugin, switch: Switch, netns: Netns, mode: str) -> None:
    conf = {**intel.netconf(plugin.shared, "br0", mode), "cniVersion": "1.1.0"}
    result = plugin.add(conf, CONTAINER, netns.path).succeeded()
    socket = f"{plugin.shared}/{CONTAINER}/{CONTAINER[:12]}-net1"
    assert result["interfaces"][1]["socketPath"] == socket
    plugin.delete(conf, CONTAINER, netns.path).succeeded()
    assert remains(plugin, switch) == []

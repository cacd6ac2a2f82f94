"""Server mode (dpdkvhostuser): the switch makes the socket, and the container gets it under its own name."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.attached import CONTAINER
from tests.support.attached import attach as attach_to
from tests.support.child import wait_for
from tests.support.need import DPDK_SWITCH, need
from tests.support.remains import device_info_file, remains
from tests.support.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakePlugin
    from tests.plugin.conftest import Attach
    from tests.support.attached import Attached
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin

pytestmark = pytest.mark.runtime

SERVER = "dpdkvhostuser"
SECONDS = 10.0  # vswitchd removes a port's socket soon after its row has gone
CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


def socket_path(attached: Attached) -> str:
    """Return the socket's path as ADD's result tells it."""
    (path,) = (i["socketPath"] for i in attached.result["interfaces"] if i.get("sandbox"))
    return str(path)


def connects(path: str) -> bool:
    """Tell whether somebody listens at a socket, as vswitchd does."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


def sockets(switch: Switch) -> list[str]:
    """Return the names of our sockets in the switch's own directory."""
    return [n for n in os.listdir(switch.sockets) if n.startswith("vhu")]


def no_sockets_left(switch: Switch) -> bool:
    return wait_for("no socket is left", lambda: not sockets(switch), SECONDS, proof=switch.log)


@contextmanager
def tmpfs(path: str) -> Iterator[str]:
    """Mount another filesystem at a new directory."""
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "test", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def test_the_switchs_socket_stands_in_the_containers_directory_under_the_interfaces_name(
    attach: Attach, switch: Switch
) -> None:
    attached = attach(interface_type=SERVER)
    assert socket_path(attached) == attached.socket
    assert connects(attached.socket)
    assert sockets(switch) == [], "a crash would leave it there, and keep the next vswitchd from its name"


def test_the_application_is_told_to_connect(attach: Attach, plugin: Plugin) -> None:
    file = device_info_file(plugin)
    attach(interface_type=SERVER, containerPath="/run/vhost", runtimeConfig={"CNIDeviceInfoFile": file})
    with open(file, encoding="utf-8") as told:
        assert '"vhost-user": {"mode": "client", "path": "/run/vhost/net1"}' in told.read()


def test_del_leaves_no_socket_on_either_side(attach: Attach, plugin: Plugin, switch: Switch) -> None:
    attached = attach(interface_type=SERVER, deleteBridge=True)
    attached.delete().succeeded()
    assert not os.path.exists(attached.socket)
    assert no_sockets_left(switch)
    assert remains(plugin, switch) == []


@pytest.mark.parametrize("in_place", [False, True])
def test_owner_group_and_mode_of_the_socket_are_as_asked(
    attach: Attach, plugin: Plugin, switch: Switch, *, in_place: bool
) -> None:
    shared = switch.sockets if in_place else plugin.shared
    attached = attach(interface_type=SERVER, sharedDir=shared, owner=12345, group="23456", socketMode="0620")
    found = os.stat(socket_path(attached))
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 23456, 0o620)


@pytest.mark.parametrize(("mode", "may"), [("0666", True), ("0600", False)])
def test_the_mode_decides_whether_another_user_can_connect(attach: Attach, mode: str, *, may: bool) -> None:
    attached = attach(interface_type=SERVER, socketMode=mode)
    others = ["setpriv", "--reuid=12345", "--regid=23456", "--clear-groups", "--"]
    done = subprocess.run([*others, sys.executable, "-c", CONNECT, attached.socket], check=False)
    assert (done.returncode == 0) is may


def test_a_shared_directory_on_another_filesystem_is_refused_with_the_way_out(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    with tmpfs(f"{plugin.directory}/other") as other:
        conf = plugin.conf(createBridge=True, interface_type=SERVER, sharedDir=other)
        outcome = plugin.add(conf, CONTAINER, netns.path)
        assert outcome.code == 5
        assert "different filesystems" in outcome.words
        assert f"put `sharedDir` on the filesystem of {switch.sockets}" in outcome.words
        assert os.listdir(other) == []
    assert remains(plugin, switch) == []
    assert sockets(switch) == []


def test_the_switchs_own_directory_as_shared_directory_leaves_the_socket_in_place(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    before = set(os.listdir(switch.sockets))
    attached = attach(interface_type=SERVER, sharedDir=switch.sockets, deleteBridge=True)
    assert socket_path(attached) == f"{switch.sockets}/{attached.port}"
    assert connects(socket_path(attached))
    made = set(os.listdir(switch.sockets)) - before
    assert {name for name in made if not name.startswith("br0.")} == {attached.port}
    attached.check().succeeded()
    attached.delete().succeeded()
    assert no_sockets_left(switch)
    assert remains(plugin, switch) == []


def test_vhost_sock_dir_is_honoured(make_plugin: MakePlugin, netns: Netns) -> None:
    need(*DPDK_SWITCH)
    with Switch(vhost_sock_dir="vhost") as switch:
        plugin = make_plugin(switch)
        linked = attach_to(plugin, switch, netns, interface_type=SERVER)
        assert switch.sockets.endswith("/vhost")
        assert connects(linked.socket)
        assert sockets(switch) == []
        linked.check().succeeded()
        there = attach_to(
            plugin, switch, netns, ifname="net2", interface_type=SERVER, sharedDir=switch.sockets
        )
        assert socket_path(there) == f"{switch.sockets}/{there.port}"
        assert sockets(switch) == [there.port]
        for attached in (linked, there):
            attached.delete().succeeded()
        assert no_sockets_left(switch)


# --- stale sockets ----------------------------------------------------------


def test_after_a_crash_the_same_container_and_others_can_be_attached_anew(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    before, dead = attach(interface_type=SERVER), attach(interface_type=SERVER, container="dead")
    switch.kill_vswitchd()
    switch.restart_vswitchd()
    before.delete().succeeded()
    after = [attach(interface_type=SERVER, container=name) for name in (CONTAINER, "new1", "new2")]
    for attached in after:
        assert connects(attached.socket)
        attached.check().succeeded()
    for attached in (*after, dead):
        attached.delete().succeeded()
    assert no_sockets_left(switch)
    assert remains(plugin) == []


def test_a_port_whose_socket_was_moved_comes_back_after_a_crash(attach: Attach, switch: Switch) -> None:
    attached = attach(interface_type=SERVER)
    switch.kill_vswitchd()
    switch.restart_vswitchd()
    assert switch.row("Interface", attached.port)["ofport"] > 0
    assert connects(f"{switch.sockets}/{attached.port}")


@pytest.mark.parametrize("in_place", [False, True])
def test_del_while_vswitchd_is_down_leaves_no_socket(
    attach: Attach, plugin: Plugin, switch: Switch, *, in_place: bool
) -> None:
    attached = attach(interface_type=SERVER, sharedDir=switch.sockets if in_place else plugin.shared)
    switch.kill_vswitchd()
    attached.delete().succeeded()
    assert sockets(switch) == []
    assert remains(plugin) == []


def test_a_stale_socket_under_a_fixed_port_name_is_removed_at_add(attach: Attach, switch: Switch) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{switch.sockets}/vhufixed")
    assert connects(attach(interface_type=SERVER, portName="vhufixed").socket)


def test_a_stale_socket_under_the_interfaces_name_is_replaced(attach: Attach, plugin: Plugin) -> None:
    os.mkdir(f"{plugin.shared}/{CONTAINER}")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{plugin.shared}/{CONTAINER}/net1")
    assert connects(attach(interface_type=SERVER).socket)


def test_a_live_listener_under_the_interfaces_name_is_a_conflict(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    os.mkdir(f"{plugin.shared}/{CONTAINER}")
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(f"{plugin.shared}/{CONTAINER}/net1")
        live.listen()
        conf = plugin.conf(createBridge=True, interface_type=SERVER)
        outcome = plugin.add(conf, CONTAINER, netns.path)
        assert outcome.code == 103
        assert "a program listens" in outcome.words
        assert connects(f"{plugin.shared}/{CONTAINER}/net1")
    assert switch.ports() == set()


def test_a_live_listener_under_the_ports_name_is_a_conflict(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(f"{switch.sockets}/vhufixed")
        live.listen()
        conf = plugin.conf(createBridge=True, interface_type=SERVER, portName="vhufixed")
        outcome = plugin.add(conf, CONTAINER, netns.path)
        assert outcome.code == 103
        assert "a program listens" in outcome.words
        assert connects(f"{switch.sockets}/vhufixed")
    os.unlink(f"{switch.sockets}/vhufixed")
    assert remains(plugin, switch) == []

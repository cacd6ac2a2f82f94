"""CHECK of rows, paths and sockets: each thing that ADD made, broken alone, is found and named."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.plugin.conftest import Attach
from tests.support.attached import CONTAINER, Attached
from tests.support.plugin import Plugin
from tests.support.remains import device_info_file, host_local
from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

Keys = Callable[[Plugin], dict[str, Any]]
Break = Callable[[Attached], object]
MAC = "02:00:00:00:00:99"


def everything(plugin: Plugin) -> dict[str, Any]:
    """Return the keys of an attachment in client mode that has all that one can have, a short link too."""
    return {
        "vlan": 10,
        "trunk": [{"minID": 20, "maxID": 22}],
        "mtu": 1400,
        "mac": MAC,
        "ofport_request": 77,
        "owner": 12345,
        "group": "23456",
        "dirMode": "2770",
        "deleteBridge": True,
        "sharedDir": f"{plugin.directory}/{'d' * 60}",
        "runtimeConfig": {"CNIDeviceInfoFile": device_info_file(plugin)},
    }


def server_mode(_: Plugin) -> dict[str, Any]:
    """Return the keys of an attachment in server mode."""
    return {"interface_type": "dpdkvhostuser", "owner": "12345", "group": "23456", "socketMode": "0660"}


def addresses(plugin: Plugin) -> dict[str, Any]:
    """Return the keys of an attachment with addresses; Debian 12's host-local knows 1.0.0 at most."""
    return {"cniVersion": "1.0.0", "ipam": host_local(plugin)}


# --- what is whole passes ---------------------------------------------------


@pytest.mark.parametrize("keys", [lambda _: {}, everything, server_mode, addresses])
def test_check_right_after_add_passes_without_an_application(
    attach: Attach, plugin: Plugin, keys: Keys
) -> None:
    attached = attach(**keys(plugin))
    for _ in range(2):
        assert attached.check().succeeded() == {}


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0"])
def test_check_passes_in_versions_whose_results_have_no_socket_path(attach: Attach, version: str) -> None:
    attach(cniVersion=version, mtu=1400).check().succeeded()


def test_check_passes_for_each_of_two_interfaces_that_asked_for_different_modes(attach: Attach) -> None:
    first = attach(ifname="net1", dirMode="0750")
    second = attach(ifname="net2", dirMode="0770", group=23456)
    first.check().succeeded()
    second.check().succeeded()


def test_check_of_one_interface_does_not_mind_that_another_has_gone(attach: Attach) -> None:
    first, second = attach(ifname="net1"), attach(ifname="net10")
    second.delete().succeeded()
    first.check().succeeded()


def test_check_passes_in_a_directory_that_stood_before(attach: Attach, plugin: Plugin) -> None:
    os.mkdir(f"{plugin.shared}/{CONTAINER}", 0o700)
    attach(dirMode="0777").check().succeeded()


def test_check_passes_in_client_mode_after_a_crash_of_vswitchd(attach: Attach, switch: Switch) -> None:
    attached = attach()
    switch.kill_vswitchd()
    switch.restart_vswitchd()
    attached.check().succeeded()


def test_check_changes_nothing(attach: Attach, plugin: Plugin, switch: Switch) -> None:
    attached = attach(**everything(plugin))

    def seen() -> object:
        return plugin.files(), [switch.rows(table) for table in ("Bridge", "Port", "Interface")]

    before = seen()
    attached.check().succeeded()
    assert seen() == before


# --- one thing broken -------------------------------------------------------


def to_another_bridge(a: Attached) -> None:
    a.switch.add_bridge("br1")
    uuid = a.switch.row("Port", a.port)["_uuid"]
    a.switch.vsctl("remove", "Bridge", "br0", "ports", uuid, "--", "add", "Bridge", "br1", "ports", uuid)


def another_directory(a: Attached) -> None:
    os.rename(a.directory, f"{a.directory}.old")
    shutil.copytree(f"{a.directory}.old", a.directory)
    os.chown(a.directory, 12345, 23456)
    os.chmod(a.directory, 0o2770)  # noqa: S103  as before


def planted_directory(a: Attached) -> None:
    os.unlink(f"{a.directory}/userspace.json")
    os.mkdir(f"{a.directory}/userspace.json")


def another_link(a: Attached) -> None:
    link = a.link
    os.unlink(link)
    os.symlink(a.plugin.directory, link)


def unnoticed(a: Attached, column: str, value: str) -> None:
    """Change a column that vswitchd would act on at once."""
    a.switch.stop_answering()
    a.switch.vsctl("--no-wait", "set", "Interface", a.port, f"{column}={value}")


def rewrite(path: str, old: str, new: str) -> None:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert old in text
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))


BROKEN: dict[str, tuple[Break, str]] = {
    "port": (lambda a: a.switch.vsctl("del-port", a.port), "does not exist"),
    "membership": (to_another_bridge, "is not on the bridge br0"),
    "tag": (lambda a: a.set("Port", "tag", "11"), "VLAN tag is 11"),
    "no tag": (lambda a: a.clear("Port", "tag"), "VLAN tag is None"),
    "trunks": (lambda a: a.set("Port", "trunks", "20,21"), "trunks is [20, 21]"),
    "vlan_mode": (lambda a: a.set("Port", "vlan_mode", "access"), "vlan_mode is 'access'"),
    "type": (lambda a: a.set("Interface", "type", "dpdkvhostuser"), "type is 'dpdkvhostuser'"),
    "path": (lambda a: a.set("Interface", "options:vhost-server-path", "/x"), "vhost-server-path is '/x'"),
    "no path": (lambda a: a.clear("Interface", "options"), "options:vhost-server-path is None"),
    "mtu_request": (lambda a: a.set("Interface", "mtu_request", "1300"), "mtu_request is 1300"),
    "no mtu_request": (lambda a: a.clear("Interface", "mtu_request"), "mtu_request is None"),
    "ofport_request": (lambda a: unnoticed(a, "ofport_request", "78"), "ofport_request is 78"),
    "ofport": (lambda a: unnoticed(a, "ofport", "78"), "ofport is 78, ADD made it 77"),
    "directory": (lambda a: shutil.rmtree(a.directory), "does not exist"),
    "another directory": (another_directory, "is another one than ADD made"),
    "directory's mode": (lambda a: os.chmod(a.directory, 0o700), "mode of /"),
    "directory's owner": (lambda a: os.chown(a.directory, 0, -1), "owner of /"),
    "directory's group": (lambda a: os.chown(a.directory, -1, 0), "group of /"),
    "link": (lambda a: os.unlink(a.link), "is gone"),
    "another link": (another_link, "short link"),
    "file": (lambda a: os.unlink(f"{a.directory}/userspace.json"), "userspace.json does not say"),
    "entry": (
        lambda a: rewrite(f"{a.directory}/userspace.json", MAC, "02:00:00:00:00:98"),
        "userspace.json does not say what ADD wrote",
    ),
    "planted directory": (planted_directory, "userspace.json does not say what ADD wrote"),
    "device-info": (lambda a: os.unlink(device_info_file(a.plugin)), "-device.json does not say"),
    "device-info's mode": (
        lambda a: rewrite(device_info_file(a.plugin), '"server"', '"client"'),
        "-device.json does not say what ADD wrote",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_each_thing_of_a_client_port_broken_alone_is_named(attach: Attach, plugin: Plugin, what: str) -> None:
    attached = attach(**everything(plugin))
    do, words = BROKEN[what]
    do(attached)
    outcome = attached.check()
    assert outcome.code == 104
    assert words in outcome.words
    assert "; " not in outcome.answer["details"], "nothing else is reported"


def test_a_bridge_that_has_gone_is_named_with_the_port_on_it(attach: Attach, switch: Switch) -> None:
    attached = attach()
    switch.vsctl("del-br", "br0")
    words = attached.check().words
    assert "the bridge br0 does not exist" in words
    assert f"the port {attached.port} does not exist" in words


def test_the_mode_of_a_directory_is_checked_though_the_netconf_asked_for_none(attach: Attach) -> None:
    attached = attach()
    os.chmod(attached.directory, 0o700)
    assert f"mode of {attached.directory} is '0o700'" in attached.check().words


def test_vlan_columns_that_nobody_asked_for_are_faults(attach: Attach) -> None:
    attached = attach()
    attached.set("Port", "tag", "5")
    attached.set("Port", "trunks", "6")
    attached.set("Port", "vlan_mode", "native-tagged")
    words = attached.check().words
    assert "VLAN tag is 5" in words
    assert "trunks is [6]" in words
    assert "vlan_mode is 'native-tagged'" in words


@pytest.mark.parametrize("table", ["Port", "Interface"])
def test_every_mark_of_ownership_is_checked(attach: Attach, plugin: Plugin, table: str) -> None:
    attached = attach(**everything(plugin))
    marks = attached.switch.row(table, attached.port)["external_ids"]
    assert {"owner", "cni-container-id", "cni-ifname", "cni-network"} < set(marks)
    for mark, value in marks.items():
        attached.set(table, f"external_ids:{mark}", json.dumps("other"))
        assert f"{table} external_ids:{mark} is 'other'" in attached.check().words
        attached.set(table, f"external_ids:{mark}", json.dumps(value))
    attached.switch.vsctl("remove", table, attached.port, "external_ids", "owner")
    assert f"{table} external_ids:owner is None" in attached.check().words


def test_marks_that_others_add_are_no_faults(attach: Attach) -> None:
    attached = attach()
    for table in ("Port", "Interface"):
        attached.set(table, "external_ids:iface-id", "somebody-elses")
    attached.check().succeeded()


@pytest.mark.parametrize(("ofport", "error"), [("-1", "could not add"), ("[]", "")])
def test_a_port_that_vswitchd_does_not_serve_is_a_fault(attach: Attach, ofport: str, error: str) -> None:
    attached = attach()
    attached.switch.stop_answering()
    told = [f"ofport={ofport}", f'error="{error}"'] if error else [f"ofport={ofport}"]
    attached.switch.vsctl("--no-wait", "set", "Interface", attached.port, *told)
    words = attached.check().words
    assert f"ovs-vswitchd does not serve the port {attached.port}" in words
    assert (error or "it has no ofport") in words


# --- server mode ------------------------------------------------------------


def another_socket(a: Attached) -> None:
    os.unlink(a.socket)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(a.socket)
    os.chown(a.socket, 12345, 23456)
    os.chmod(a.socket, 0o660)


BROKEN_SOCKET: dict[str, tuple[Break, str]] = {
    "gone": (lambda a: os.unlink(a.socket), "does not exist"),
    "another": (another_socket, "is another one than the switch made"),
    "mode": (lambda a: os.chmod(a.socket, 0o600), "mode of"),
    "owner": (lambda a: os.chown(a.socket, 0, -1), "owner of"),
    "group": (lambda a: os.chown(a.socket, -1, 0), "group of"),
}


@pytest.mark.parametrize("what", BROKEN_SOCKET)
def test_each_thing_of_the_switchs_socket_broken_alone_is_named(
    attach: Attach, plugin: Plugin, what: str
) -> None:
    attached = attach(**server_mode(plugin))
    do, words = BROKEN_SOCKET[what]
    do(attached)
    outcome = attached.check()
    assert outcome.code == 104
    assert words in outcome.words
    assert attached.socket in outcome.words
    assert "; " not in outcome.answer["details"], "nothing else is reported"


def test_in_server_mode_check_says_that_the_socket_is_dead_after_a_crash_of_vswitchd(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    attached = attach(**server_mode(plugin))
    switch.kill_vswitchd()
    switch.restart_vswitchd()
    outcome = attached.check()
    assert outcome.code == 104
    assert f"the socket {attached.socket} is dead" in outcome.words
    assert "the container must be started anew" in outcome.words


def test_in_server_mode_check_says_that_the_socket_is_dead_while_vswitchd_is_down(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    attached = attach(**server_mode(plugin))
    switch.kill_vswitchd()
    assert f"the socket {attached.socket} is dead" in attached.check().words

"""The rigs do what tests believe of them: facts about our own tools, on the real daemons."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.child import RigError
from tests.support.need import DPDK_SWITCH, SWITCH, need
from tests.support.netns import FOLDER
from tests.support.switch import JUMBO_MIB, Switch
from tests.support.testpmd import Testpmd, Vhost

if TYPE_CHECKING:
    from tests.support.netns import Netns

CLIENT = "dpdkvhostuserclient"


def _ofport(switch: Switch, port: str) -> object:
    return switch.row("Interface", port)["ofport"]


def test_a_stopped_switch_leaves_nothing() -> None:
    need(*SWITCH)
    switch = Switch(dpdk=False).start()
    pid, directory = switch.vswitchd_pid, switch.directory
    spaces = set(os.listdir(FOLDER))

    switch.stop()
    switch.stop()

    assert not os.path.exists(f"/proc/{pid}")
    assert not os.path.exists(directory)
    assert spaces - set(os.listdir(FOLDER))


def test_a_switch_that_cannot_start_says_why_and_leaves_nothing() -> None:
    need(*SWITCH)
    switch = Switch(dpdk=False, user="nobody-of-that-name:nogroup")

    with pytest.raises((RigError, subprocess.CalledProcessError)):
        switch.start()

    assert not os.path.exists(switch.directory)


def test_a_plain_switch_has_no_vhost_and_says_so(plain_switch: Switch) -> None:
    about = plain_switch.rows("Open_vSwitch")[0]

    assert about["dpdk_initialized"] is False
    assert CLIENT not in about["iface_types"]
    assert "netdev" in about["datapath_types"]


def test_the_switch_is_cleaned_of_bridges_and_of_a_hang(switch: Switch) -> None:
    switch.add_bridge("br7")
    switch.add_port("br7", "p1", path=f"{switch.directory}/p1.sock")
    assert switch.ports() == {"p1"}
    switch.stop_answering()

    switch.clean()

    assert switch.bridges() == set()
    assert switch.healthy()


def test_the_switch_is_cleaned_of_stale_sockets(fresh_switch: Switch) -> None:
    fresh_switch.add_bridge("br0")
    fresh_switch.add_port("br0", "p1", kind="dpdkvhostuser")
    fresh_switch.kill_vswitchd()
    fresh_switch.vsctl("--no-wait", "del-port", "p1")
    assert fresh_switch.vhost_sockets() == [f"{fresh_switch.directory}/p1"]

    fresh_switch.clean()

    assert fresh_switch.vhost_sockets() == []
    assert fresh_switch.healthy()


def test_a_killed_vswitchd_comes_back_with_its_ports(fresh_switch: Switch) -> None:
    fresh_switch.add_bridge("br0")
    fresh_switch.add_port("br0", "p1", path=f"{fresh_switch.directory}/p1.sock")
    before = fresh_switch.vswitchd_pid

    fresh_switch.kill_vswitchd()
    assert not fresh_switch.healthy()
    fresh_switch.restart_vswitchd()

    assert fresh_switch.vswitchd_pid != before
    assert _ofport(fresh_switch, "p1") == 1


def test_the_database_can_go_and_come_back(plain_switch: Switch) -> None:
    plain_switch.add_bridge("br0")
    plain_switch.kill_ovsdb()
    with pytest.raises(RigError):
        plain_switch.vsctl("--timeout=1", "list-br")

    plain_switch.start_ovsdb()

    assert plain_switch.bridges() == {"br0"}


def test_vswitchd_runs_as_another_user() -> None:
    need(*DPDK_SWITCH)
    with Switch(user="nobody:nogroup") as switch:
        switch.add_bridge("br0")
        switch.add_port("br0", "p1", path=f"{switch.directory}/p1.sock")

        assert os.stat(f"/proc/{switch.vswitchd_pid}").st_uid == 65534
        assert _ofport(switch, "p1") == 1


def test_vswitchd_does_not_see_a_hidden_directory(tmp_path_factory: pytest.TempPathFactory) -> None:
    need(*SWITCH)
    hidden = tmp_path_factory.mktemp("hidden")
    (hidden / "inside").touch()

    with Switch(dpdk=False, hidden=[str(hidden)]) as switch:
        assert os.listdir(f"/proc/{switch.vswitchd_pid}/root{hidden}") == []
    assert os.listdir(hidden) == ["inside"]


def test_server_sockets_appear_in_vhost_sock_dir() -> None:
    need(*DPDK_SWITCH)
    with Switch(vhost_sock_dir="socks") as switch:
        switch.add_bridge("br0")
        switch.add_port("br0", "p1", kind="dpdkvhostuser")

        assert os.listdir(switch.sockets) == ["p1"]


def test_a_jumbo_switch_has_the_buffers_for_an_mtu_of_9000(netns: Netns) -> None:
    need(*DPDK_SWITCH, "dpdk-testpmd")
    with ExitStack() as stack:
        switch = stack.enter_context(Switch(socket_mib=JUMBO_MIB))
        switch.add_bridge("br0")
        socket = f"{switch.directory}/p1.sock"
        switch.add_port("br0", "p1", path=socket)
        switch.vsctl("set", "Interface", "p1", "mtu_request=9000")
        app = Testpmd([Vhost(path=socket, server=True)], "rxonly", f"{switch.directory}/app.log", netns=netns)
        stack.enter_context(app)

        assert switch.connected("p1")
        assert switch.row("Interface", "p1")["mtu"] == 9000


def test_a_killed_application_leaves_its_socket_and_a_stopped_one_does_not(switch: Switch) -> None:
    need("dpdk-testpmd")
    sockets = [f"{switch.directory}/{name}" for name in ("killed", "stopped")]
    apps = [Testpmd([Vhost(path=s, server=True)], "rxonly", f"{s}.log") for s in sockets]
    switch.add_bridge("br0")
    for name, socket, app in zip(("p1", "p2"), sockets, apps, strict=True):
        switch.add_port("br0", name, path=socket)
        app.start()

    apps[0].kill()
    apps[1].stop()

    assert [os.path.exists(s) for s in sockets] == [True, False]

"""`userspace reconcile`: isolation after vswitchd was killed, and who gets frames in between.

Frames are sent by a real application the whole time; those that may not pass
are counted where they would arrive.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import flows
from tests.support.attached import Attached, attach
from tests.support.child import RigError, wait_for
from tests.support.flows import fate, number
from tests.support.testpmd import Testpmd, Vhost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

    Watch = Callable[..., subprocess.Popen[str]]
    Make = Callable[..., Attached]

FRAME = "dl_src=02:00:00:00:00:01,dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x0800"
FORGED = "02:00:00:00:00:66"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
HELD = "flow-restore-wait"


@pytest.fixture
def make(plugin: Plugin, switch: Switch, netns: Netns) -> Make:
    """Give a maker of attachments."""

    def do(ifname: str, **keys: object) -> Attached:
        return attach(plugin, switch, netns, ifname=ifname, **keys)  # type: ignore[arg-type]

    return do


@pytest.fixture
def watch(plugin: Plugin, switch: Switch, tmp_path: Path) -> Iterator[Watch]:
    """Give a starter of `userspace reconcile --watch`; it ends with the test, and so does what it set."""
    started = []

    def start(*more: str) -> subprocess.Popen[str]:
        with (tmp_path / "watch.out").open("w") as out:
            command = [plugin.executable, "reconcile", "--watch", *more]
            started.append(subprocess.Popen(command, env=plugin.env, stdout=out, stderr=out, text=True))
        return started[-1]

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    switch.vsctl("--no-wait", "remove", "Open_vSwitch", ".", "other_config", HELD)


def wait_until(what: str, switch: Switch, look: Callable[[], object]) -> None:
    wait_for(what, look, 20, proof=switch.log)


def restart(switch: Switch) -> None:
    switch.kill_vswitchd()
    switch.restart_vswitchd()


def test_once_restores_what_a_restart_lost_and_says_so(make: Make, plugin: Plugin, switch: Switch) -> None:
    a, b = make("net1", segment="s"), make("net2", segment="s")
    c = make("net3", antiSpoofing=True)
    before = flows.ours(switch)
    restart(switch)
    assert not flows.ours(switch)
    done = plugin.operator("reconcile")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("restored ") == 3
    assert flows.ours(switch) == before
    assert fate(switch, a.port, FRAME) == number(switch, b.port)
    for attached in (a, b, c):
        attached.check().succeeded()
    assert plugin.operator("reconcile").stdout == "all flows are right\n"


def test_once_follows_a_port_that_got_another_number(make: Make, plugin: Plugin, switch: Switch) -> None:
    switch.add_bridge("br0")
    switch.add_port("br0", "uplink", path=f"{switch.directory}/uplink")
    a = make("net1", peerPort="uplink")
    switch.vsctl("set", "Interface", "uplink", "ofport_request=4711")
    assert fate(switch, a.port, FRAME) == "drop"
    assert a.check().returncode
    assert plugin.operator("reconcile").returncode == 0
    assert plugin.operator("reconcile", "-o", "json").stdout == ""
    assert fate(switch, a.port, FRAME) == number(switch, "uplink")
    assert fate(switch, "uplink", FRAME) == number(switch, a.port)
    a.check().succeeded()


def test_once_takes_away_what_somebody_wrote_under_our_cookie(
    make: Make, plugin: Plugin, switch: Switch
) -> None:
    make("net1", segment="s")
    before = flows.flows(switch)
    cookie = flows.ours(switch)[0].partition(",")[0]
    flows.change(switch, "add-flow", "br0", f"{cookie},priority=50000,actions=NORMAL")
    plugin.operator("reconcile")
    assert flows.flows(switch) == before


def test_a_bridge_that_refuses_its_flows_keeps_no_other_from_getting_them(
    make: Make, plugin: Plugin, switch: Switch
) -> None:
    make("net1", antiSpoofing=True, bridge="br0")
    guarded = make("net2", antiSpoofing=True, bridge="br1")
    switch.vsctl("set", "bridge", "br0", "protocols=OpenFlow10")
    flows.change(switch, "del-flows", "br1", "cookie=0/-1")
    flows.change(switch, "del-flows", "br1")
    done = plugin.operator("reconcile")
    switch.vsctl("clear", "bridge", "br0", "protocols")
    assert done.returncode
    assert "protocols" in done.stderr
    assert fate(switch, guarded.port, f"dl_src={FORGED},dl_dst={EVERYBODY}", "br1") == "drop"
    assert plugin.operator("reconcile").returncode == 0


@pytest.mark.parametrize(
    ("table", "mark"),
    [
        ("Interface", "attached-mac=nonsense"),
        ("Interface", "attached-mac="),
        ("Port", "cni-ips=10.0.0.5,actions=NORMAL"),
    ],
)
def test_an_attachment_with_a_spoilt_mark_sends_nothing_and_the_others_are_restored(
    make: Make, plugin: Plugin, switch: Switch, table: str, mark: str
) -> None:
    spoilt, guarded = make("net1", antiSpoofing=True), make("net2", antiSpoofing=True)
    name, _, value = mark.partition("=")
    spoilt.set(table, f"external_ids:{name}", f'"{value}"')
    restart(switch)
    done = plugin.operator("reconcile")
    assert (done.returncode, done.stderr) == (0, "")
    guarded.check().succeeded()
    assert fate(switch, guarded.port, f"dl_src={FORGED},dl_dst={EVERYBODY}") == "drop"
    mine = guarded.conf.get("mac") or str(spoilt.result["interfaces"][1]["mac"])
    assert fate(switch, spoilt.port, f"dl_src={mine},dl_dst={EVERYBODY}") == "drop"


def test_it_writes_nothing_where_there_is_nothing_of_ours(plugin: Plugin, switch: Switch) -> None:
    switch.add_bridge("br0")
    flows.change(switch, "add-flow", "br0", "cookie=0x7,priority=5,actions=drop")
    before = flows.flows(switch)
    assert plugin.operator("reconcile").stdout == "all flows are right\n"
    assert flows.flows(switch) == before


def test_the_watch_restores_after_each_restart(make: Make, switch: Switch, watch: Watch) -> None:
    a, b = make("net1", segment="s"), make("net2", segment="s")
    before = flows.ours(switch)
    watch()
    for _ in range(2):
        restart(switch)
        wait_until("the flows are back", switch, lambda: flows.ours(switch) == before)
        assert fate(switch, a.port, FRAME) == number(switch, b.port)


def test_the_watch_goes_on_for_attachments_that_came_later(make: Make, switch: Switch, watch: Watch) -> None:
    watch()
    a = make("net1", antiSpoofing=True, bridge="br5")
    before = flows.ours(switch, "br5")
    flows.change(switch, "del-flows", "br5", f"{before[0].partition(',')[0]}/-1")
    make("net2", antiSpoofing=True, bridge="br5")
    wait_until("the flows are back", switch, lambda: set(flows.ours(switch, "br5")) > set(before))
    a.check().succeeded()


def forger(attached: Attached, tmp_path: Path, netns: Netns) -> Testpmd:
    """Give an application that sends nothing but frames from a MAC that is not its own."""
    vhost = Vhost(path=attached.socket, server=True, mac=FORGED)
    return Testpmd([vhost], "txonly", str(tmp_path / "tx.log"), netns=netns, peer=EVERYBODY)


def witness(attached: Attached, tmp_path: Path, netns: Netns) -> Testpmd:
    """Give an application that counts what arrives."""
    return Testpmd(
        [Vhost(path=attached.socket, server=True)], "rxonly", str(tmp_path / "rx.log"), netns=netns
    )


def arrived_at(switch: Switch, port: str) -> int:
    """Return how many frames the switch has taken in; 0 while it has not yet opened the bridge."""
    try:
        return switch.counters(port).received or 0
    except RigError:
        return 0


def forged_frames_reach(switch: Switch, port: str) -> None:
    """Wait until the switch, anew after a restart, has taken frames from the application."""
    before = arrived_at(switch, port)
    wait_until("frames reach the switch", switch, lambda: arrived_at(switch, port) > before + 5000)
    time.sleep(1)  # what is under way arrives


def test_with_fail_closed_no_forged_frame_passes_over_a_restart(
    make: Make, switch: Switch, watch: Watch, netns: Netns, tmp_path: Path
) -> None:
    there, here = make("net1"), make("net2", antiSpoofing=True)
    watch("--fail-closed")
    wait_until("it is held", switch, lambda: HELD in switch.rows("Open_vSwitch")[0]["other_config"])
    with witness(there, tmp_path, netns) as receiver, forger(here, tmp_path, netns):
        forged_frames_reach(switch, here.port)
        assert receiver.stats().received == 0
        restart(switch)
        forged_frames_reach(switch, here.port)
        assert receiver.stats().received == 0
        assert switch.rows("Open_vSwitch")[0]["other_config"][HELD] == "true", "the next one is held, too"
        assert "drop" not in fate(switch, there.port, FRAME), "and this one passes what may pass"


def test_without_anybody_to_restore_forged_frames_pass_after_a_restart(
    make: Make, switch: Switch, netns: Netns, tmp_path: Path
) -> None:
    there, here = make("net1"), make("net2", antiSpoofing=True)
    with witness(there, tmp_path, netns) as receiver, forger(here, tmp_path, netns):
        forged_frames_reach(switch, here.port)
        assert receiver.stats().received == 0
        restart(switch)
        forged_frames_reach(switch, here.port)
        assert receiver.stats().received > 0, "this is what reconcile is for"


def test_a_wired_port_passes_no_frame_to_others_over_a_restart_even_without_a_watch(
    make: Make, switch: Switch, netns: Netns, tmp_path: Path
) -> None:
    there, here = make("net1"), make("net2", segment="s")
    make("net3", segment="s")
    with witness(there, tmp_path, netns) as receiver, forger(here, tmp_path, netns):
        restart(switch)
        forged_frames_reach(switch, here.port)
        assert receiver.stats().received == 0


def test_it_is_refused_with_a_remote_database(plugin: Plugin) -> None:
    done = plugin.operator("reconcile", "--db", "tcp:127.0.0.1:6640")
    assert done.returncode == 1
    assert "on the switch's own node only" in done.stderr
    assert os.path.exists(plugin.node_file)

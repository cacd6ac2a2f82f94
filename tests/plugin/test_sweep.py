"""`userspace gc`: the sweep outside CNI. Shows by default, acts with --yes, never touches what lives."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.attached import CONTAINER, Attached
from tests.support.attached import attach as attach_to
from tests.support.child import Child, wait_for
from tests.support.remains import device_info_file, host_local, remains

if TYPE_CHECKING:
    from tests.conftest import MakeNetns
    from tests.plugin.conftest import Attach
    from tests.support.plugin import Outcome, Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

CLEAN = "nothing is left over"
SECONDS = 10.0
HERE = "--here"  # the tests may run in a container; tests/component/test_gc_sight.py is about that


def sweep(plugin: Plugin, *options: str) -> Outcome:
    outcome = plugin.operator("gc", HERE, *options)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome


def findings(plugin: Plugin, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sweep(plugin, "-o", "json", *options).answer["findings"]
    return found


def kinds(plugin: Plugin, *options: str) -> list[tuple[str, str]]:
    """Return (kind, outcome) of each finding."""
    return [(f["kind"], f["outcome"]) for f in findings(plugin, *options)]


def lose_record(attached: Attached) -> None:
    shutil.rmtree(os.path.dirname(attached.record))


def change_record(attached: Attached, **fields: object) -> None:
    with open(attached.record, encoding="utf-8") as file:
        record = {**json.load(file), **fields}
    with open(attached.record, "w", encoding="utf-8") as file:
        json.dump(record, file)


# --- what lives -------------------------------------------------------------


def test_a_node_with_nothing_on_it_has_nothing_left_over(plugin: Plugin, switch: Switch) -> None:
    assert switch.healthy()
    assert CLEAN in sweep(plugin).stdout


def test_what_lives_is_neither_listed_nor_touched(attach: Attach, plugin: Plugin) -> None:
    made = [attach(ifname="net1"), attach(ifname="net2", interface_type="dpdkvhostuser")]
    assert CLEAN in sweep(plugin).stdout
    assert CLEAN in sweep(plugin, "--yes").stdout
    for attached in made:
        attached.check().succeeded()


def test_a_namespace_without_a_path_lives_while_a_process_is_in_it(attach: Attach, plugin: Plugin) -> None:
    attached = attach()
    sleeper = Child(attached.netns.command(["sleep", "infinity"]), f"{plugin.directory}/sleep.log")
    inside = os.readlink(f"/proc/{os.getpid()}/ns/net")

    def entered() -> bool:
        return os.readlink(f"/proc/{sleeper.pid}/ns/net") != inside

    wait_for("the process is in the namespace", entered, SECONDS, proof=sleeper.tail)
    attached.netns.close()
    assert CLEAN in sweep(plugin, "--yes").stdout
    assert attached.port in attached.switch.ports()
    sleeper.end()
    assert kinds(plugin, "--yes") == [("dead", "removed")]


def test_an_add_that_is_at_work_in_a_living_namespace_is_shown_and_left_alone(
    attach: Attach, plugin: Plugin
) -> None:
    attached = attach()
    change_record(attached, state="adding")
    assert kinds(plugin, "--yes") == [("interrupted", "left alone")]
    assert attached.port in attached.switch.ports()


def test_what_lives_without_a_record_is_shown_and_left_alone(attach: Attach, plugin: Plugin) -> None:
    attached = attach()
    lose_record(attached)
    assert kinds(plugin, "--yes") == [("unrecorded", "left alone")]
    assert attached.port in attached.switch.ports()


# --- what is dead -----------------------------------------------------------


def test_what_is_dead_is_shown_and_only_with_yes_removed(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    attached = attach(
        cniVersion="1.0.0",
        deleteBridge=True,
        ipam=host_local(plugin),
        sharedDir=f"{plugin.directory}/{'d' * 60}",
        runtimeConfig={"CNIDeviceInfoFile": device_info_file(plugin)},
    )
    attached.netns.close()
    before = plugin.files(), switch.ports()
    shown = sweep(plugin).stdout
    for words in ("dead", CONTAINER[:20], "net1", "fast", attached.port, "would be removed", "--yes"):
        assert words in shown
    assert (plugin.files(), switch.ports()) == before
    assert "removed" in sweep(plugin, "--yes").stdout
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()
    assert CLEAN in sweep(plugin).stdout


def test_of_two_containers_only_the_dead_ones_attachment_is_removed(
    plugin: Plugin, switch: Switch, make_netns: MakeNetns
) -> None:
    living, dead = (attach_to(plugin, switch, make_netns(), container=name) for name in ("living", "dead"))
    dead.netns.close()
    (found,) = findings(plugin, "--yes")
    assert (found["container"], found["ifname"], found["network"]) == ("dead", "net1", "fast")
    assert switch.ports() == {living.port}
    living.check().succeeded()


def test_what_only_the_marks_know_is_removed_when_it_is_dead(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    attached = attach(deleteBridge=True)
    lose_record(attached)
    attached.netns.close()
    assert kinds(plugin) == [("dead", "would be removed")]
    assert kinds(plugin, "--yes") == [("dead", "removed")]
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()


def test_a_record_of_an_earlier_boot_is_dead_whatever_has_its_inode_now(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    attached = attach(deleteBridge=True)
    with open(attached.record, encoding="utf-8") as file:
        known = json.load(file)["netns_id"]
    change_record(attached, netns_id=f"00000000:{known.partition(':')[2]}")
    assert kinds(plugin, "--yes") == [("dead", "removed")]
    assert remains(plugin, switch) == []


def test_a_torn_record_goes_with_what_its_marks_know(attach: Attach, plugin: Plugin, switch: Switch) -> None:
    attached = attach(deleteBridge=True)
    with open(attached.record, "r+", encoding="utf-8") as file:
        file.truncate(50)
    attached.netns.close()
    assert sorted(kinds(plugin, "--yes")) == [("dead", "removed"), ("torn", "removed")]
    assert remains(plugin, switch) == []


# --- what is owed -----------------------------------------------------------


def test_what_is_owed_is_settled(attach: Attach, plugin: Plugin, switch: Switch) -> None:
    attached = attach(deleteBridge=True)
    switch.kill_ovsdb()
    assert attached.delete().code == 11
    switch.start_ovsdb()
    assert kinds(plugin) == [("owed", "would be removed")]
    assert "the OVS database does not answer" in findings(plugin)[0]["what"]
    assert kinds(plugin, "--yes") == [("owed", "removed")]
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()


def test_what_cannot_be_settled_yet_is_a_failure_and_stays_owed(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    attached = attach(deleteBridge=True)
    switch.kill_ovsdb()
    assert attached.delete().code == 11
    outcome = plugin.operator("gc", HERE, "--yes")
    assert outcome.returncode == 1
    assert "failed: " in outcome.stdout
    assert "not looked at: the OVS database does not answer" in outcome.stderr
    switch.start_ovsdb()
    assert kinds(plugin, "--yes") == [("owed", "removed")]
    assert remains(plugin, switch) == []


def test_what_another_call_has_attached_anew_meanwhile_is_left_alone(attach: Attach, plugin: Plugin) -> None:
    attached = attach()
    change_record(attached, state="owed", reason="the switch was down")
    folder = os.open(os.path.dirname(attached.record), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # as the call that settles it and attaches anew
        with ThreadPoolExecutor() as pool:
            sweeping = pool.submit(sweep, plugin, "--yes")
            wait_for("the sweep waits for the lock", lambda: waits_for(folder), SECONDS, proof=str)
            change_record(attached, state="attached", reason="")
            fcntl.flock(folder, fcntl.LOCK_UN)
            sweeping.result()
    finally:
        os.close(folder)
    attached.check().succeeded()


def waits_for(fd: int) -> bool:
    """Tell whether somebody waits for the lock of an open file (proc_locks(5): a line with "->")."""
    inode = os.fstat(fd).st_ino
    with open("/proc/locks", encoding="ascii") as locks:
        return any("->" in line and line.split()[6].endswith(f":{inode}") for line in locks)


# --- other places -----------------------------------------------------------


def test_another_database_is_looked_at_when_it_is_named(
    plugin: Plugin, switch: Switch, plain_switch: Switch
) -> None:
    marks = {
        "owner": "cni-userspace",
        "cni-network": "fast",
        "cni-container-id": "c1",
        "cni-ifname": "net1",
        "cni-netns": "/run/netns/gone",
        "cni-netns-id": "00000000:4:4026530000",
        "cni-bridge": "br0",
    }
    plain_switch.add_bridge("br0")
    told = [f'external_ids:{name}="{value}"' for name, value in marks.items()]
    plain_switch.vsctl("add-port", "br0", "p1", "--", "set", "Port", "p1", *told)
    plain_switch.vsctl("add-port", "br0", "theirs")
    assert switch.healthy()
    assert CLEAN in sweep(plugin, "--yes").stdout
    assert kinds(plugin, "--yes", "--db", plain_switch.remote) == [("dead", "removed")]
    assert plain_switch.ports("br0") == {"theirs"}


def test_a_database_that_does_not_answer_is_told_and_holds_up_nothing(attach: Attach, plugin: Plugin) -> None:
    attached = attach()
    attached.netns.close()
    outcome = plugin.operator("gc", HERE, "--db", f"unix:{plugin.directory}/none.sock")
    assert outcome.returncode == 0
    assert "not looked at: the OVS database does not answer" in outcome.stderr
    assert attached.port in outcome.stdout


def test_a_torn_record_stays_while_a_database_could_not_be_looked_at(attach: Attach, plugin: Plugin) -> None:
    attached = attach()
    with open(attached.record, "r+", encoding="utf-8") as file:
        file.truncate(50)
    found = kinds(plugin, "--yes", "--db", f"unix:{plugin.directory}/none.sock")
    assert ("torn", "left alone: not every database was looked at") in found
    assert os.path.exists(attached.record)


def test_what_looks_like_intels_is_shown_and_never_touched(plugin: Plugin, switch: Switch) -> None:
    switch.add_bridge("br0")
    container = "0123456789ab"
    switch.add_port("br0", f"{container}-n1", path=f"/tmp/{container}/{container}-n1")  # noqa: S108
    assert kinds(plugin, "--yes") == [("intel", "left alone")]
    assert switch.ports("br0") == {f"{container}-n1"}

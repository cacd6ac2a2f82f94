"""CNI's GC: what a runtime no longer lists goes, of its own network only."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.attached import Attached
from tests.support.remains import device_info_file, host_local, leases, remains

if TYPE_CHECKING:

    from tests.plugin.conftest import Attach
    from tests.support.plugin import Outcome, Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

KEY, OLD_KEY = "cni.dev/valid-attachments", "cni.dev/attachments"


def gc(plugin: Plugin, **keys: Any) -> Outcome:  # noqa: ANN401  any key of a netconf
    """GC with these keys, a list among them or not."""
    return plugin.run({"CNI_COMMAND": "GC", "CNI_PATH": plugin.cni_path}, plugin.conf(**keys))


def listed(*attachments: Attached) -> list[dict[str, str]]:
    return [{"containerID": a.container, "ifname": a.ifname} for a in attachments]


def alive(attached: Attached) -> bool:
    """Tell whether an attachment is wholly there."""
    return attached.check().returncode == 0


def gone(attached: Attached) -> bool:
    """Tell whether an attachment has left nothing of its own."""
    paths = (attached.socket, f"{attached.plugin.state}/attachments/{attached.container}")
    return attached.port not in attached.switch.ports() and not any(map(os.path.lexists, paths))


def test_gc_removes_what_is_not_listed_and_nothing_else(attach: Attach, plugin: Plugin) -> None:
    made = [attach(container=name) for name in ("keep1", "stale1", "keep2", "stale2")]
    kept = [a for a in made if a.container.startswith("keep")]
    assert gc(plugin, **{KEY: listed(*kept)}).succeeded() == {}
    assert [gone(a) for a in made] == [False, True, False, True]
    assert all(map(alive, kept))


def test_gc_removes_one_interface_of_a_container_and_keeps_the_other(attach: Attach, plugin: Plugin) -> None:
    stale, kept = attach(ifname="net1"), attach(ifname="net10")
    gc(plugin, **{KEY: listed(kept)}).succeeded()
    assert stale.port not in stale.switch.ports()
    assert alive(kept)


def test_gc_of_one_network_leaves_the_other_networks_alone(attach: Attach, plugin: Plugin) -> None:
    ours, theirs = attach(container="c1", name="fast"), attach(container="c2", name="fast2")
    gc(plugin, name="fast", **{KEY: []}).succeeded()
    assert gone(ours)
    assert alive(theirs)


def test_an_empty_list_removes_everything_of_the_network(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    attach(container="c1", deleteBridge=True)
    attach(
        container="c2",
        deleteBridge=True,
        sharedDir=f"{plugin.directory}/{'d' * 60}",
        runtimeConfig={"CNIDeviceInfoFile": device_info_file(plugin)},
    )
    gc(plugin, **{KEY: []}).succeeded()
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()
    assert os.listdir(f"{plugin.directory}/{'d' * 60}") == []


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_gc_reads_both_spellings_of_the_list(attach: Attach, plugin: Plugin, key: str) -> None:
    kept, stale = attach(container="c1"), attach(container="c2")
    gc(plugin, **{key: listed(kept)}).succeeded()
    assert alive(kept)
    assert gone(stale)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {KEY: None},
        {KEY: "none"},
        {KEY: {}},
        {KEY: ["c1"]},
        {KEY: [{"containerID": "c1"}]},
        {KEY: [{"containerID": "c1", "ifname": 1}]},
    ],
)
def test_without_a_list_that_is_wholly_understood_nothing_is_removed(
    attach: Attach, plugin: Plugin, keys: dict[str, Any]
) -> None:
    attached = attach()
    conf = {**plugin.conf(), **keys}
    outcome = plugin.run({"CNI_COMMAND": "GC", "CNI_PATH": plugin.cni_path}, conf)
    assert outcome.code == 7
    assert "nothing was removed" in outcome.words
    assert alive(attached)


def test_gc_needs_none_of_the_plugins_own_keys(attach: Attach, plugin: Plugin) -> None:
    attached = attach(bridge="br-other", interface_type="dpdkvhostuser")
    gc(plugin, bridge=None, **{KEY: []}).succeeded()
    assert gone(attached)


# --- where only the marks are left ------------------------------------------


def test_gc_finds_by_its_marks_what_has_no_record(attach: Attach, plugin: Plugin, switch: Switch) -> None:
    lost, theirs, kept = (
        attach(container="c1", deleteBridge=True),
        attach(container="c2", name="fast2"),
        attach(container="c3"),
    )
    for attached in (lost, theirs, kept):
        shutil.rmtree(os.path.dirname(attached.record))
    gc(plugin, **{KEY: listed(kept)}).succeeded()
    assert gone(lost)
    assert not os.path.exists(lost.directory)
    assert switch.ports() == {theirs.port, kept.port}
    assert os.path.exists(kept.directory)


def test_a_port_without_our_mark_is_never_touched(plugin: Plugin, switch: Switch) -> None:
    switch.add_bridge("br0")
    switch.add_port("br0", "theirs", path="/tmp/theirs")  # noqa: S108  nothing is made there
    marks = ["cni-network=fast", "cni-container-id=c1", "cni-ifname=net1"]
    switch.vsctl("set", "Port", "theirs", *(f"external_ids:{mark}" for mark in marks))
    gc(plugin, **{KEY: []}).succeeded()
    assert switch.ports() == {"theirs"}


# --- addresses --------------------------------------------------------------


def ipam_that(plugin: Plugin, does: str) -> dict[str, Any]:
    """Install an IPAM plugin that writes down what it is called for; return its `ipam` object."""
    path = f"{plugin.bin}/notes"
    answer = '{"cniVersion": "1.1.0", "ips": [{"address": "10.9.0.5/24"}]}'
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\necho $CNI_COMMAND $CNI_CONTAINERID >> {plugin.directory}/notes\n")
        file.write(f"cat >> {plugin.directory}/stdin\n{does}\necho '{answer}'\n")
    os.chmod(path, 0o755)  # noqa: S103  an executable
    return {"type": "notes"}


def notes(plugin: Plugin) -> list[str]:
    with open(f"{plugin.directory}/notes", encoding="utf-8") as file:
        return file.read().splitlines()


def test_gc_releases_the_addresses_of_what_it_removes(attach: Attach, plugin: Plugin) -> None:
    conf = {"cniVersion": "1.0.0", "ipam": host_local(plugin)}
    kept, stale = attach(container="c1", **conf), attach(container="c2", **conf)
    assert len(leases(plugin)) == 4
    gc(plugin, **{KEY: listed(kept)}).succeeded()
    assert len(leases(plugin)) == 2
    assert alive(kept)
    assert gone(stale)


def test_gc_is_forwarded_to_the_ipam_plugin_with_the_list(attach: Attach, plugin: Plugin) -> None:
    ipam = ipam_that(plugin, "true")
    kept = attach(container="c1", ipam=ipam)
    attach(container="c2", ipam=ipam)
    gc(plugin, ipam=ipam, **{KEY: listed(kept)}).succeeded()
    assert notes(plugin) == ["ADD c1", "ADD c2", "DEL c2", "GC"]
    with open(f"{plugin.directory}/stdin", encoding="utf-8") as file:
        assert '"cni.dev/valid-attachments": [{"containerID": "c1"' in file.read()


def test_gc_goes_on_after_failures_and_reports_them_all(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    ipam = ipam_that(
        plugin, 'case "$CNI_COMMAND" in GC) echo "{\\"msg\\": \\"no GC today\\"}"; exit 1;; esac'
    )
    made = [attach(container=f"c{number}", ipam=ipam, deleteBridge=True) for number in range(3)]
    mounted = f"{made[0].directory}/mounted"
    os.mkdir(mounted)
    subprocess.run(["mount", "-t", "tmpfs", "test", mounted], check=True)
    try:
        outcome = gc(plugin, ipam=ipam, **{KEY: []})
    finally:
        subprocess.run(["umount", mounted], check=True)
    assert outcome.code == 11
    assert made[0].directory in outcome.words
    assert "no GC today" in outcome.words
    assert [gone(a) for a in made[1:]] == [True, True]
    assert switch.ports() == set()
    gc(plugin, **{KEY: []}).succeeded()
    assert remains(plugin, switch) == []


def test_gc_says_when_the_database_cannot_be_asked_and_does_what_it_can(
    attach: Attach, plugin: Plugin, switch: Switch
) -> None:
    attached = attach(deleteBridge=True)
    switch.kill_ovsdb()
    outcome = gc(plugin, **{KEY: []})
    assert outcome.code == 11
    assert "the OVS database does not answer" in outcome.words
    assert not os.path.exists(attached.directory)
    switch.start_ovsdb()
    gc(plugin, **{KEY: []}).succeeded()
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()

"""`userspace gc` on devices: allocations on disk, of PCI addresses that no machine has."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from typing import TYPE_CHECKING

import pytest

from cni_userspace.attach.store import Store
from cni_userspace.cni.nodefile import NodeFile
from cni_userspace.host import netns
from cni_userspace.node import gc, view
from tests.support.allocated import PF, VF, keep, key, record, taken, tear

if TYPE_CHECKING:
    from pathlib import Path

OWN = {"netns": netns.SELF, "netns_id": netns.identity(netns.SELF)}
TOLD = f"device {VF}, VF 0 of PF {PF}"


def sweep(state: str, capture: pytest.CaptureFixture[str], *, yes: bool) -> list[tuple[str, ...]]:
    """Run it, which must succeed; return (kind, containerID, what, outcome) of each finding."""
    node = NodeFile(state_dir=state, defaults={"socket_file": f"{state}/none.sock"})
    assert gc.run(Namespace(yes=yes, here=True, db=[], output="json"), node) == 0
    findings = json.loads(capture.readouterr().out)["findings"]
    return [(f["kind"], f["container"], f["what"], f["outcome"]) for f in findings]


@pytest.fixture
def state(tmp_path: Path) -> str:
    """Give a state directory."""
    return str(tmp_path / "state")


def files(state: str) -> list[str]:
    return [name for _, _, names in os.walk(state) for name in names]


def test_a_device_of_a_dead_container_is_told_and_freed_with_yes(
    state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(state, taken())
    assert sweep(state, capsys, yes=False) == [("dead", "c1", TOLD, "would be removed")]
    assert files(state) == ["allocation.json"]
    assert sweep(state, capsys, yes=True) == [("dead", "c1", TOLD, "removed")]
    assert files(state) == []


def test_a_recorded_one_is_told_once_and_goes_with_its_record(
    state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(state, record(state), taken())
    assert sweep(state, capsys, yes=False) == [("dead", "c1", TOLD, "would be removed")]
    assert sweep(state, capsys, yes=True) == [("dead", "c1", TOLD, "removed")]
    assert files(state) == []
    assert sweep(state, capsys, yes=True) == []


def test_what_is_owed_is_told_with_its_reason(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    keep(state, record(state, state_word="owed").replace(reason="busy"))
    assert sweep(state, capsys, yes=False) == [("owed", "c1", f"{TOLD} (busy)", "would be removed")]


def test_a_device_of_a_living_container_is_left_alone(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    keep(state, taken(**OWN))
    assert sweep(state, capsys, yes=True) == [("unrecorded", "c1", TOLD, "left alone")]
    keep(state, record(state).replace(**OWN))
    assert sweep(state, capsys, yes=True) == []
    assert sorted(name.partition("@")[0] for name in files(state)) == ["allocation.json", "net1"]


def test_the_dead_ones_device_goes_and_the_living_ones_stays(
    state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(state, record(state, key("dead")), taken(key=key("dead")))
    keep(state, record(state, key("lives"), pci=PF).replace(**OWN), taken(pci=PF, key=key("lives"), **OWN))
    assert [found[1] for found in sweep(state, capsys, yes=True)] == ["dead"]
    assert [r.key.container_id for r in Store(state).all()] == ["lives"]
    assert os.listdir(f"{state}/devices") == [PF]


def test_a_torn_allocation_is_told_and_removed_with_yes(
    state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tear(state)
    assert sweep(state, capsys, yes=False) == [("torn", "", path, "would be removed")]
    assert os.path.exists(path)
    assert sweep(state, capsys, yes=True) == [("torn", "", path, "removed")]
    assert os.listdir(f"{state}/devices") == []


def test_only_a_node_with_devices_and_without_a_switch_needs_none(tmp_path: Path, state: str) -> None:
    usual = f"unix:{tmp_path}/db.sock"
    assert not view.has_no_switch(Store(state), usual)
    keep(state, taken(**OWN))
    assert view.has_no_switch(Store(state), usual)
    (tmp_path / "db.sock").touch()
    assert not view.has_no_switch(Store(state), usual)


def test_a_record_that_cannot_be_read_may_need_a_switch(tmp_path: Path, state: str) -> None:
    keep(state, record(state), taken())
    (found,) = (f"{folder}/{name}" for folder, _, names in os.walk(f"{state}/attachments") for name in names)
    os.truncate(found, 20)
    assert not view.has_no_switch(Store(state), f"unix:{tmp_path}/db.sock")

"""When the wait for udev ends; that it waits long enough is shown in tests/sriov, with udev."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cni_userspace.host import udev
from cni_userspace.host.deadline import Deadline

if TYPE_CHECKING:
    from pathlib import Path

INDEX = 77


def running(run: Path) -> Path:
    """Make a directory of a udev that runs, and return its database."""
    (run / "control").touch()
    (run / "data").mkdir()
    return run / "data"


def test_without_udev_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    assert udev.await_netdev(INDEX, Deadline(60), str(tmp_path))


def test_a_device_that_udev_knows_is_done(tmp_path: Path) -> None:
    (running(tmp_path) / f"n{INDEX}").touch()
    assert udev.await_netdev(INDEX, Deadline(60), str(tmp_path))


def test_a_udev_that_does_not_answer_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    (running(tmp_path) / f"n{INDEX}0").touch()
    assert not udev.await_netdev(INDEX, Deadline(0.2), str(tmp_path))

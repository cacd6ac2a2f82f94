"""Faults at each step: killed, ended and refused system calls leave nothing that a DEL does not take.

Every system call that changes something is broken once, in client and in
server mode, and those that only look where they are the plugin's own.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.faults import CHANGING, FILLING, LOOKING, broken, points
from tests.support.need import need
from tests.support.node import Node, new_container
from tests.support.remains import device_info_file, host_local

if TYPE_CHECKING:
    from tests.support.faults import Point
    from tests.support.plugin import Outcome

pytestmark = [pytest.mark.runtime, pytest.mark.usefixtures("reference_plugins", "_strace")]

KINDS = ("dpdkvhostuserclient", "dpdkvhostuser")


@pytest.fixture(scope="session")
def _strace() -> None:
    need("strace")


class Broken:
    """Calls about one attachment that has all that one can have, each broken at one point."""

    def __init__(self, node: Node, kind: str) -> None:
        """Choose the port's type."""
        self.node = node
        self.shared = os.path.join(node.plugin.shared, "d" * 60)
        conf: dict[str, Any] = node.plugin.conf(
            bridge="auto",
            createBridge=True,
            deleteBridge=True,
            interface_type=kind,
            sharedDir=self.shared,
            owner=os.getuid(),
            dirMode="0750",
            ipam=host_local(node.plugin),
            runtimeConfig={"CNIDeviceInfoFile": device_info_file(node.plugin)},
        )
        self.conf = conf if kind == KINDS[0] else {**conf, "socketMode": "0666"}
        self.stdin = json.dumps(self.conf).encode()

    def points(self, command: str, kinds: tuple[str, ...]) -> list[Point]:
        """Return where a call can be broken; the attachment is added and deleted for it."""
        self.node.add(conf=self.conf).succeeded()
        if command == "ADD":
            self.node.delete(conf=self.conf).succeeded()
        found = points(self.node.plugin, self.node.words(command), self.stdin, kinds)
        self.node.delete(conf=self.conf).succeeded()
        assert self.left() == []
        return found

    def call(self, command: str, point: Point, fault: str, *, onwards: bool = False) -> Outcome:
        """Run the call with a fault at that point, and at all later ones of its kind."""
        words = self.node.words(command)
        return broken(self.node.plugin, words, self.stdin, point, fault, onwards=onwards)

    def delete(self) -> None:
        """DEL, which has to succeed."""
        self.node.delete(conf=self.conf).succeeded()

    def left(self) -> list[str]:
        """Return what is left but the shared directory, which is the administrator's to remove."""
        return [path for path in self.node.left() if path != self.shared]


@pytest.fixture(params=KINDS)
def attachment(node: Node, request: pytest.FixtureRequest) -> Broken:
    """Give one attachment of each port type."""
    return Broken(node, request.param)


@pytest.fixture
def client(node: Node) -> Broken:
    """Give an attachment in client mode, where one is enough."""
    return Broken(node, KINDS[0])


def test_del_clears_what_a_killed_add_left(attachment: Broken) -> None:
    for point in attachment.points("ADD", CHANGING):
        attachment.call("ADD", point, "signal=KILL")
        attachment.delete()
        assert attachment.left() == [], point


def test_add_clears_what_a_killed_add_left(client: Broken) -> None:
    for point in client.points("ADD", CHANGING):
        killed = client.call("ADD", point, "signal=KILL")
        if killed.returncode:
            again = client.node.add(conf=client.conf)
            if "exists already" not in again.words:  # killed while it answered: the attachment stands
                again.succeeded()
        client.delete()
        assert client.left() == [], point


def test_del_finishes_what_a_killed_del_began(attachment: Broken) -> None:
    for point in attachment.points("DEL", CHANGING):
        attachment.node.add(conf=attachment.conf).succeeded()
        attachment.call("DEL", point, "signal=KILL")
        attachment.delete()
        assert attachment.left() == [], point


def is_told(outcome: Outcome) -> bool:
    """Tell whether a failed call ended with one CNI error and nothing else."""
    assert "Traceback" not in outcome.stderr, outcome
    assert outcome.stdout.count("\n") == 1, outcome
    return bool(outcome.answer["code"] != 199 and outcome.answer["msg"])


# --- ended


def is_ended(outcome: Outcome) -> bool:
    """Tell whether a call ended by a signal: before it had made anything, or with everything taken back."""
    if outcome.returncode < 0:
        return outcome.stdout == ""
    return outcome.returncode > 0 and is_told(outcome) and outcome.code == 11


def test_an_ended_add_takes_everything_back(attachment: Broken) -> None:
    for point in attachment.points("ADD", CHANGING):
        ended = attachment.call("ADD", point, "signal=TERM")
        if ended.returncode == 0:  # the attachment stood already
            attachment.delete()
        else:
            assert is_ended(ended), (point, ended)
        assert attachment.left() == [], point


@pytest.mark.parametrize("signal", ["TERM", "INT", "HUP"])
def test_a_signal_that_comes_again_and_again_does_not_stop_the_way_back(client: Broken, signal: str) -> None:
    for point in client.points("ADD", ("sendto",)):
        assert is_ended(client.call("ADD", point, f"signal={signal}", onwards=True)), point
        assert client.left() == [], point


def test_an_ended_del_is_finished_by_the_next_call(client: Broken) -> None:
    for point in client.points("DEL", CHANGING):
        client.node.add(conf=client.conf).succeeded()
        ended = client.call("DEL", point, "signal=TERM")
        assert ended.returncode == 0 or is_ended(ended), (point, ended)
        client.delete()
        assert client.left() == [], point


# --- refused


ERRORS = {"EIO": CHANGING, "ENOSPC": FILLING}


def fail_at(attachment: Broken, error: str, places: list[Point]) -> None:
    for point in places:
        failed = attachment.call("ADD", point, f"error={error}")
        if failed.returncode and point.kind == "write" and point.words.startswith("1<"):
            assert failed.stdout == ""  # nobody reads the answer: a runtime calls DEL then
        elif failed.returncode:
            assert is_told(failed), (point, failed)
            assert attachment.left() == [], (point, failed)
        attachment.delete()
        assert attachment.left() == [], (point, failed)


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_a_call_that_changes_something_fails_add_with_nothing_left(
    attachment: Broken, error: str
) -> None:
    fail_at(attachment, error, attachment.points("ADD", ERRORS[error]))


def test_an_error_of_a_call_that_looks_at_something_fails_add_with_nothing_left(client: Broken) -> None:
    places = client.points("ADD", LOOKING)
    fail_at(client, "EACCES", places[::2])  # half of them: most are steps of one path


def test_a_switch_that_is_lost_for_good_in_the_middle_of_add_leaves_a_debt(client: Broken) -> None:
    owed = 0
    for point in client.points("ADD", ("sendto",)):
        failed = client.call("ADD", point, "error=EPIPE", onwards=True)
        assert is_told(failed), (point, failed)
        owed += len(client.node.debts())
        client.node.delete(container=new_container()).succeeded()  # any call settles
        assert client.left() == [], point
    assert owed > 0


def test_a_del_that_loses_the_switch_leaves_a_debt(client: Broken) -> None:
    for point in client.points("DEL", ("sendto",)):
        client.node.add(conf=client.conf).succeeded()
        failed = client.call("DEL", point, "error=EPIPE", onwards=True)
        assert failed.code == 11, (point, failed)
        assert len(client.node.debts()) == 1
        client.node.delete(container=new_container()).succeeded()
        assert client.left() == [], point

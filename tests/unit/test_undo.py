"""Undo: last in, first out, and no failing step stops another."""

from __future__ import annotations

import pytest

from cni_userspace.attach.undo import Undo, describe
from cni_userspace.errors import SwitchError


def test_steps_run_from_the_last_to_the_first() -> None:
    ran: list[int] = []
    undo = Undo()
    for number in range(3):
        undo.add(f"step {number}", lambda number=number: ran.append(number))  # type: ignore[misc]
    assert undo.run() == []
    assert ran == [2, 1, 0]


def test_a_failing_step_is_told_and_stops_no_other() -> None:
    ran: list[str] = []

    def fail() -> None:
        raise SwitchError("the switch is down", details="unix:/db.sock")

    undo = Undo()
    undo.add("directory", lambda: ran.append("directory"))
    undo.add("port p1", fail)
    undo.add("bug", lambda: 1 // 0)
    assert undo.run() == [
        "bug: integer division or modulo by zero",
        "port p1: the switch is down (unix:/db.sock)",
    ]
    assert ran == ["directory"]


def test_a_step_runs_once() -> None:
    ran: list[str] = []
    undo = Undo()
    undo.add("a", lambda: ran.append("a"))
    undo.run()
    assert undo.run() == []
    assert ran == ["a"]


def test_a_step_may_add_the_way_back_of_what_it_does() -> None:
    ran: list[str] = []
    undo = Undo()
    undo.add("a", lambda: undo.add("b", lambda: ran.append("b")))
    assert undo.run() == []
    assert ran == ["b"]


def test_the_end_of_the_process_is_not_held_up() -> None:
    undo = Undo()

    def leave() -> None:
        raise KeyboardInterrupt

    undo.add("a", leave)
    with pytest.raises(KeyboardInterrupt):
        undo.run()


def test_forgotten_steps_do_not_run() -> None:
    ran: list[str] = []
    undo = Undo()
    undo.add("a", lambda: ran.append("a"))
    undo.forget()
    assert undo.run() == []
    assert ran == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            SwitchError("the switch is down", details="unix:/db.sock", hint="start it"),
            "the switch is down (unix:/db.sock)",
        ),
        (SwitchError("the switch is down"), "the switch is down"),
        (
            FileNotFoundError(2, "No such file or directory", "/x"),
            "[Errno 2] No such file or directory: '/x'",
        ),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_is_described_in_one_line(error: BaseException, words: str) -> None:
    assert describe(error) == words

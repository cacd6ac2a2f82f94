"""Deadlines within deadlines: the steps of a call share its time."""

from __future__ import annotations

import pytest

from cni_userspace.host.deadline import Deadline


def test_a_step_may_take_its_own_time() -> None:
    step = Deadline(1000).within(10)
    assert step.seconds == 10
    assert 0 < step.remaining() <= 10


def test_a_step_ends_with_the_whole() -> None:
    step = Deadline(10).within(1000)
    assert 0 < step.remaining() <= 10


def test_no_step_begins_when_the_time_is_over() -> None:
    over = Deadline(0).within(10)
    with pytest.raises(TimeoutError):
        over.remaining()

"""Tests shared between guests: each is run once, and all of them count in the end."""

from __future__ import annotations

import pytest

from tests.support.guest import API_TESTS, SHARE, shares

TESTS = ["a.py", "a.py", API_TESTS, API_TESTS, "b.py", "b.py", "b.py"]


def test_without_a_share_every_test_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SHARE, raising=False)
    assert shares.ours(TESTS) == [True] * len(TESTS)


def test_every_test_is_of_one_guest_and_the_apis_tests_are_the_firsts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_guest = []
    for share in ("0/2", "1/2"):
        monkeypatch.setenv(SHARE, share)
        of_guest.append(shares.ours(TESTS))
    assert [first + second for first, second in zip(*of_guest, strict=True)] == [1] * len(TESTS)
    assert of_guest[0] == [True, False, True, True, True, False, True]


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0], 0), ([0, 1], 1), ([0, 5], 0), ([5, 5], 5), ([1, 5], 1), ([137, 0], 137)]
)
def test_all_must_succeed_and_one_may_have_nothing_to_do(codes: list[int], code: int) -> None:
    assert shares.code(codes) == code


def test_the_closing_lines_are_summed_up() -> None:
    first = "...\n==== 1 failed, 48 passed, 1 error in 383.84s (0:06:23) ====\n"
    second = "...\n50 passed in 390.01s (0:06:30)\n"
    assert shares.closing([first, second]) == "1 failed, 98 passed, 1 error in 390.01s, in 2 guests"
    assert shares.closing(["no tests ran in 0.10s"] * 2) == "no tests ran in 0.10s, in 2 guests"

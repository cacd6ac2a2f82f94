"""Debian's backports are named after the machine's own sources, in both of their forms."""

from __future__ import annotations

import pytest

from tests.support.guest.backports import lines, stanzas

OWN = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def test_a_stanza_is_copied_with_the_backports_for_its_suites() -> None:
    assert stanzas(OWN, "bookworm") == OWN.replace("bookworm bookworm-updates", "bookworm-backports")


@pytest.mark.parametrize(
    "other",
    [
        OWN.replace("bookworm bookworm-updates", "bookworm-security"),
        OWN.replace("main contrib", "stable"),
        OWN.replace("bookworm bookworm-updates", "trixie"),
    ],
)
def test_a_stanza_of_another_suite_or_archive_is_left_out(other: str) -> None:
    assert stanzas(f"{other}\n{OWN}", "bookworm") == stanzas(OWN, "bookworm")


@pytest.mark.parametrize(
    ("line", "copy"),
    [
        ("deb http://m/debian bookworm main", "deb http://m/debian bookworm-backports main"),
        (
            "deb [arch=amd64 signed-by=/a b] http://m bookworm contrib main non-free",
            "deb [arch=amd64 signed-by=/a b] http://m bookworm-backports contrib main non-free",
        ),
        ("deb http://m/debian bookworm-updates main", ""),
        ("deb-src http://m/debian bookworm main", ""),
        ("# deb http://m/debian bookworm main", ""),
        ("deb http://elsewhere bookworm stable", ""),
    ],
)
def test_a_line_is_copied_with_the_backports_for_its_suite(line: str, copy: str) -> None:
    assert lines(f"{line}\n", "bookworm") == copy

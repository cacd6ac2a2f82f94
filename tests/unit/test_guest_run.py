"""How a run of the guest ends, with a shell in the place of QEMU: nothing but a told status is success."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.child import wait_for
from tests.support.guest.run import GuestError, Run, script

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 30.0


def run(directory: Path, guest: str, seconds: float = SECONDS, *, live: bool = True) -> int:
    command = ["bash", "-c", f"cd {directory}; exec 3>status; {guest}"]
    with Run(command, str(directory), live=live) as one:
        wait_for("end", lambda: one.ended(seconds), 2 * SECONDS, proof=one.output)
        return one.status()


@pytest.mark.parametrize("status", [0, 1, 137])
def test_the_told_status_is_the_answer(tmp_path: Path, status: int) -> None:
    assert run(tmp_path, f"echo ready >&3; echo status {status} >&3") == status


@pytest.mark.parametrize("live", [True, False])
def test_the_output_comes_out(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], *, live: bool
) -> None:
    run(tmp_path, r"printf 'a\303\244b\n'; echo status 0 >&3", live=live)
    assert capfdbinary.readouterr().out == "aäb\n".encode()


def test_a_guest_that_ends_without_a_word_has_failed_and_its_console_is_shown(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=r"without a word(.|\n)*Kernel panic"):
        run(tmp_path, "echo ready >&3; echo 'Kernel panic - not syncing' >console")


def test_a_guest_that_hangs_is_killed_at_the_deadline(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=r"deadline of 1 s(.|\n)*last words"):
        run(tmp_path, "echo ready >&3; echo last words >console; echo $$ >pid; exec sleep 1000", 1.0)
    pid = (tmp_path / "pid").read_text(encoding="ascii").strip()
    assert not os.path.exists(f"/proc/{pid}")


def test_the_job_keeps_the_words_of_the_command_and_of_the_environment() -> None:
    text = script(["echo", "two words", "$HOME"], {"A": "it's"})
    assert "exec echo 'two words' '$HOME'\n" in text
    assert """export A='it'"'"'s'\n""" in text

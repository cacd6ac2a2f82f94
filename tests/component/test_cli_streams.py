"""The operator's command where a stream is closed, full or of another locale: words, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

ODD_NAME = b"\xff\xfe"


def run(words: bytes, tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of sh, in which $U is the command."""
    program = f"{sys.executable} -m cni_userspace"
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("CNI_", "PYTHON"))}
    paths = {"PYTHONPATH": ":".join(sys.path), "USERSPACE_CNI_CONF": f"{tmp_path}/none", "U": program}
    done = subprocess.run(
        ["sh", "-c", words],
        env={**environ, **paths, **env},
        capture_output=True,
        check=False,
        text=True,
        errors="surrogateescape",
        cwd=tmp_path,
    )
    for sign in ("Traceback", "Exception ignored"):
        assert sign not in done.stderr, done
    return done


@pytest.mark.parametrize("words", ["--help", "--version", "schema", "validate nosuch"])
def test_a_full_output_is_a_failure_that_is_told(tmp_path: Path, words: str) -> None:
    done = run(f"$U {words} >/dev/full".encode(), tmp_path)
    assert done.returncode == 1
    assert done.stderr == "userspace: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("words", ["--help", "--version", "schema", "validate nosuch"])
def test_a_reader_that_has_enough_is_no_trouble(tmp_path: Path, words: str) -> None:
    assert run(f"$U {words} | true".encode(), tmp_path).stderr == ""


def test_a_closed_input_is_an_empty_one(tmp_path: Path) -> None:
    done = run(b"$U validate - <&-", tmp_path)
    assert done.returncode == 1
    assert "holds no network configuration" in done.stdout


def test_what_is_for_a_closed_error_stream_does_not_get_into_the_output(tmp_path: Path) -> None:
    assert run(b"$U nosuch 2>&-", tmp_path).stdout == ""


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_name_that_is_no_text_is_shown_all_the_same(tmp_path: Path, encoding: str) -> None:
    done = run(b"$U validate '" + ODD_NAME + b"'", tmp_path, PYTHONIOENCODING=encoding)
    assert r"\udcff\udcfe: no network: not valid" in done.stdout

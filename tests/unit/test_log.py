"""The log: one line per record, and never a reason for a call to fail."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cni_userspace.cni.log import LEVELS, Log

ID = "4f1c0a2b3c4d5e6f708192a3b4c5d6e7"
MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ")


def lines(text: str) -> list[str]:
    """Return the lines without their moments, each of which must have one."""
    found = text.splitlines()
    assert all(MOMENT.match(line) for line in found)
    return [MOMENT.sub("", line) for line in found]


def write_all(log: Log) -> None:
    for level in LEVELS:
        getattr(log, level)(f"a {level}")


def test_a_line_says_when_how_grave_which_attachment_and_what(capfd: pytest.CaptureFixture[str]) -> None:
    Log("info").about(ID, "net1").info("port made", bridge="br0", ofport=3)
    assert lines(capfd.readouterr().err) == ["info 4f1c0a2b3c4d net1 port made bridge=br0 ofport=3"]


def test_without_an_attachment_its_places_are_dashes(capfd: pytest.CaptureFixture[str]) -> None:
    Log().warning("no node file")
    Log().about("", "").warning("no node file")
    assert lines(capfd.readouterr().err) == ["warning - - no node file"] * 2


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_shows_itself_and_what_is_graver(level: str, capfd: pytest.CaptureFixture[str]) -> None:
    write_all(Log(level))
    shown = LEVELS[: LEVELS.index(level) + 1]
    assert lines(capfd.readouterr().err) == [f"{name} - - a {name}" for name in shown]


def test_the_default_shows_warnings(capfd: pytest.CaptureFixture[str]) -> None:
    write_all(Log())
    assert len(lines(capfd.readouterr().err)) == LEVELS.index("warning") + 1


def test_an_unknown_level_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        Log("loud")


def test_stdout_stays_the_results(capfd: pytest.CaptureFixture[str]) -> None:
    write_all(Log("verbose"))
    assert capfd.readouterr().out == ""


def test_the_file_gets_the_same_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = Log("debug", str(tmp_path / "log"))
    log.debug("one")
    log.about(ID, "net1").error("two")
    assert (tmp_path / "log").read_text() == capfd.readouterr().err
    assert len(lines((tmp_path / "log").read_text())) == 2


def test_the_file_is_the_owners_and_is_appended_to(tmp_path: Path) -> None:
    file = tmp_path / "log"
    Log("info", str(file)).info("one")
    Log("info", str(file)).info("two")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert lines(file.read_text()) == ["info - - one", "info - - two"]


def test_a_rotated_file_is_made_anew(tmp_path: Path) -> None:
    log = Log("info", str(tmp_path / "log"))
    log.info("one")
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.info("two")
    assert lines((tmp_path / "log").read_text()) == ["info - - two"]


def test_no_record_no_file(tmp_path: Path) -> None:
    Log("error", str(tmp_path / "log")).info("nothing")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("message", "value", "shown"),
    [
        ("a\nb", "c", r"a\nb k=c"),
        ("a", "b\nc\x1b[2J", r'a k="b\nc\u001b[2J"'),
        ("a", "two words", 'a k="two words"'),
        ("a", 'x="y"', r'a k="x=\"y\""'),
        ("a", "", 'a k=""'),
        ("größe", "ü", "größe k=ü"),
        ("a\ud800", "\udcff", r'a\ud800 k="\udcff"'),
    ],
)
def test_no_word_can_start_a_line_or_a_field(
    message: str,
    value: str,
    shown: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    Log("info").info(message, k=value)
    assert lines(capfd.readouterr().err) == [f"info - - {shown}"]


def missing_directory(path: Path) -> Path:
    return path / "none" / "log"


def directory(path: Path) -> Path:
    return path


def link(path: Path) -> Path:
    (path / "victim").write_text("precious")
    (path / "log").symlink_to("victim")
    return path / "log"


def fifo(path: Path) -> Path:
    os.mkfifo(path / "log")
    return path / "log"


def device(_: Path) -> Path:
    return Path("/dev/null")


def name_with_nul(_: Path) -> Path:
    return Path("/dev/\0")


@pytest.mark.parametrize("make", [missing_directory, directory, link, fifo, device, name_with_nul])
def test_a_file_that_cannot_serve_costs_one_warning(
    tmp_path: Path,
    make: Callable[[Path], Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = Log("info", str(make(tmp_path)))
    log.info("one")
    log.about(ID, "net1").info("two")
    written = lines(capfd.readouterr().err)
    assert [line.split(" ", 3)[3].split(" logFile=")[0] for line in written] == [
        "one",
        "the log file cannot be written",
        "two",
    ]
    assert "problem=" in written[1]
    assert not (tmp_path / "victim").exists() or (tmp_path / "victim").read_text() == "precious"


def test_a_closed_stderr_is_no_error(tmp_path: Path) -> None:
    kept = os.dup(2)
    try:
        os.close(2)
        Log("info", str(tmp_path / "log")).info("one")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    assert lines((tmp_path / "log").read_text()) == ["info - - one"]

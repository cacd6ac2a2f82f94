"""Running other programs: input, output, exit codes, deadlines, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cni_userspace.host.processes import MAX_OUTPUT_BYTES, Finished, given_environment, run

LONG = 60.0
SOON = 0.3


def sh(script: str, *, stdin: str = "", deadline_seconds: float = LONG, stderr: int = 2) -> Finished:
    return run(
        ("/bin/sh", "-c", script),
        env={"PATH": os.defpath, "GREETING": "hello"},
        stdin=stdin,
        deadline_seconds=deadline_seconds,
        stderr=stderr,
    )


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # killed, and its new parent has not looked yet


def test_input_environment_and_output_arrive() -> None:
    assert sh('printf "%s " "$GREETING"; cat', stdin="wörld") == Finished(returncode=0, stdout="hello wörld")


def test_an_input_longer_than_a_pipe_arrives_whole() -> None:
    assert sh("wc -c", stdin="x" * 1_000_000).stdout.strip() == "1000000"


def test_an_output_longer_than_a_pipe_arrives_whole() -> None:
    assert len(sh("head -c 1000000 /dev/zero | tr '\\0' x").stdout) == 1_000_000


def test_undecodable_output_is_replaced() -> None:
    assert sh(r"printf 'a\377b'").stdout == "a\ufffdb"


def test_an_exit_code_is_told() -> None:
    assert sh("exit 7").returncode == 7


def test_a_death_by_signal_is_told() -> None:
    assert sh("kill -TERM $$").returncode == -signal.SIGTERM


def test_sigpipe_kills_the_program_as_it_would_in_a_shell() -> None:
    assert sh("kill -PIPE $$").returncode == -signal.SIGPIPE


def test_stderr_goes_where_the_caller_says(tmp_path: Path) -> None:
    with (tmp_path / "err").open("wb") as err:
        sh("echo oops >&2", stderr=err.fileno())
    assert (tmp_path / "err").read_text() == "oops\n"


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        sh(f"sleep 1000 & echo $! $$ > {tmp_path}/pids; wait", deadline_seconds=SOON)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert not any(map(is_alive, pids))


def test_a_program_that_closed_its_output_has_the_deadline_too() -> None:
    with pytest.raises(TimeoutError):
        sh("exec >&-; sleep 1000", deadline_seconds=SOON)


def test_a_grandchild_that_keeps_the_pipe_is_not_waited_for(tmp_path: Path) -> None:
    finished = sh(f"sleep 1000 2>&- & echo $! > {tmp_path}/pid; echo done")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert finished == Finished(returncode=0, stdout="done\n")


def test_endless_output_ends_the_program() -> None:
    with pytest.raises(OSError, match=f"more than {MAX_OUTPUT_BYTES} bytes"):
        sh("exec cat /dev/zero")


LEAVES_NO_CHILD = f"""
import os
from cni_userspace.host.processes import run

run(("/bin/sh", "-c", "true"), env={{}}, deadline_seconds=60)
try:
    run(("/bin/sh", "-c", "sleep 1000"), env={{}}, deadline_seconds={SOON})
except TimeoutError:
    print("in time")
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no child")
"""


def test_no_child_is_left_to_be_waited_for() -> None:
    # in a process of its own: this one may have children of other tests
    done = subprocess.run([sys.executable, "-c", LEAVES_NO_CHILD], capture_output=True, text=True, check=True)
    assert done.stdout == "in time\nno child\n"


def test_no_descriptor_leaks() -> None:
    before = os.listdir("/proc/self/fd")
    sh("true")
    with pytest.raises(TimeoutError):
        sh("sleep 1000", deadline_seconds=SOON)
    with pytest.raises(FileNotFoundError):
        run(("/nowhere/program",), env={}, deadline_seconds=LONG)
    assert os.listdir("/proc/self/fd") == before


def test_a_missing_program_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        run(("/nowhere/program",), env={}, deadline_seconds=LONG)


def test_a_program_that_may_not_be_executed_is_an_os_error(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    with pytest.raises(PermissionError):
        run((str(plain),), env={}, deadline_seconds=LONG)


def test_a_program_that_is_still_being_installed_is_waited_for(tmp_path: Path) -> None:
    program = executable(tmp_path / "program", "echo installed")
    writer = program.open("ab")
    done = threading.Timer(0.2, writer.close)
    done.start()
    finished = run((str(program),), env={}, deadline_seconds=LONG)
    done.join()
    assert finished.stdout == "installed\n"


def test_a_program_that_stays_being_installed_meets_the_deadline(tmp_path: Path) -> None:
    program = executable(tmp_path / "program", "true")
    with program.open("ab"), pytest.raises(TimeoutError):
        run((str(program),), env={}, deadline_seconds=SOON)


@pytest.mark.parametrize(
    ("seen", "given"),
    [
        ({"LD_LIBRARY_PATH": "/bundle:/own", "LD_LIBRARY_PATH_ORIG": "/own"}, {"LD_LIBRARY_PATH": "/own"}),
        ({"LD_LIBRARY_PATH": "/bundle"}, {}),
        ({}, {}),
    ],
)
def test_the_bundle_keeps_its_library_path_to_itself(
    monkeypatch: pytest.MonkeyPatch,
    seen: dict[str, str],
    given: dict[str, str],
) -> None:
    for name in ("LD_LIBRARY_PATH", "LD_LIBRARY_PATH_ORIG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in seen.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert {k: v for k, v in given_environment().items() if k.startswith("LD_LIBRARY")} == given


def test_without_a_bundle_the_environment_is_passed_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/own")
    assert given_environment() == dict(os.environ)

"""Finding vswitchd and asking what it could reach: real processes of other users, real directories."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from cni_userspace.host import vswitchd
from tests.support.need import ROOT, need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.switch import Switch

    Start = Callable[..., int]

OTHER, GROUP, MEMBER = 65533, 65532, 65531  # numbers that no account of a node has
HOLD = """
import fcntl, os, sys
file = open(sys.argv[1], "w")
file.write(str(os.getpid()))
file.flush()
fcntl.lockf(file, fcntl.LOCK_EX)
if len(sys.argv) > 2:
    os.setgroups([int(sys.argv[4])] if sys.argv[4] else [])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[2]))
os.write(1, b"locked")
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _root() -> None:
    need(ROOT)


@pytest.fixture
def rundir() -> Iterator[str]:
    """Give a directory whose parents everybody may walk through: pytest's own are root's."""
    with tempfile.TemporaryDirectory(prefix="us-vswitchd-") as place:
        os.chmod(place, 0o755)  # noqa: S103
        yield place


@pytest.fixture
def start(rundir: str) -> Iterator[Start]:
    """Give a starter of processes that hold the pidfile's lock as vswitchd does; returns the pid."""
    started: list[subprocess.Popen[bytes]] = []

    def do(uid: int = 0, gid: int = 0, group: int | str = "", prefix: tuple[str, ...] = ()) -> int:
        drop = [str(uid), str(gid), str(group)] if uid else []
        script = [sys.executable, "-c", HOLD, f"{rundir}/{vswitchd.PIDFILE}", *drop]
        pipe = subprocess.PIPE
        process = subprocess.Popen([*prefix, *script], stdin=pipe, stdout=pipe)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.read(6) == b"locked"
        return process.pid

    yield do
    for process in started:
        with process:
            process.kill()


def make(place: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> str:
    os.mkdir(place)
    os.chown(place, uid, gid)
    os.chmod(place, mode)
    return place


def identity(place: str) -> str:
    found = os.stat(place)
    return f"{found.st_dev}:{found.st_ino}"


def obstacle(rundir: str, place: str, wanted: str = "") -> str:
    return vswitchd.obstacle(rundir, place, wanted or identity(place))


# --- finding it


def test_the_holder_of_the_pidfiles_lock_is_vswitchd(plain_switch: Switch) -> None:
    assert vswitchd.find(plain_switch.directory) == plain_switch.vswitchd_pid


def test_a_pidfile_that_a_crash_left_names_nobody(plain_switch: Switch) -> None:
    plain_switch.kill_vswitchd()
    assert os.path.exists(f"{plain_switch.directory}/{vswitchd.PIDFILE}")
    assert vswitchd.find(plain_switch.directory) is None


def test_the_number_in_the_file_does_not_count(rundir: str, start: Start) -> None:
    pid = start()
    with open(f"{rundir}/{vswitchd.PIDFILE}", "w", encoding="ascii") as file:
        file.write("1\n")
    assert vswitchd.find(rundir) == pid


def test_in_a_pid_namespace_of_its_own_it_is_found_by_our_number(rundir: str, start: Start) -> None:
    """Its pidfile says what it is called in its container."""
    prefix = ("unshare", "--pid", "--fork", "--kill-child")
    outside = start(prefix=prefix)
    found = vswitchd.find(rundir)
    with open(f"{rundir}/{vswitchd.PIDFILE}", encoding="ascii") as file:
        assert file.read() == "1"
    assert found is not None
    with open(f"/proc/{found}/stat", encoding="ascii") as file:
        assert file.read().rpartition(")")[2].split()[1] == str(outside)  # its parent is unshare


def test_without_a_pidfile_nobody_is_found(rundir: str) -> None:
    assert vswitchd.find(rundir) is None
    assert vswitchd.find(f"{rundir}/none") is None
    assert vswitchd.find("") is None


def test_a_fifo_in_the_pidfiles_place_does_not_hang(rundir: str) -> None:
    os.mkfifo(f"{rundir}/{vswitchd.PIDFILE}")
    assert vswitchd.find(rundir) is None


# --- who it is


def test_credentials_are_those_of_the_process(start: Start) -> None:
    who = vswitchd.credentials(start(uid=OTHER, gid=GROUP, group=MEMBER))
    assert who is not None
    assert (who.uid, who.groups, who.search_all) == (OTHER, frozenset((GROUP, MEMBER)), False)


def test_root_searches_everything() -> None:
    who = vswitchd.credentials(os.getpid())
    assert who is not None
    assert (who.uid, who.search_all) == (os.geteuid(), True)


def test_a_process_that_has_gone_has_no_credentials() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert vswitchd.credentials(gone.pid) is None


# --- what it could reach


def test_where_nobody_is_found_nobody_can_tell(rundir: str) -> None:
    assert vswitchd.obstacle("", "/none", "x") == ""
    assert vswitchd.obstacle(rundir, "/none", "x") == ""


def test_root_reaches_what_is_closed_to_others(rundir: str, start: Start) -> None:
    start()
    make(f"{rundir}/a", 0)
    assert obstacle(rundir, make(f"{rundir}/a/b", 0)) == ""


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "reached"),
    [
        (0o755, 0, 0, True),
        (0o711, 0, 0, True),
        (0o744, 0, 0, False),
        (0o700, 0, 0, False),
        (0o700, OTHER, 0, True),
        (0o600, OTHER, 0, False),
        (0o077, OTHER, GROUP, False),  # the owner is not one of the others
        (0o710, 0, GROUP, True),
        (0o710, 0, MEMBER, True),
        (0o707, 0, MEMBER, False),  # nor is a member of the group
        (0o710, 0, 0, False),
    ],
)
def test_a_user_of_its_own_reaches_what_the_kernel_lets_it(  # noqa: PLR0913, PLR0917  as many columns
    rundir: str,
    start: Start,
    mode: int,
    uid: int,
    gid: int,
    reached: bool,  # noqa: FBT001  a column
) -> None:
    pid = start(uid=OTHER, gid=GROUP, group=MEMBER)
    above = make(f"{rundir}/above", mode, uid, gid)
    said = obstacle(rundir, make(f"{above}/c1"))
    assert (said == "") is reached is kernel_says(pid, f"{above}/c1")
    if not reached:
        assert f"its user (uid {OTHER}) may not enter {above} " in said


def kernel_says(pid: int, place: str) -> bool:
    """Tell whether the kernel lets a process of these credentials pass through a directory."""
    who = vswitchd.credentials(pid)
    assert who is not None
    child = os.fork()
    if child == 0:
        os.setgroups(sorted(who.groups))
        os.setgid(GROUP)
        os.setuid(who.uid)
        try:
            os.stat(f"{place}/none")
        except FileNotFoundError:
            os._exit(0)
        except PermissionError:
            os._exit(1)
        os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


USER, GROUP_OBJ, GROUP_TAG, MASK, REST = 2, 4, 8, 16, 32
NOBODY = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("entries", "reached"),
    [
        ([(USER, 1, OTHER), (GROUP_OBJ, 0, NOBODY), (MASK, 1, NOBODY), (REST, 0, NOBODY)], True),
        ([(USER, 1, OTHER), (GROUP_OBJ, 0, NOBODY), (MASK, 6, NOBODY), (REST, 1, NOBODY)], False),
        ([(USER, 6, OTHER), (GROUP_OBJ, 0, NOBODY), (MASK, 7, NOBODY), (REST, 1, NOBODY)], False),
        ([(USER, 1, 7), (GROUP_OBJ, 0, NOBODY), (MASK, 7, NOBODY), (REST, 0, NOBODY)], False),
        ([(USER, 0, 7), (GROUP_OBJ, 0, NOBODY), (MASK, 7, NOBODY), (REST, 1, NOBODY)], True),
        ([(GROUP_OBJ, 0, NOBODY), (GROUP_TAG, 1, MEMBER), (MASK, 1, NOBODY), (REST, 0, NOBODY)], True),
        ([(GROUP_OBJ, 0, NOBODY), (GROUP_TAG, 6, MEMBER), (MASK, 7, NOBODY), (REST, 1, NOBODY)], False),
        ([(GROUP_OBJ, 0, NOBODY), (GROUP_TAG, 1, 7), (MASK, 7, NOBODY), (REST, 0, NOBODY)], False),
    ],
)
def test_an_access_list_counts_as_the_kernel_counts_it(
    rundir: str,
    start: Start,
    entries: list[tuple[int, int, int]],
    reached: bool,  # noqa: FBT001  a column
) -> None:
    """`setfacl -m u:openvswitch:x` is how some open a directory to vswitchd."""
    pid = start(uid=OTHER, gid=GROUP, group=MEMBER)
    above = make(f"{rundir}/above")
    whole = [(1, 7, NOBODY), *entries]
    raw = b"".join(
        t.to_bytes(2, "little") + p.to_bytes(2, "little") + i.to_bytes(4, "little") for t, p, i in whole
    )
    try:
        os.setxattr(above, "system.posix_acl_access", (2).to_bytes(4, "little") + raw)
    except OSError as error:
        pytest.skip(f"this file system has no access lists: {error}")
    said = obstacle(rundir, make(f"{above}/c1"))
    assert (said == "") is reached is kernel_says(pid, f"{above}/c1")


def test_links_are_followed_as_vswitchd_follows_them(rundir: str, start: Start) -> None:
    start(uid=OTHER, gid=GROUP)
    real = make(f"{rundir}/real")
    make(f"{rundir}/real/c1")
    os.symlink(real, f"{rundir}/absolute")
    os.symlink("../real/./c1", f"{real}/relative")
    for way in ("absolute/c1", "real/relative", "absolute/relative"):
        assert obstacle(rundir, f"{rundir}/{way}") == ""
    os.chmod(real, 0o700)
    assert f"may not enter {real} " in obstacle(rundir, f"{rundir}/absolute/c1")


def loop(place: str) -> None:
    os.symlink(os.path.basename(place), place)


def file(place: str) -> None:
    open(place, "w", encoding="utf-8").close()


def dangling(place: str) -> None:
    os.symlink("nowhere", place)


def another(place: str) -> None:
    os.mkdir(place)


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (loop, "is a loop of links"),
        (file, "is no directory there"),
        (dangling, "does not exist"),
        (another, "is another directory"),
    ],
)
def test_what_is_not_the_directory_is_told(
    rundir: str,
    start: Start,
    plant: Callable[[str], None],
    words: str,
) -> None:
    start(uid=OTHER, gid=GROUP)
    plant(f"{rundir}/c1")
    before = os.listdir("/proc/self/fd")
    assert words in obstacle(rundir, f"{rundir}/c1", wanted="0:0")
    assert os.listdir("/proc/self/fd") == before


def test_what_its_mount_namespace_hides_is_told(rundir: str, start: Start) -> None:
    above = make(f"{rundir}/above")
    hide = f'mount -t tmpfs hidden {above} && exec "$@"'
    start(prefix=("unshare", "--mount", "--propagation", "private", "sh", "-ec", hide, "sh"))
    inside = make(f"{above}/c1")
    assert obstacle(rundir, inside) == f"{inside} does not exist in its mount namespace"
    assert "is another directory in its mount namespace" in obstacle(rundir, above)

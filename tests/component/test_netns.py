"""Network namespaces, the real ones: which is which, and what is in it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from cni_userspace.errors import OwnNetnsError, UnknownContainerError
from cni_userspace.host import netns as seen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import MakeNetns
    from tests.support.netns import Netns

OWN = "/proc/self/ns/net"
THREAD = "/proc/thread-self/ns/net"


def missing(path: Path) -> str:
    return f"{path}/none"


def file(path: Path) -> str:
    """Return what is left of a namespace whose mount has gone: an empty file."""
    (path / "file").write_text("")
    return f"{path}/file"


def directory(path: Path) -> str:
    return str(path)


def loop(path: Path) -> str:
    (path / "loop").symlink_to("loop")
    return f"{path}/loop"


NO_NAMESPACES = pytest.mark.parametrize("make", [missing, file, directory, loop])


# --- identity


def test_namespaces_have_identities_of_their_own(make_netns: MakeNetns) -> None:
    one, two = make_netns(), make_netns()
    assert len({seen.identity(path) for path in (one.path, two.path, OWN)}) == 3


def test_a_namespace_has_one_identity_by_every_path(netns: Netns, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(netns.path)
    holder = subprocess.Popen(netns.command(["sleep", "60"]))
    try:
        while os.readlink(f"/proc/{holder.pid}/ns/net") == os.readlink(OWN):
            pass  # nsenter has not entered it yet
        paths = (netns.path, f"{tmp_path}/link", f"/proc/{holder.pid}/ns/net")
        assert len({seen.identity(path) for path in paths}) == 1
    finally:
        holder.kill()
        holder.wait()


def test_an_identity_tells_boots_apart() -> None:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as told:
        assert seen.identity(OWN).partition(":")[0] == told.read(8)


@NO_NAMESPACES
def test_what_is_no_namespace_has_no_identity(tmp_path: Path, make: Callable[[Path], str]) -> None:
    assert seen.identity(make(tmp_path)) == ""


@NO_NAMESPACES
def test_what_is_no_namespace_is_code_3(tmp_path: Path, make: Callable[[Path], str]) -> None:
    path = make(tmp_path)
    with pytest.raises(UnknownContainerError) as caught:
        seen.require(path)
    assert caught.value.code == 3
    assert path in caught.value.details


def test_a_namespace_is_alive_while_it_is_there(netns: Netns) -> None:
    known = seen.require(netns.path)
    assert seen.alive(netns.path, known)
    assert not seen.alive(netns.path, seen.identity(OWN))
    netns.close()
    assert not seen.alive(netns.path, known)


@pytest.mark.parametrize(("path", "known"), [("", ""), ("", "x"), ("/none", ""), (OWN, "")])
def test_what_was_never_known_is_not_alive(path: str, known: str) -> None:
    assert not seen.alive(path, known)


def test_the_own_namespace_is_code_8(netns: Netns) -> None:
    seen.refuse_own(netns.path)
    with pytest.raises(OwnNetnsError) as caught:
        seen.refuse_own(OWN)
    assert caught.value.code == 8


# --- interfaces


def test_an_interface_is_seen_by_its_whole_name(netns: Netns) -> None:
    for name in ("net1", "e" * 15):
        netns.run("ip", "tuntap", "add", name, "mode", "tap")
    assert seen.has_interface(netns.path, "net1")
    assert seen.has_interface(netns.path, "e" * 15)
    assert seen.has_interface(netns.path, "lo")
    for name in ("net", "net10", "e" * 14, "é"):
        assert not seen.has_interface(netns.path, name)


def test_an_interface_outside_is_not_inside(netns: Netns, make_netns: MakeNetns) -> None:
    make_netns().run("ip", "tuntap", "add", "net1", "mode", "tap")
    assert not seen.has_interface(netns.path, "net1")


def test_looking_leaves_us_where_we_were(netns: Netns) -> None:
    before = os.readlink(OWN), os.listdir("/proc/self/fd")
    seen.has_interface(netns.path, "lo")
    seen.has_interface(netns.path, "net1")
    assert (os.readlink(OWN), os.listdir("/proc/self/fd")) == before


@NO_NAMESPACES
def test_looking_where_no_namespace_is_fails_and_leaves_us_where_we_were(
    tmp_path: Path,
    make: Callable[[Path], str],
) -> None:
    path = make(tmp_path)
    before = os.readlink(OWN), os.listdir("/proc/self/fd")
    with pytest.raises((OSError, UnknownContainerError)):
        seen.has_interface(path, "lo")
    assert (os.readlink(OWN), os.listdir("/proc/self/fd")) == before


def test_a_namespace_of_another_kind_is_code_3() -> None:
    with pytest.raises(UnknownContainerError) as caught:
        seen.has_interface("/proc/self/ns/mnt", "lo")
    assert "/proc/self/ns/mnt" in caught.value.details


# --- opening, entering, making


def test_an_opened_namespace_is_held_whatever_becomes_of_its_path(netns: Netns) -> None:
    known = seen.require(netns.path)
    fd = seen.opened(netns.path, known)
    try:
        netns.run("ip", "tuntap", "add", "net1", "mode", "tap")
        netns.close()
        with seen.Inside(fd):
            assert os.path.exists("/proc/thread-self/net/dev_snmp6/net1")
    finally:
        os.close(fd)


def test_another_namespace_at_the_path_is_code_3(netns: Netns, make_netns: MakeNetns) -> None:
    with pytest.raises(UnknownContainerError):
        seen.opened(netns.path, seen.identity(make_netns().path))


@NO_NAMESPACES
def test_what_is_no_namespace_is_not_opened(tmp_path: Path, make: Callable[[Path], str]) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(UnknownContainerError):
        seen.opened(make(tmp_path))
    assert os.listdir("/proc/self/fd") == before


def test_a_pipe_at_the_path_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnknownContainerError):
        seen.opened(f"{tmp_path}/pipe")


def test_an_error_inside_brings_us_home(netns: Netns) -> None:
    before = os.readlink(THREAD), os.listdir("/proc/self/fd")
    fd = seen.opened(netns.path)
    with pytest.raises(ZeroDivisionError), seen.Inside(fd):
        raise ZeroDivisionError
    os.close(fd)
    assert (os.readlink(THREAD), os.listdir("/proc/self/fd")) == before


def test_entering_what_is_no_namespace_leaves_us_at_home() -> None:
    before = os.readlink(THREAD), os.listdir("/proc/self/fd")
    with open(os.devnull, "rb") as nothing, pytest.raises(OSError, match="Invalid argument"):
        seen.Inside(nothing.fileno()).__enter__()
    assert (os.readlink(THREAD), os.listdir("/proc/self/fd")) == before


def test_a_signal_while_we_enter_or_leave_leaves_us_at_home(netns: Netns) -> None:
    before, heard = os.readlink(THREAD), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    fd = seen.opened(netns.path)
    handler = signal.signal(signal.SIGALRM, raise_timeout)
    caught = 0
    try:
        for n in range(2000):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + n % 150))
                with seen.Inside(fd):
                    pass
                signal.setitimer(signal.ITIMER_REAL, 0)
            except TimeoutError:
                caught += 1
            assert os.readlink(THREAD) == before
            assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == heard
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        os.close(fd)
    assert caught


def raise_timeout(_number: int, _frame: object) -> None:
    raise TimeoutError


def test_a_temporary_namespace_is_empty_and_nobody_elses(netns: Netns) -> None:
    before = os.readlink(THREAD), os.listdir("/proc/self/fd")
    with seen.Temporary() as fd:
        held = os.fstat(fd)
        assert not os.path.samestat(held, os.stat(netns.path))
        assert not os.path.samestat(held, os.stat(OWN))
        assert os.readlink(THREAD) == before[0]
        with seen.Inside(fd):
            inside = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
        assert inside.startswith("1: lo:")
        assert len(inside.splitlines()) == 1
    assert (os.readlink(THREAD), os.listdir("/proc/self/fd")) == before


def test_a_setting_is_the_namespaces_own(netns: Netns, make_netns: MakeNetns) -> None:
    other = make_netns()
    for container in (netns, other):
        container.run("ip", "link", "add", "name", "net1", "type", "bridge")
    fd = seen.opened(netns.path)
    try:
        seen.sysctl(fd, "ipv4/conf/net1/arp_notify", "1")
        with pytest.raises(FileNotFoundError):
            seen.sysctl(fd, "ipv4/conf/net2/arp_notify", "1")
    finally:
        os.close(fd)
    read = ["cat", "/proc/sys/net/ipv4/conf/net1/arp_notify"]
    assert (netns.run(*read), other.run(*read)) == ("1\n", "0\n")


def test_a_thread_enters_alone(netns: Netns) -> None:
    places = []

    def look() -> None:
        fd = seen.opened(netns.path)
        with seen.Inside(fd):
            places.append(os.readlink(THREAD))
            places.append(os.readlink(f"/proc/{os.getpid()}/ns/net"))
        places.append(os.readlink(THREAD))
        os.close(fd)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    home = os.readlink(OWN)
    assert places[0] != home
    assert places[1:] == [home, home]

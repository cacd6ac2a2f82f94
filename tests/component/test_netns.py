"""Network namespaces, the real ones: which is which, and what is in it."""

from __future__ import annotations

import os
import subprocess
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

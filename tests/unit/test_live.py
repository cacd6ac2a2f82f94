"""Whether a sweep sees the host's processes: told from a made-up /proc."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cni_userspace.node import live

if TYPE_CHECKING:
    from pathlib import Path

HOST_PID, OTHER_PID = "pid:[4026531836]", "pid:[4026532301]"
HOST_USER, OTHER_USER = "user:[4026531837]", "user:[4026532302]"
ALL, NO_PTRACE = "000001ffffffffff", "00000000a80425fb"  # the latter is what docker gives


def proc(place: Path, own_pid: str, first_pid: str, user: str, capable: str) -> str:
    """Make a /proc; a link that is "" cannot be read."""
    for path, target in {"self/ns/pid": own_pid, "1/ns/pid": first_pid, "self/ns/user": user}.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        if target:
            (place / path).symlink_to(target)
    (place / "self/status").write_text(f"Name:\tuserspace\nCapPrm:\t{ALL}\nCapEff:\t{capable}\n")
    return str(place)


@pytest.mark.parametrize(
    ("own", "first"),
    [
        (HOST_PID, HOST_PID),
        (HOST_PID, ""),  # process 1 is not ours to look at
        (OTHER_PID, HOST_PID),  # the host's /proc is mounted over the container's
    ],
)
def test_in_the_hosts_process_namespace_all_is_seen(tmp_path: Path, own: str, first: str) -> None:
    assert live.blindness(proc(tmp_path, own, first, HOST_USER, ALL)) == ""


@pytest.mark.parametrize(
    ("links", "capable", "why"),
    [
        ((OTHER_PID, OTHER_PID, HOST_USER), ALL, "process namespace"),
        ((OTHER_PID, "", HOST_USER), ALL, "process namespace"),
        ((HOST_PID, HOST_PID, OTHER_USER), ALL, "user namespace"),
        ((HOST_PID, HOST_PID, HOST_USER), NO_PTRACE, "CAP_SYS_PTRACE"),
    ],
)
def test_elsewhere_it_is_not(tmp_path: Path, links: tuple[str, str, str], capable: str, why: str) -> None:
    assert why in live.blindness(proc(tmp_path, *links, capable))

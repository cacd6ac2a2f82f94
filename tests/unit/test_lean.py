"""pyroute2's codecs, imported lean: what that loads, what it leaves behind, and what still works."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = {
    "asyncio",
    "enum",
    "logging",
    "multiprocessing",
    "platform",
    "re",
    "socket",
    "ssl",
    "traceback",
    "typing",
}
LEAN = "import sys; before = set(sys.modules); import cni_userspace.host.netlink as lean\n"
# A number that does not fit: the codecs log what they were about to write, and where from.
MISFIT = """
message = lean.ifaddrmsg()
message["prefixlen"] = 1000
try:
    message.encode()
except Exception as error:
    print(type(error).__name__)
"""


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-I", *options, "-c", code]
    return subprocess.run(line, check=False, capture_output=True, text=True)


def printed(code: str) -> str:
    done = run(code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_codecs_load_nothing_heavy() -> None:
    found = printed(f"{LEAN}print(*(set(sys.modules) - before))").split()
    assert "cni_userspace.host.rtmessages" in found
    assert not {name.partition(".")[0] for name in found} & HEAVY


def test_the_codecs_leave_no_half_package_behind() -> None:
    found = printed(f"{LEAN}print(*(n for n in sys.modules if n.partition('.')[0] == 'pyroute2'))")
    assert found == ""


@pytest.mark.parametrize("module", ["logging", "socket", "traceback", "typing"])
def test_whoever_imports_a_module_afterwards_gets_the_real_one(module: str) -> None:
    assert os.path.exists(printed(f"{LEAN}import {module}; print({module}.__file__)"))


def test_pyroute2_works_after_the_codecs() -> None:
    code = f"{LEAN}import pyroute2\nwith pyroute2.IPRoute() as ip: print(ip.get_links()[0].get('ifname'))"
    assert printed(code) == "lo"


def test_the_codecs_work_after_pyroute2() -> None:
    code = f"import pyroute2\n{LEAN}print(lean.ifaddrmsg is pyroute2.netlink.rtnl.ifaddrmsg.ifaddrmsg)"
    assert printed(code) == "True"


def test_what_the_codecs_log_is_logged() -> None:
    done = run(LEAN + MISFIT)
    assert done.stdout.strip() == "error"  # struct.error
    assert "error pack: B 1000" in done.stderr
    assert "in ft_encode" in done.stderr


def test_a_missing_pyroute2_is_said_so() -> None:
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    done = run(f"import sys; sys.path.append({root!r}); import cni_userspace.host.netlink", "-S")
    assert "ModuleNotFoundError: No module named 'pyroute2'" in done.stderr

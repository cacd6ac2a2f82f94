"""`userspace gc` in a container: it sees not all processes of the host, and must not act on that."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from cni_userspace.host import netns as seen
from tests.support.allocated import keep, taken
from tests.support.need import need

if TYPE_CHECKING:
    from tests.conftest import MakePlugin
    from tests.support.plugin import Plugin

OWN_PROCESSES = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
CONTAINERS = {
    "a process namespace": OWN_PROCESSES,
    "a user namespace": ("unshare", "--user", "--map-root-user"),
    "no capability": ("setpriv", "--bounding-set", "-sys_ptrace"),
}


@pytest.fixture
def plugin(make_plugin: MakePlugin) -> Plugin:
    """Give a node with a device whose container lives, by a process that only the host sees."""
    made = make_plugin(socket_file="unix:/none.sock")
    keep(made.state, taken(netns="/run/netns/not-here", netns_id=seen.identity(seen.SELF)))
    return made


def gc(plugin: Plugin, container: tuple[str, ...], *options: str) -> subprocess.CompletedProcess[str]:
    need(container[0])
    command = [*container, plugin.executable, "gc", *options]
    return subprocess.run(command, env=plugin.env, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=list(CONTAINERS))
def test_where_it_does_not_see_the_hosts_processes_it_refuses_to_remove(
    plugin: Plugin, container: tuple[str, ...]
) -> None:
    before = plugin.files()
    done = gc(plugin, container, "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not see all processes of the host" in done.stderr
    assert plugin.files() == before != []


def test_it_shows_what_looks_dead_and_says_that_it_may_live(plugin: Plugin) -> None:
    done = gc(plugin, CONTAINERS["a process namespace"])
    assert done.returncode == 0
    assert "what is shown as dead may live" in done.stderr


def test_the_operator_may_say_that_this_is_the_whole_node(plugin: Plugin) -> None:
    hidden = (*OWN_PROCESSES, "unshare", "--net")  # no process that it sees is in the host's namespace
    done = gc(plugin, hidden, "--yes", "--here")
    assert done.returncode == 0
    assert done.stdout.count("removed") == 1
    assert plugin.files() == []


def test_in_the_hosts_process_namespace_it_sees_that_the_container_lives(plugin: Plugin) -> None:
    here = os.readlink("/proc/self/ns/pid") == "pid:[4026531836]"  # else these tests run in a container
    before = plugin.files()
    done = gc(plugin, ("env",), "--yes")
    assert (done.returncode, "left alone" in done.stdout) == ((0, True) if here else (1, False))
    assert plugin.files() == before

"""Reachability: a port whose socket vswitchd cannot reach would never connect, so ADD refuses it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.support.attached import CONTAINER
from tests.support.attached import attach as attach_to
from tests.support.listener import Listener
from tests.support.need import DPDK_SWITCH, need
from tests.support.remains import remains
from tests.support.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakePlugin
    from tests.support.netns import Netns
    from tests.support.plugin import Outcome, Plugin

pytestmark = pytest.mark.runtime

USER, GROUP = "nobody", "nogroup"
UNREACHABLE = 106


@pytest.fixture(scope="module")
def users_switch() -> Iterator[Switch]:
    """Give a switch whose daemons run as a user of their own."""
    need(*DPDK_SWITCH)
    with Switch(user=f"{USER}:{GROUP}") as switch:
        yield switch


@pytest.fixture(scope="module")
def unseen() -> Iterator[str]:
    """Give a directory that the contained switch does not see."""
    path = tempfile.mkdtemp(prefix="ur-", dir="/tmp")
    os.chmod(path, 0o755)  # noqa: S103  the switch is root
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def contained_switch(unseen: str) -> Iterator[Switch]:
    """Give a switch whose vswitchd has a mount namespace of its own, as in a container."""
    need(*DPDK_SWITCH)
    with Switch(hidden=[unseen]) as switch:
        yield switch


@pytest.fixture
def plugin_of_user(users_switch: Switch, make_plugin: MakePlugin) -> Plugin:
    users_switch.clean()
    return make_plugin(users_switch)


@pytest.fixture
def plugin_of_contained(contained_switch: Switch, make_plugin: MakePlugin) -> Plugin:
    contained_switch.clean()
    return make_plugin(contained_switch)


def refused(plugin: Plugin, switch: Switch, outcome: Outcome) -> str:
    """Return the words of a refusal that has left nothing."""
    assert outcome.code == UNREACHABLE
    assert "ovs-vswitchd cannot reach the socket's directory" in outcome.words
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()
    return outcome.words


def serve(path: str) -> Listener:
    """Listen as an application whose umask lets everybody connect."""
    listener = Listener(path)
    os.chmod(path, 0o777)  # noqa: S103  the switch may be anybody
    return listener


# --- as a user of its own ---------------------------------------------------


def test_a_shared_directory_that_vswitchds_user_may_not_enter_is_refused_with_the_way_out(
    plugin_of_user: Plugin, users_switch: Switch, netns: Netns
) -> None:
    shared = f"{plugin_of_user.directory}/private"
    os.mkdir(shared, 0o700)
    conf = plugin_of_user.conf(createBridge=True, sharedDir=shared)
    outcome = plugin_of_user.add(conf, CONTAINER, netns.path)
    words = refused(plugin_of_user, users_switch, outcome)
    assert f"may not enter {shared} (drwx------)" in words
    assert "`group` and `dirMode`" in outcome.answer["hint"]
    assert os.listdir(shared) == []


def test_a_directory_of_mode_0700_is_refused_and_group_and_mode_are_the_way_out(
    plugin_of_user: Plugin, users_switch: Switch, netns: Netns
) -> None:
    conf = plugin_of_user.conf(createBridge=True, dirMode="0700")
    outcome = plugin_of_user.add(conf, CONTAINER, netns.path)
    assert f"{CONTAINER} (drwx------)" in refused(plugin_of_user, users_switch, outcome)
    attached = attach_to(plugin_of_user, users_switch, netns, group=GROUP, dirMode="0750")
    with serve(attached.socket) as application:
        application.await_connection()
    attached.check().succeeded()
    attached.delete().succeeded()


def test_a_directory_for_everybody_works_as_it_is(
    plugin_of_user: Plugin, users_switch: Switch, netns: Netns
) -> None:
    attached = attach_to(plugin_of_user, users_switch, netns)
    with serve(attached.socket) as application:
        application.await_connection()


def test_a_short_link_into_a_directory_that_vswitchds_user_may_not_enter_is_refused(
    plugin_of_user: Plugin, users_switch: Switch, netns: Netns
) -> None:
    above = f"{plugin_of_user.directory}/{'p' * 50}"
    os.mkdir(above, 0o750)
    conf = plugin_of_user.conf(createBridge=True, sharedDir=f"{above}/pods")
    outcome = plugin_of_user.add(conf, CONTAINER, netns.path)
    assert f"may not enter {above} (drwxr-x---)" in refused(plugin_of_user, users_switch, outcome)
    os.chmod(above, 0o711)  # noqa: S103  to pass through
    attached = attach_to(plugin_of_user, users_switch, netns, sharedDir=f"{above}/pods")
    with serve(attached.socket) as application:
        application.await_connection()


def test_a_directory_of_links_that_vswitchds_user_may_not_enter_is_refused(
    plugin_of_user: Plugin, users_switch: Switch, netns: Netns
) -> None:
    os.chmod(plugin_of_user.links, 0o700)
    shared = f"{plugin_of_user.directory}/{'p' * 50}"
    conf = plugin_of_user.conf(createBridge=True, sharedDir=shared)
    outcome = plugin_of_user.add(conf, CONTAINER, netns.path)
    assert f"may not enter {plugin_of_user.links}" in refused(plugin_of_user, users_switch, outcome)


def test_check_says_when_vswitchd_can_no_longer_reach_the_socket(
    plugin_of_user: Plugin, users_switch: Switch, netns: Netns
) -> None:
    attached = attach_to(plugin_of_user, users_switch, netns)
    os.chmod(plugin_of_user.shared, 0o700)
    outcome = attached.check()
    assert outcome.code == 104
    assert f"ovs-vswitchd cannot reach {attached.socket}" in outcome.words


# --- in a mount namespace of its own ----------------------------------------


def inside(switch: Switch, *command: str) -> None:
    """Run a program in vswitchd's mount namespace."""
    namespace = f"--mount=/proc/{switch.vswitchd_pid}/ns/mnt"
    subprocess.run(["nsenter", namespace, "--", *command], check=True)


def test_a_shared_directory_that_vswitchd_does_not_see_is_refused(
    plugin_of_contained: Plugin, contained_switch: Switch, netns: Netns, unseen: str
) -> None:
    conf = plugin_of_contained.conf(createBridge=True, sharedDir=unseen)
    outcome = plugin_of_contained.add(conf, CONTAINER, netns.path)
    words = refused(plugin_of_contained, contained_switch, outcome)
    assert f"{unseen}/{CONTAINER} does not exist in its mount namespace" in words
    assert "mounted into its container" in outcome.answer["hint"]
    assert os.listdir(unseen) == []


def test_a_shared_directory_that_vswitchd_sees_works(
    plugin_of_contained: Plugin, contained_switch: Switch, netns: Netns
) -> None:
    attached = attach_to(plugin_of_contained, contained_switch, netns)
    with serve(attached.socket) as application:
        application.await_connection()
    attached.check().succeeded()


def test_a_filesystem_that_was_mounted_after_vswitchds_start_is_refused(
    plugin_of_contained: Plugin, contained_switch: Switch, netns: Netns
) -> None:
    late = f"{plugin_of_contained.directory}/late"
    os.mkdir(late)
    subprocess.run(["mount", "-t", "tmpfs", "test", late], check=True)
    try:
        conf = plugin_of_contained.conf(createBridge=True, sharedDir=late)
        outcome = plugin_of_contained.add(conf, CONTAINER, netns.path)
        words = refused(plugin_of_contained, contained_switch, outcome)
        assert "does not exist in its mount namespace" in words
        assert os.listdir(late) == []
    finally:
        subprocess.run(["umount", late], check=True)


def test_another_directory_of_the_same_name_in_vswitchds_namespace_is_refused(
    plugin_of_contained: Plugin, contained_switch: Switch, netns: Netns
) -> None:
    ours, theirs = f"{plugin_of_contained.directory}/ours", f"{plugin_of_contained.directory}/theirs"
    os.makedirs(f"{ours}/{CONTAINER}")
    os.makedirs(f"{theirs}/{CONTAINER}")
    inside(contained_switch, "mount", "--bind", theirs, ours)
    conf = plugin_of_contained.conf(createBridge=True, sharedDir=ours)
    words = refused(
        plugin_of_contained, contained_switch, plugin_of_contained.add(conf, CONTAINER, netns.path)
    )
    assert f"{ours}/{CONTAINER} is another directory in its mount namespace" in words


def test_links_are_followed_as_vswitchd_would(
    plugin_of_contained: Plugin, contained_switch: Switch, netns: Netns
) -> None:
    """In its namespace the way to the shared directory is a link, and it leads to the same directory."""
    top = plugin_of_contained.directory
    for name in ("ours/pods", "theirs", "elsewhere"):
        os.makedirs(f"{top}/{name}")
    os.symlink(f"{top}/elsewhere/pods", f"{top}/theirs/pods")
    inside(contained_switch, "mount", "--bind", f"{top}/ours", f"{top}/elsewhere")
    inside(contained_switch, "mount", "--bind", f"{top}/theirs", f"{top}/ours")
    attached = attach_to(plugin_of_contained, contained_switch, netns, sharedDir=f"{top}/ours/pods")
    with serve(attached.socket) as application:
        application.await_connection()
    attached.check().succeeded()


def test_a_link_that_leads_elsewhere_in_vswitchds_namespace_is_refused(
    plugin_of_contained: Plugin, contained_switch: Switch, netns: Netns
) -> None:
    top = plugin_of_contained.directory
    for name in ("ours/pods", "theirs", "elsewhere"):
        os.makedirs(f"{top}/{name}")
    os.symlink(f"{top}/elsewhere", f"{top}/theirs/pods")
    inside(contained_switch, "mount", "--bind", f"{top}/theirs", f"{top}/ours")
    conf = plugin_of_contained.conf(createBridge=True, sharedDir=f"{top}/ours/pods")
    words = refused(
        plugin_of_contained, contained_switch, plugin_of_contained.add(conf, CONTAINER, netns.path)
    )
    assert f"{top}/elsewhere/{CONTAINER} does not exist in its mount namespace" in words

"""What hostile containers plant under names that the plugin uses: never followed, never written through."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.attached import CONTAINER
from tests.support.planted import plant, unharmed
from tests.support.remains import remains

if TYPE_CHECKING:
    from tests.plugin.conftest import Attach
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime


@pytest.mark.parametrize("planted", ["foreign link", "dangling link", "file", "directory", "fifo"])
def test_what_stands_under_the_links_name_is_neither_used_nor_changed(
    attach: Attach, plugin: Plugin, switch: Switch, netns: Netns, planted: str
) -> None:
    shared = f"{plugin.directory}/{'d' * 100}"
    attached = attach(sharedDir=shared, deleteBridge=True)
    link = attached.link
    attached.delete().succeeded()
    plant(planted, link, plugin)
    before = os.lstat(link)
    outcome = plugin.add(attached.conf, CONTAINER, netns.path)
    assert outcome.code == 103
    assert link in outcome.words
    assert os.path.samestat(os.lstat(link), before)
    assert os.listdir(shared) == []
    assert all(left.startswith(link) for left in remains(plugin, switch))


@pytest.mark.parametrize("planted", ["foreign link", "dangling link", "file", "fifo"])
def test_what_is_no_directory_under_the_containers_name_is_refused_and_left_alone(
    plugin: Plugin, switch: Switch, netns: Netns, planted: str
) -> None:
    place = f"{plugin.shared}/{CONTAINER}"
    plant(planted, place, plugin)
    before = os.lstat(place)
    outcome = plugin.add(plugin.conf(createBridge=True), CONTAINER, netns.path)
    assert outcome.code == 103
    assert place in outcome.words
    assert os.path.samestat(os.lstat(place), before)
    assert unharmed(plugin)
    assert remains(plugin, switch) == [place]


@pytest.mark.parametrize("planted", ["foreign link", "dangling link", "file", "directory", "fifo"])
@pytest.mark.parametrize("kind", ["dpdkvhostuserclient", "dpdkvhostuser"])
def test_what_is_no_socket_under_the_sockets_name_is_refused_and_left_alone(
    plugin: Plugin, switch: Switch, netns: Netns, planted: str, kind: str
) -> None:
    directory = f"{plugin.shared}/{CONTAINER}"
    os.mkdir(directory)
    plant(planted, f"{directory}/net1", plugin)
    before = os.lstat(f"{directory}/net1")
    outcome = plugin.add(plugin.conf(createBridge=True, interface_type=kind), CONTAINER, netns.path)
    assert outcome.code == 103
    assert f"{directory}/net1" in outcome.words
    assert os.path.samestat(os.lstat(f"{directory}/net1"), before)
    assert os.listdir(directory) == ["net1"]
    assert unharmed(plugin)
    assert remains(plugin, switch)[0] == directory
    assert switch.ports() == set()


@pytest.mark.parametrize("planted", ["foreign link", "dangling link", "file", "fifo"])
def test_what_stands_under_the_interfaces_files_name_is_replaced_and_never_written_through(
    attach: Attach, plugin: Plugin, planted: str
) -> None:
    os.mkdir(f"{plugin.shared}/{CONTAINER}")
    plant(planted, f"{plugin.shared}/{CONTAINER}/userspace.json", plugin)
    attached = attach()
    with open(f"{attached.directory}/userspace.json", encoding="utf-8") as file:
        assert list(json.load(file)["interfaces"]) == ["net1"]
    assert unharmed(plugin)
    assert not os.path.exists("/nowhere")


def test_a_directory_under_the_interfaces_files_name_is_refused_and_nothing_stays_behind(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    place = f"{plugin.shared}/{CONTAINER}/userspace.json"
    os.makedirs(place)
    outcome = plugin.add(plugin.conf(createBridge=True), CONTAINER, netns.path)
    assert outcome.code == 103
    assert "userspace.json" in outcome.words
    assert remains(plugin, switch) == [os.path.dirname(place), place]


@pytest.mark.parametrize("name", ["net1", "userspace.json", "more"])
@pytest.mark.parametrize("planted", ["foreign link", "dangling link", "file", "directory", "fifo"])
def test_del_removes_what_a_hostile_container_planted_and_nothing_behind_it(
    attach: Attach, plugin: Plugin, switch: Switch, name: str, planted: str
) -> None:
    attached = attach(deleteBridge=True)
    place = f"{attached.directory}/{name}"
    if os.path.exists(place):
        os.unlink(place)
    plant(planted, place, plugin)
    attached.delete().succeeded()
    assert unharmed(plugin)
    assert remains(plugin, switch) == []


@pytest.mark.parametrize("planted", ["foreign link", "file", "fifo"])
def test_del_leaves_alone_what_has_taken_the_directorys_place(
    attach: Attach, plugin: Plugin, switch: Switch, planted: str
) -> None:
    attached = attach(deleteBridge=True)
    shutil.rmtree(attached.directory)
    plant(planted, attached.directory, plugin)
    attached.delete().succeeded()
    assert unharmed(plugin)
    assert remains(plugin, switch) == [attached.directory]

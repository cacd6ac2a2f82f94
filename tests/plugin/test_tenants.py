"""Netconfs that a tenant may have written: with bounds in the node file they get nowhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import intel
from tests.support.attached import CONTAINER
from tests.support.listener import Listener
from tests.support.remains import device_info_file, remains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.plugin.conftest import Attach
    from tests.support.netns import Netns
    from tests.support.plugin import Outcome, Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

REFUSED = 102
OTHER_POD = "another-pods-container"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node with bounds, and things on it that are none of a tenant's business."""

    plugin: Plugin
    switch: Switch
    netns: Netns
    database: Listener  # stands for another database: it is enough to see who connects

    def place(self, name: str) -> str:
        """Return a path on the node."""
        return f"{self.plugin.directory}/{name}"

    def conf(self, **keys: Any) -> dict[str, Any]:  # noqa: ANN401  any key of a netconf
        """Return a tenant's netconf."""
        return self.plugin.conf(createBridge=True, deleteBridge=True, **keys)

    def add(self, **keys: Any) -> Outcome:  # noqa: ANN401  any key of a netconf
        """ADD with a tenant's netconf."""
        return self.plugin.add(self.conf(**keys), CONTAINER, self.netns.path)

    def untouched(self) -> bool:
        """Tell whether nothing was made, written, run or asked anywhere."""
        kept = f"{self.plugin.shared}/{OTHER_POD}"
        assert [left for left in remains(self.plugin, self.switch) if not left.startswith(kept)] == []
        assert os.listdir(kept) == ["net1"]
        assert self.switch.bridges() == {"br-theirs"}
        assert sorted(os.listdir(self.place("etc"))) == ["exec.kubeconfig", "names.json", "passwd"]
        assert not os.path.exists(self.place("ran"))
        assert not self.database.was_asked()
        with open(self.place("etc/passwd"), encoding="utf-8") as file:
            return file.read() == "root:x:0:0\n"


@pytest.fixture
def node(plugin: Plugin, switch: Switch, netns: Netns) -> Iterator[Node]:
    """Give a node that allows little: its own defaults, one log file, and the bridges br-ours*."""
    switch.add_bridge("br-theirs")
    top = plugin.directory
    os.makedirs(f"{top}/etc")
    os.mkdir(f"{plugin.shared}/{OTHER_POD}")
    for path, text in (
        ("etc/passwd", "root:x:0:0\n"),
        ("etc/exec.kubeconfig", kubeconfig(f"{top}/ran")),
        ("etc/names.json", json.dumps({"logFile": f"{top}/etc/log"})),
        (f"s/{OTHER_POD}/net1", ""),
    ):
        with open(f"{top}/{path}", "w", encoding="utf-8") as file:
            file.write(text)
    plugin.set_node(
        allow={
            "bridges": ["br-ours*"],
            "sharedDirs": [f"{top}/second"],
            "logFiles": [f"{top}/allowed.log"],
            "kubeconfigs": [f"{top}/etc/exec.kubeconfig"],
            "deviceInfoDirs": [f"{top}/devinfo"],
        }
    )
    with Listener(f"{top}/other.sock") as database:
        yield Node(plugin=plugin, switch=switch, netns=netns, database=database)


def kubeconfig(marker: str) -> str:
    """Return a kubeconfig whose reader would run a program as whoever reads it."""
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [marker]}
    users = [{"name": "u", "user": {"exec": program}}]
    return json.dumps({"apiVersion": "v1", "kind": "Config", "users": users})


Keys = Callable[[Node], dict[str, Any]]
HOSTILE: dict[str, tuple[str, Keys]] = {  # what is named -> the key that the error names, the netconf
    "/etc": ("sharedDir", lambda n: {"sharedDir": n.place("etc")}),
    "the real /etc": ("sharedDir", lambda _: {"sharedDir": "/etc"}),
    "another pod's directory": (
        "sharedDir",
        lambda n: {"sharedDir": f"{n.plugin.shared}/{OTHER_POD}"},
    ),
    "the allowed directory's parent": ("sharedDir", lambda n: {"sharedDir": n.plugin.directory}),
    "a foreign bridge": ("bridge", lambda _: {"bridge": "br-theirs"}),
    "a bridge that starts like an allowed one": ("bridge", lambda _: {"bridge": "br-our"}),
    "another database": ("socket_file", lambda n: {"socket_file": f"unix:{n.database.path}"}),
    "another database by its path": ("socket_file", lambda n: {"socket_file": n.database.path}),
    "a database elsewhere": ("socket_file", lambda _: {"socket_file": "tcp:192.0.2.1:6640"}),
    "a log file": ("logFile", lambda n: {"logFile": n.place("etc/passwd"), "logLevel": "debug"}),
    "a new log file": ("logFile", lambda n: {"logFile": n.place("etc/log"), "logLevel": "debug"}),
    "a configuration_path": (
        "configuration_path",
        lambda n: {"configuration_path": n.place("etc/names.json")},
    ),
    "a kubeconfig": ("kubeconfig", lambda n: {"kubeconfig": n.place("etc/passwd")}),
    "a kubeconfig with a program in it": (
        "kubeconfig",
        lambda n: {"kubeconfig": n.place("etc/exec.kubeconfig")},
    ),
    "a device-info file": (
        "runtimeConfig.CNIDeviceInfoFile",
        lambda n: {"runtimeConfig": {"CNIDeviceInfoFile": n.place("etc/passwd")}},
    ),
    "a new device-info file": (
        "runtimeConfig.CNIDeviceInfoFile",
        lambda n: {"runtimeConfig": {"CNIDeviceInfoFile": n.place("etc/cron.d/x")}},
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_add_gets_nowhere_and_says_which_key(node: Node, what: str) -> None:
    key, keys = HOSTILE[what]
    outcome = node.add(**keys(node))
    assert outcome.code == REFUSED
    assert f"`{key}`" in outcome.words
    assert node.plugin.node_file in outcome.answer["hint"]
    assert node.untouched()


@pytest.mark.parametrize("what", HOSTILE)
def test_no_other_verb_gets_anywhere_either(node: Node, what: str) -> None:
    """A runtime calls DEL after an ADD that was refused, with the same netconf."""
    conf = node.conf(**HOSTILE[what][1](node))
    node.plugin.delete(conf, CONTAINER, node.netns.path).succeeded()
    node.plugin.gc(conf, []).succeeded()
    checked = {**conf, "prevResult": {"cniVersion": "1.1.0", "interfaces": []}}
    assert node.plugin.check(checked, CONTAINER, node.netns.path).code == 3
    assert node.plugin.status(conf).code == REFUSED
    assert node.untouched()


def test_everything_that_is_not_allowed_is_named_at_once(node: Node) -> None:
    words = node.add(
        sharedDir="/etc",
        bridge="br-theirs",
        socket_file=node.database.path,
        logFile="/etc/passwd",
        configuration_path="/etc/shadow",
        kubeconfig=node.place("etc/exec.kubeconfig"),
    ).words
    for key, value in (
        ("sharedDir", "/etc"),
        ("bridge", "br-theirs"),
        ("socket_file", node.database.path),
        ("logFile", "/etc/passwd"),
        ("configuration_path", "/etc/shadow"),
        ("kubeconfig", "exec.kubeconfig"),
    ):
        assert f"`{key}`" in words
        assert value in words
    assert node.untouched()


def test_intels_words_for_the_same_things_are_bounded_too(node: Node) -> None:
    conf = intel.netconf("/etc", "br-theirs")
    words = node.plugin.add(conf, CONTAINER, node.netns.path).words
    assert '"/etc" is not among `allow.sharedDirs`' in words
    assert '"br-theirs" is not among `allow.bridges`' in words
    assert node.untouched()


def test_what_an_allowed_configuration_path_names_is_bounded_as_well(node: Node) -> None:
    allowed = {**node.plugin.node["allow"], "configurationPaths": [node.place("etc/names.json")]}
    node.plugin.set_node(allow=allowed)
    outcome = node.add(configuration_path=node.place("etc/names.json"))
    assert outcome.code == REFUSED
    assert "`logFile`" in outcome.words
    assert node.untouched()


def test_a_kubeconfig_with_a_program_in_it_is_refused_without_any_bounds_too(node: Node) -> None:
    node.plugin.set_node(allow=None)
    outcome = node.add(kubeconfig=node.place("etc/exec.kubeconfig"))
    assert outcome.code == REFUSED
    assert "run a program" in outcome.words
    assert node.untouched()


def test_names_with_a_way_out_of_their_directory_are_mistakes(node: Node) -> None:
    for key, value in (
        ("socketName", "../../etc/passwd"),
        ("portName", "../passwd"),
        ("bridge", "../passwd"),
        ("sharedDir", f"{node.plugin.shared}/../etc"),
    ):
        outcome = node.add(**{key: value})
        assert outcome.code == 7, key
        assert key in outcome.words
    assert node.untouched()


# --- and what is allowed works ----------------------------------------------


def test_what_the_node_file_sets_and_allows_works(node: Node, attach: Attach) -> None:
    file = device_info_file(node.plugin)
    attached = attach(
        bridge="br-ours7",
        sharedDir=node.place("second"),
        logFile=node.place("allowed.log"),
        logLevel="debug",
        socket_file=node.switch.remote,
        deleteBridge=True,
        runtimeConfig={"CNIDeviceInfoFile": file},
    )
    assert os.path.exists(file)
    attached.check().succeeded()
    attached.delete().succeeded()
    assert node.untouched()


def test_a_netconf_that_names_nothing_works_within_any_bounds(node: Node, attach: Attach) -> None:
    node.plugin.set_node(allow={})
    attached = attach(bridge=None, sharedDir=node.plugin.shared, deleteBridge=True)
    attached.delete().succeeded()
    assert node.untouched()


def test_an_attachment_of_before_the_bounds_is_still_deleted_wholly(
    plugin: Plugin, switch: Switch, attach: Attach
) -> None:
    attached = attach(bridge="br-old", sharedDir=f"{plugin.directory}/old", deleteBridge=True)
    plugin.set_node(allow={})
    assert plugin.add(attached.conf, "another", attached.netns.path).code == REFUSED
    attached.delete().succeeded()
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()
    assert os.listdir(f"{plugin.directory}/old") == []


@pytest.mark.parametrize(("mode", "owner"), [(0o666, 0), (0o660, 0), (0o644, 12345)])
def test_a_node_file_that_others_can_write_is_not_believed(node: Node, mode: int, owner: int) -> None:
    os.chmod(node.plugin.node_file, mode)
    os.chown(node.plugin.node_file, owner, 12345)
    outcome = node.add()
    assert outcome.code == 7
    assert node.plugin.node_file in outcome.words
    os.chmod(node.plugin.node_file, 0o644)
    os.chown(node.plugin.node_file, 0, 0)
    assert node.untouched()

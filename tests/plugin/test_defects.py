"""The defects of the earlier userspace plugin (Intel's), each as a test that this one passes.

Numbered as they were found there; the first word of each test is what went
wrong. Its netconf works here unchanged, so most tests use it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import intel
from tests.support.child import RigError
from tests.support.node import BRIDGE, new_container

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.netns import Netns
    from tests.support.node import Node
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

SUN_PATH = 107  # bytes of a unix socket's path, unix(7)
CALLERS = 8
PAIRS = 72
CONNECT_SECONDS = 10.0  # OVS tries again every second


def intels(node: Node, bridge: str = BRIDGE, mode: str = "client", **keys: Any) -> dict[str, Any]:  # noqa: ANN401
    return {**intel.netconf(node.plugin.shared, bridge, mode), **keys}


def socket_path(result: dict[str, Any]) -> str:
    (path,) = (i["socketPath"] for i in result["interfaces"] if i.get("sandbox"))
    return str(path)


# 1. `sharedDir` without a kubeconfig always failed, and left bridge, port, directory behind.


def test_a_shared_directory_without_a_kubeconfig_works_and_leaves_nothing(node: Node) -> None:
    conf = intels(node, bridge="auto")
    node.add(conf=conf).succeeded()
    assert "auto" in node.switch.bridges()
    assert os.path.isdir(node.directory())
    node.delete(conf=conf).succeeded()
    assert node.left() == []


# 2. DEL of net1 removed the sockets of net2 and net10 too, then the pod's whole directory.


@pytest.mark.parametrize("mode", ["client", "server"])
def test_del_of_net1_leaves_net10(node: Node, mode: str) -> None:
    conf = intels(node, mode=mode)
    names = ("net1", "net2", "net10")
    paths = {}
    for ifname in names:
        answer = node.add(conf={**conf, "cniVersion": "1.1.0"}, ifname=ifname).succeeded()
        paths[ifname] = socket_path(answer)
    servers = [listen(path) for path in paths.values() if mode == "client"]

    node.delete(conf=conf, ifname="net1").succeeded()

    assert [os.path.exists(path) for path in paths.values()] == [False, True, True]
    assert len(node.switch.ports(BRIDGE)) == 2
    for ifname in names[1:]:
        node.delete(conf=conf, ifname=ifname).succeeded()
    for server in servers:
        server.close()
    assert node.left() == []


# 3. A second DEL failed; DEL with the bridge gone failed.


def test_a_second_del_succeeds(node: Node) -> None:
    conf = intels(node)
    node.add(conf=conf).succeeded()
    node.delete(conf=conf).succeeded()
    node.delete(conf=conf).succeeded()
    assert node.left() == []


def test_del_with_the_bridge_gone_succeeds(node: Node) -> None:
    conf = intels(node)
    node.add(conf=conf).succeeded()
    node.switch.vsctl("del-br", BRIDGE)
    node.delete(conf=conf).succeeded()
    assert node.left() == []


# 4. State was deleted before the port: DEL while OVS was down, then DEL again, leaked the port for ever.


def test_del_while_the_database_is_down_forgets_nothing(node: Node) -> None:
    conf = intels(node)
    node.add(conf=conf).succeeded()
    node.switch.kill_ovsdb()
    assert node.delete(conf=conf).code == 11
    node.switch.start_ovsdb()
    node.delete(conf=conf).succeeded()
    assert node.left() == []


# 5. DEL deleted any bridge that had no ports left, an administrator's too.


def test_del_leaves_an_administrators_bridge_without_ports(node: Node) -> None:
    conf = intels(node)
    node.add(conf=conf).succeeded()
    node.delete(conf=conf).succeeded()
    assert node.switch.bridges() == {BRIDGE}
    assert node.switch.ports() == set()


def test_del_leaves_a_bridge_of_ours_that_an_administrator_put_a_port_on(node: Node) -> None:
    conf = intels(node, bridge="auto")
    node.add(conf=conf).succeeded()
    node.switch.add_port("auto", "theirs", path=f"{node.plugin.directory}/theirs")
    node.delete(conf=conf).succeeded()
    assert node.switch.ports("auto") == {"theirs"}


# 6. No lock: parallel ADDs and DELs on one auto-made bridge destroyed each other's ports.


def test_parallel_adds_and_dels_on_one_made_bridge_lose_no_port(node: Node) -> None:
    conf = intels(node, bridge="auto")

    def pair(_number: int) -> list[str]:
        container = new_container()
        added = node.add(conf=conf, container=container)
        found = node.switch.row("Interface", added.succeeded()["interfaces"][0]["name"])
        wrong = [] if found["ofport"] > 0 else [f"{container}: {found}"]
        node.delete(conf=conf, container=container).succeeded()
        return wrong

    with ThreadPoolExecutor(CALLERS) as callers:
        wrong = [line for lines in callers.map(pair, range(PAIRS)) for line in lines]
    assert wrong == []
    assert node.left() == []


# 7. Server mode swallowed a failed move of the socket: ADD succeeded without a socket.


@pytest.fixture
def other_filesystem() -> Iterator[str]:
    """Give a directory from which no link to the switch's directory is possible."""
    directory = tempfile.mkdtemp(prefix="up-", dir="/dev/shm")
    yield directory
    shutil.rmtree(directory)


def test_a_server_socket_that_cannot_reach_the_shared_directory_fails_add(
    node: Node, other_filesystem: str
) -> None:
    conf = intels(node, mode="server", sharedDir=other_filesystem)
    failed = node.add(conf=conf)
    assert failed.code == 5
    assert "different filesystems" in failed.words
    assert "sharedDir" in failed.answer["hint"]
    assert node.left() == []
    assert os.listdir(other_filesystem) == []


def test_a_server_socket_is_in_the_shared_directory(node: Node) -> None:
    conf = intels(node, mode="server", cniVersion="1.1.0")
    path = socket_path(node.add(conf=conf).succeeded())
    assert os.path.dirname(path) == node.directory()
    with socket.socket(socket.AF_UNIX) as application:
        application.connect(path)


# 8. A path over 107 bytes: ADD succeeded, and the port never connected.


def test_a_path_over_107_bytes_connects(node: Node) -> None:
    long = os.path.join(node.plugin.shared, "d" * 40)
    path = socket_path(node.add(conf=intels(node, sharedDir=long, cniVersion="1.1.0")).succeeded())
    assert len(path) > SUN_PATH
    with listen(path) as server:
        server.settimeout(CONNECT_SECONDS)
        connection, _ = server.accept()  # by vswitchd: nobody else knows it
        connection.close()
    node.delete(conf=intels(node)).succeeded()
    os.rmdir(long)
    assert node.left() == []


# 9. A containerID under 12 characters crashed it; IDs that share 12 characters collided.


def test_a_short_container_id_works(node: Node) -> None:
    conf = intels(node)
    node.add(conf=conf, container="c").succeeded()
    node.delete(conf=conf, container="c").succeeded()
    assert node.left() == []


def test_container_ids_that_share_12_characters_do_not_collide(node: Node) -> None:
    conf = {**node.plugin.conf(), "sharedDir": node.plugin.shared}
    containers = [node.container[:12] + rest for rest in ("a", "b" * 52)]
    for container in containers:
        node.add(conf=conf, container=container).succeeded()
    assert len(node.switch.ports(BRIDGE)) == 2
    node.delete(conf=conf, container=containers[0]).succeeded()
    assert len(node.switch.ports(BRIDGE)) == 1
    assert os.path.isdir(node.directory(containers[1]))
    node.delete(conf=conf, container=containers[1]).succeeded()
    assert node.left() == []


def test_intels_names_of_such_containers_collide_out_loud(node: Node) -> None:
    conf = intels(node)
    first, second = (node.container[:12] + rest for rest in ("a", "b"))
    node.add(conf=conf, container=first).succeeded()
    refused = node.add(conf=conf, container=second)
    assert refused.code == 103
    assert "port exists already" in refused.words
    node.delete(conf=conf, container=second).succeeded()
    assert len(node.switch.ports(BRIDGE)) == 1
    node.delete(conf=conf, container=first).succeeded()
    assert node.left() == []


# 10. Every OVS failure read "exit status 1".


@contextmanager
def read_only(folder: str) -> Iterator[None]:
    """Make a directory one in which nobody can make a socket."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_an_error_repeats_the_words_of_vswitchd(node: Node) -> None:
    with read_only(node.switch.sockets):
        failed = node.add(interface_type="dpdkvhostuser", sharedDir=node.switch.sockets, portName="p1")
    assert failed.code == 101
    assert "could not open network device p1" in failed.words
    assert node.left() == []


def test_an_error_names_the_database_that_does_not_answer(node: Node) -> None:
    node.switch.kill_ovsdb()
    failed = node.add()
    assert failed.code == 101
    assert node.switch.remote in failed.words
    with pytest.raises(RigError):
        node.switch.vsctl("show")


def test_an_error_names_what_is_wrong_with_the_bridge(node: Node) -> None:
    node.switch.vsctl("add-br", "kernel", "--", "set", "bridge", "kernel", "datapath_type=system")
    failed = node.add(bridge="kernel")
    assert "kernel" in failed.words
    assert "datapath_type=netdev" in failed.words


# 11. When two ADDs told the pod at the same time, one's words were lost; an earlier sandbox's stayed.


def test_parallel_adds_of_one_container_are_all_told_to_it(node: Node) -> None:
    names = [f"net{n}" for n in range(CALLERS)]
    with ThreadPoolExecutor(CALLERS) as callers:
        for outcome in callers.map(lambda ifname: node.add(ifname=ifname), names):
            outcome.succeeded()
    assert sorted(node.told()) == names


def test_words_of_an_earlier_sandbox_do_not_stay(node: Node) -> None:
    node.add(ifname="net1").succeeded()
    node.add(ifname="net2").succeeded()
    shutil.rmtree(node.plugin.state)  # as on a node that was set up anew
    for name in node.switch.ports(BRIDGE):
        node.switch.vsctl("del-port", name)
    node.add(ifname="net1").succeeded()
    assert list(node.told()) == ["net1"]


# 12. DEL looked in another directory than ADD had used.


def test_del_cleans_the_directory_that_add_used(node: Node) -> None:
    node.add().succeeded()
    elsewhere = os.path.join(node.plugin.directory, "elsewhere")
    node.plugin.set_node(sharedDir=elsewhere)
    node.delete(sharedDir=elsewhere).succeeded()
    assert node.left() == []


# 13. The result was 1.1.0 whatever was asked, without MAC or path.


@pytest.mark.parametrize("version", ["0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_the_result_has_the_version_that_was_asked_for(node: Node, version: str) -> None:
    assert node.add(conf=intels(node, cniVersion=version)).succeeded()["cniVersion"] == version


def test_the_result_tells_mac_and_path(node: Node, netns: Netns) -> None:
    answer = node.add(conf=intels(node, cniVersion="1.1.0")).succeeded()
    (inside,) = (i for i in answer["interfaces"] if i.get("sandbox"))
    assert inside["name"] == "net1"
    assert inside["sandbox"] == netns.path
    assert inside["mac"] == attached_mac(node.switch)
    assert inside["socketPath"].startswith(node.directory() + "/")


def attached_mac(switch: Switch) -> str:
    (port,) = switch.ports(BRIDGE)
    return str(switch.row("Interface", port)["external_ids"]["attached-mac"])


def listen(path: str) -> socket.socket:
    """Serve a socket as an application does; the path may be longer than a socket's address."""
    server = socket.socket(socket.AF_UNIX)
    folder = os.open(os.path.dirname(path), os.O_PATH)
    try:
        server.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)
    server.listen()
    return server

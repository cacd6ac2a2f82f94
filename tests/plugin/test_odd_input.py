"""Inputs that no person would write and states that nobody wants: one answer, and nothing left in the end."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import caller
from tests.support.node import BRIDGE
from tests.support.remains import host_local, leases

if TYPE_CHECKING:
    from tests.support.node import Node

pytestmark = pytest.mark.runtime

HUGE = "1e999"
DEEP = "[" * 985 + "]" * 985


@pytest.mark.parametrize("value", [HUGE, DEEP], ids=["a number that no double holds", "deep nesting"])
@pytest.mark.parametrize("key", ["vlan", "dns", "args", "runtimeConfig", "prevResult"])
def test_what_could_be_read_and_not_written_again_is_refused_before_anything_is_made(
    node: Node, key: str, value: str
) -> None:
    odd = value if key == "vlan" else f'{{"dns": {{"x": {value}}}}}'
    text = json.dumps(node.plugin.conf())[:-1] + f', "{key}": {odd}}}'
    outcome = caller.call(node.plugin, node.words("ADD"), text.encode())
    assert outcome.code == 6, outcome
    assert "Traceback" not in outcome.stderr
    assert node.left() == []


def test_marks_that_somebody_else_wrote_cannot_have_a_directory_or_socket_removed(node: Node) -> None:
    victim = f"{node.plugin.directory}/victim"
    os.mkdir(victim)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{victim}/s")
    marks = {
        "owner": "cni-userspace",
        "cni-container-id": node.container,
        "cni-network": "fast",
        "cni-ifname": "net1",
        "cni-directory": victim,
        "cni-own-directory": "true",
        "cni-socket-name": "s",
    }
    told = [f"external_ids:{name}={value}" for name, value in marks.items()]
    node.switch.vsctl("add-port", BRIDGE, "vhuplanted", "--", "set", "port", "vhuplanted", *told)
    node.delete().succeeded()
    assert "vhuplanted" not in node.switch.ports()
    assert os.listdir(victim) == ["s"]
    shutil.rmtree(victim)


def test_what_is_owed_of_one_interface_does_not_make_the_check_of_another_fail(node: Node) -> None:
    node.add().succeeded()
    result = node.add(ifname="net2").succeeded()
    node.switch.kill_ovsdb()
    assert node.delete().code == 11
    node.switch.start_ovsdb()
    assert list(node.told()) == ["net2"]
    node.check(ifname="net2", prevResult=result).succeeded()
    node.delete(ifname="net2").succeeded()
    assert node.left() == []


def test_two_interfaces_of_a_container_that_filled_its_file_system_are_both_removed(node: Node) -> None:
    full = f"{node.plugin.directory}/full"
    os.mkdir(full)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "us-full", full], check=True)
    try:
        node.add(sharedDir=full).succeeded()
        node.add(sharedDir=full, ifname="net2").succeeded()
        fill(f"{full}/{node.container}/junk")
        assert node.delete(sharedDir=full).code == 11
        node.delete(sharedDir=full, ifname="net2").succeeded()
        node.delete(sharedDir=full).succeeded()
        assert os.listdir(full) == []
    finally:
        subprocess.run(["umount", full], check=True)
    os.rmdir(full)
    assert node.left() == []


def fill(path: str) -> None:
    """Write a file until its file system is full."""
    with open(path, "wb", buffering=0) as junk, contextlib.suppress(OSError):
        while True:
            junk.write(bytes(4096))


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_get_into_nothing_of_ours(node: Node, closed: str) -> None:
    """Else the first files that are opened get the numbers 0 to 2.

    What an IPAM plugin warns of then went into its own input.
    """
    warner = f"{node.plugin.bin}/warner"
    found = shutil.which("host-local", path=node.plugin.cni_path)
    with open(os.open(warner, os.O_CREAT | os.O_WRONLY, 0o755), "w", encoding="utf-8") as script:
        script.write(f"#!/bin/sh\necho careful >&2\nexec {found}\n")
    before = ["sh", "-c", f'exec "$0" {closed}']
    conf = node.plugin.conf(logLevel="verbose", ipam=host_local(node.plugin, type="warner"))
    text = json.dumps(conf).encode()
    failed = caller.call(node.plugin, node.words("ADD"), text, before=before).returncode
    assert bool(failed) is (">&-" in closed.split())  # a lost answer is no success
    if "<&-" not in closed:
        record = pathlib.Path(node.record()).read_text(encoding="utf-8")
        assert json.loads(record)["state"] == "attached"
        assert leases(node.plugin)
    assert "Traceback" not in caller.call(node.plugin, node.words("DEL"), text, before=before).stderr
    node.delete(conf=conf).succeeded()
    assert node.left() == []

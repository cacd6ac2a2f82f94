"""Names: short, the same each time, and never two attachments' own."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from cni_userspace.attach import naming

LONG = "c" * 300
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")


def test_a_name_never_changes() -> None:
    """A record or a mark of an earlier version has to be found again."""
    assert naming.port_name("c1", "net1") == "vhuc9o26tn1asbm"
    assert naming.stable_mac("c1", "net1") == "d6:3b:21:37:e0:89"
    assert naming.record_name("fast", "net1") == "net1@njgh23u89179.json"
    assert naming.link_name("/run/cni-userspace/c1") == "n23olngavnj"


def test_names_are_the_same_by_way_of_hashlib() -> None:
    code = (
        "import hashlib, sys; sys.modules['_blake2'] = None\n"
        "from cni_userspace.attach import naming\n"
        "print(naming.port_name('c1', 'net1'), naming.stable_mac('c1', 'net1'))"
    )
    env = {"PYTHONPATH": ":".join(sys.path)}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
        )
    except subprocess.CalledProcessError as error:
        pytest.fail(error.stderr)
    assert done.stdout.split() == [naming.port_name("c1", "net1"), naming.stable_mac("c1", "net1")]


@pytest.mark.parametrize("container", ["c", "c" * 12, LONG])
@pytest.mark.parametrize("ifname", ["e", "net1", "e" * 15, "é"])
def test_a_port_name_is_15_bytes_of_plain_text(container: str, ifname: str) -> None:
    name = naming.port_name(container, ifname)
    assert re.fullmatch("vhu[0-9a-v]{12}", name)


def test_port_names_tell_attachments_apart() -> None:
    names = {naming.port_name(f"{c:012x}", f"net{i}") for c in range(2000) for i in range(10)}
    assert len(names) == 20000


def test_ids_that_share_their_beginning_have_different_ports() -> None:
    assert naming.port_name("c" * 12 + "1", "net1") != naming.port_name("c" * 12 + "2", "net1")


def test_the_parts_of_an_identity_do_not_run_together() -> None:
    assert naming.port_name("c1", "1net") != naming.port_name("c11", "net")
    assert naming.stable_mac("c1", "1net") != naming.stable_mac("c11", "net")


def test_a_salt_makes_another_name() -> None:
    assert len({naming.port_name("c1", "net1", salt) for salt in ("", "a", "b")}) == 3


@pytest.mark.parametrize("name", ["p", "c1-net1", "e" * 15])
def test_a_name_that_fits_stays(name: str) -> None:
    assert naming.fitted_port_name(name) == name


def test_a_name_that_does_not_fit_is_cut_to_15_bytes() -> None:
    names = {naming.fitted_port_name(f"0123456789ab-{tail}") for tail in ("net1", "net2", "net10", "é" * 7)}
    assert len(names) == 4
    assert all(len(name.encode()) <= 15 and name.startswith("0123456") for name in names)


@pytest.mark.parametrize("name", ["c1-" + "é" * 7, "é" * 20, "0123456é" + "x" * 9])
def test_bytes_count_and_not_characters(name: str) -> None:
    fitted = naming.fitted_port_name(name)
    assert len(fitted.encode()) <= 15
    assert fitted != naming.fitted_port_name(name + "x")


def test_a_container_has_a_directory_of_its_id() -> None:
    assert naming.directory_name("c1") == "c1"
    assert naming.directory_name("c" * 150) == "c" * 150


def test_a_long_id_has_a_directory_that_a_file_system_takes() -> None:
    names = {naming.directory_name(LONG), naming.directory_name(LONG + "d"), naming.directory_name("c" * 151)}
    assert len(names) == 3
    assert all(len(name) <= 255 and "~" in name for name in names)  # no containerID holds one


def test_records_tell_networks_apart() -> None:
    names = {
        naming.record_name("fast", "net1"),
        naming.record_name("slow", "net1"),
        naming.record_name("fast", "net10"),
    }
    assert len(names) == 3
    assert all(name.endswith(".json") and len(name) < 64 for name in names)


def test_a_made_up_mac_is_a_local_unicast_one() -> None:
    macs = {naming.stable_mac(f"c{n}", "net1") for n in range(1000)}
    assert len(macs) == 1000
    assert all(MAC.fullmatch(mac) and int(mac[:2], 16) & 0b11 == 0b10 for mac in macs)

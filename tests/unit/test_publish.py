"""What the container is told: the device-information file, and the file beside the sockets."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cni_userspace.attach.publish import (
    INTERFACES_FILE,
    device_info,
    read_device_info,
    read_interfaces_file,
    remove_device_info,
    write_device_info,
    write_interfaces_file,
)
from cni_userspace.errors import ConflictError, InputOutputError, InvalidConfigError

INFO = device_info("server", "/var/run/userspace/net1")
OTHER = device_info("server", "/var/run/userspace/net2")
ENTRY = {"ifname": "net1", "deviceInfo": INFO}
FORMAT = Path(__file__).parents[2] / "docs/reference/interfaces-file.md"


def text_of(path: Path | str) -> str:
    return Path(path).read_text(encoding="utf-8")


def content(path: Path | str) -> Any:  # noqa: ANN401  whatever JSON it holds
    return json.loads(text_of(path))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "devinfo" / "cni" / "lab-net1-device.json")


@pytest.fixture(params=[0o022, 0o077, 0o000])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


# --- the device-information file


def test_the_object_is_the_specifications() -> None:
    assert device_info("client", "/run/s") == {
        "type": "vhost-user",
        "version": "1.1.0",
        "vhost-user": {"mode": "client", "path": "/run/s"},
    }


def test_the_file_and_its_directory_are_made(file: str) -> None:
    assert write_device_info(file, INFO) is None
    assert content(file) == INFO
    assert mode_of(Path(file).parent) == 0o755
    assert read_device_info(file) == INFO


@pytest.mark.usefixtures("umask")
def test_the_file_is_readable_by_everybody_whatever_the_umask(file: str) -> None:
    write_device_info(file, INFO)
    assert mode_of(Path(file)) == 0o644


def test_taking_it_back_leaves_no_file(file: str) -> None:
    remove_device_info(file, INFO, write_device_info(file, INFO))
    assert os.listdir(os.path.dirname(file)) == []


def test_a_device_plugins_copy_is_updated_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "info.json"
    copy = '{"type": "vhost-user", "version": "1.0.0", "own": [1], "vhost-user": {"path": "/old", "x": 1}}\n'
    path.write_text(copy)
    previous = write_device_info(str(path), INFO)
    assert content(path) == {**INFO, "own": [1], "vhost-user": {**INFO["vhost-user"], "x": 1}}
    remove_device_info(str(path), INFO, previous)
    assert path.read_text() == copy


def test_a_repeated_write_does_not_take_our_own_file_for_anothers(file: str) -> None:
    write_device_info(file, INFO)
    previous = write_device_info(file, INFO)
    assert previous is None
    remove_device_info(file, INFO, previous)
    assert not os.path.exists(file)


def test_a_file_that_names_another_socket_is_left_alone(file: str) -> None:
    previous = write_device_info(file, INFO)
    write_device_info(file, OTHER)
    remove_device_info(file, INFO, previous)
    assert content(file) == OTHER


def test_a_missing_file_is_taken_back_already(file: str) -> None:
    remove_device_info(file, INFO, None)
    write_device_info(file, INFO)
    remove_device_info(file, INFO, None)
    remove_device_info(file, INFO, None)
    assert read_device_info(file) == {}


@pytest.mark.parametrize("path", ["", "info.json", "../info.json", "/tmp/", "/tmp/a\0b"])  # noqa: S108  refused
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(InvalidConfigError, match="CNIDeviceInfoFile"):
        write_device_info(path, INFO)


@pytest.mark.parametrize("text", ["", "root:x:0:0:root:/root:/bin/bash\n", "[]", '{"type": ', "[" * 100_000])
def test_a_file_of_anything_else_is_not_touched(tmp_path: Path, text: str) -> None:
    path = tmp_path / "passwd"
    path.write_text(text)
    with pytest.raises(ConflictError):
        write_device_info(str(path), INFO)
    remove_device_info(str(path), INFO, None)
    assert path.read_text() == text
    assert os.listdir(tmp_path) == ["passwd"]


def test_a_link_is_neither_followed_nor_replaced(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text(json.dumps(INFO))
    link = tmp_path / "info.json"
    link.symlink_to(victim)
    with pytest.raises(ConflictError, match=r"info\.json"):
        write_device_info(str(link), OTHER)
    remove_device_info(str(link), INFO, None)
    assert content(victim) == INFO
    assert link.is_symlink()


@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, plant: Callable[[str], None]) -> None:
    path = str(tmp_path / "info.json")
    plant(path)
    with pytest.raises(ConflictError, match=r"info\.json"):
        write_device_info(path, INFO)
    remove_device_info(path, INFO, None)
    assert read_device_info(path) == {}
    assert os.path.exists(path)


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with pytest.raises(InputOutputError):
        write_device_info(str(tmp_path / "plain" / "info.json"), INFO)


# --- the file beside the sockets


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_each_interface_has_an_entry_by_its_name(tmp_path: Path, folder: int) -> None:
    write_interfaces_file(folder, {"net2": {"ifname": "net2"}, "net1": ENTRY})
    written = content(tmp_path / INTERFACES_FILE)
    assert written == {"version": "1.0.0", "interfaces": {"net1": ENTRY, "net2": {"ifname": "net2"}}}
    assert list(written["interfaces"]) == ["net1", "net2"]
    assert read_interfaces_file(folder) == written["interfaces"]


def test_the_documented_file_is_what_is_written(tmp_path: Path, folder: int) -> None:
    example = json.loads(text_of(FORMAT).partition("```json\n")[2].partition("```")[0])
    write_interfaces_file(folder, example["interfaces"])
    assert content(tmp_path / INTERFACES_FILE) == example


@pytest.mark.usefixtures("umask")
def test_the_container_can_read_it_whatever_the_umask(tmp_path: Path, folder: int) -> None:
    write_interfaces_file(folder, {"net1": ENTRY})
    assert mode_of(tmp_path / INTERFACES_FILE) == 0o644


def test_it_goes_with_the_last_interface(tmp_path: Path, folder: int) -> None:
    write_interfaces_file(folder, {"net1": ENTRY})
    write_interfaces_file(folder, {})
    write_interfaces_file(folder, {})
    assert os.listdir(tmp_path) == []
    assert read_interfaces_file(folder) == {}


def test_what_the_container_wrote_into_it_is_forgotten(tmp_path: Path, folder: int) -> None:
    (tmp_path / INTERFACES_FILE).write_text('{"interfaces": {"evil": {}}, "version": "9"}')
    write_interfaces_file(folder, {"net1": ENTRY})
    assert content(tmp_path / INTERFACES_FILE)["interfaces"] == {"net1": ENTRY}


def planted_link(path: str) -> None:
    os.symlink("../victim", path)


def planted_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("precious")
    (tmp_path / "pod").mkdir()
    return path


@pytest.fixture
def pod(victim: Path) -> Iterator[int]:
    fd = os.open(victim.with_name("pod"), os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("plant", [planted_link, os.mkfifo, planted_socket])
@pytest.mark.parametrize("entries", [{"net1": ENTRY}, {}])
def test_what_the_container_planted_goes_and_leads_nowhere(
    victim: Path,
    pod: int,
    plant: Callable[[str], None],
    entries: dict[str, dict[str, object]],
) -> None:
    plant(str(victim.with_name("pod") / INTERFACES_FILE))
    assert read_interfaces_file(pod) == {}
    write_interfaces_file(pod, entries)
    assert victim.read_text() == "precious"
    found = {entry.name: entry.is_file(follow_symlinks=False) for entry in os.scandir(pod)}
    assert found == ({INTERFACES_FILE: True} if entries else {})
    assert read_interfaces_file(pod) == entries


def test_a_planted_directory_is_told_and_nothing_is_left_beside_it(tmp_path: Path, folder: int) -> None:
    (tmp_path / INTERFACES_FILE / "deep").mkdir(parents=True)
    with pytest.raises(ConflictError, match=INTERFACES_FILE):
        write_interfaces_file(folder, {"net1": ENTRY})
    write_interfaces_file(folder, {})
    assert read_interfaces_file(folder) == {}
    assert os.listdir(tmp_path) == [INTERFACES_FILE]


@pytest.mark.parametrize("text", ["", "null", "{}", '{"interfaces": []}', "\xff", "{" * 2_000_000])
def test_a_file_that_the_container_broke_says_nothing(tmp_path: Path, folder: int, text: str) -> None:
    (tmp_path / INTERFACES_FILE).write_text(text, encoding="latin-1")
    assert read_interfaces_file(folder) == {}


def test_a_directory_that_was_removed_is_told(victim: Path, pod: int) -> None:
    victim.with_name("pod").rmdir()
    with pytest.raises(InputOutputError, match="interfaces file"):
        write_interfaces_file(pod, {"net1": ENTRY})
    write_interfaces_file(pod, {})


def test_a_reader_never_sees_half_a_file(tmp_path: Path, folder: int) -> None:
    write_interfaces_file(folder, {"net1": ENTRY})
    with (tmp_path / INTERFACES_FILE).open() as reader:
        write_interfaces_file(folder, {f"net{n}": ENTRY for n in range(1000)})
        assert json.load(reader)["interfaces"] == {"net1": ENTRY}
    assert len(read_interfaces_file(folder)) == 1000

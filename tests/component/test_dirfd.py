"""Directories that a hostile container can write: links, FIFOs, sockets and mounts planted in them."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from cni_userspace.errors import ConflictError, InputOutputError
from cni_userspace.host import dirfd
from cni_userspace.host.dirfd import Access
from tests.support.need import ROOT, need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = "net1"
NOBODY = 65534


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Give a directory of somebody else's with a file in it."""
    place = tmp_path / "victim"
    place.mkdir(mode=0o700)
    (place / "precious").write_text("precious")
    return place


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[dirfd.Directory]:
    """Give an open directory that a container can write."""
    place = tmp_path / "shared"
    place.mkdir()
    with dirfd.open_directory(str(place)) as opened:
        yield opened


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- opening


def test_a_directory_is_opened_by_its_resolved_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with dirfd.open_directory(f"{tmp_path}//link/") as opened:
        assert opened.path == f"{tmp_path}/real"
        assert opened.identity == "{0.st_dev}:{0.st_ino}".format((tmp_path / "real").stat())


def test_what_is_missing_is_made_for_everybody_to_walk_through(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with dirfd.open_directory(f"{tmp_path}/a/b", create=True) as opened:
            assert os.listdir(opened.fd) == []
    finally:
        os.umask(before)
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o755, 0o755)


def test_what_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    dirfd.open_directory(f"{tmp_path}/a/b", create=True).close()
    assert mode(tmp_path / "a") == 0o700


def test_what_is_missing_is_told_where_it_is_not_to_be_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        dirfd.open_directory(f"{tmp_path}/a/b")
    assert os.listdir(tmp_path) == []


def a_file(path: Path) -> None:
    path.write_text("")


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


NO_DIRECTORIES = pytest.mark.parametrize("plant", [a_file, a_fifo, a_loop, a_socket])


@NO_DIRECTORIES
@pytest.mark.parametrize("create", [False, True])
def test_what_is_no_directory_is_told(tmp_path: Path, plant: Callable[[Path], None], create: bool) -> None:  # noqa: FBT001
    plant(tmp_path / "x")
    before = os.listdir("/proc/self/fd")
    for path in (f"{tmp_path}/x", f"{tmp_path}/x/below"):
        with pytest.raises(InputOutputError, match="cannot be opened"):
            dirfd.open_directory(path, create=create)
    assert os.listdir("/proc/self/fd") == before


def test_a_directory_that_others_make_at_the_same_time_is_one(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    found: list[str] = []

    def make() -> None:
        start.wait()
        with dirfd.open_directory(f"{tmp_path}/a/b/c", create=True) as opened:
            found.append(opened.identity)

    makers = [threading.Thread(target=make) for _ in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(found) == 8
    assert len(set(found)) == 1


# --- the container's own directory


def test_a_containers_directory_may_stand_behind_links_of_the_node(tmp_path: Path) -> None:
    (tmp_path / "real" / "c1").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    with dirfd.open_container(f"{tmp_path}/link/c1") as opened:
        assert opened.path == f"{tmp_path}/real/c1"


def test_a_containers_directory_is_no_link_itself(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "c1").symlink_to(victim)
    with pytest.raises(FileNotFoundError):
        dirfd.open_container(f"{tmp_path}/c1")


@NO_DIRECTORIES
def test_something_else_under_the_name_is_no_containers_directory(
    tmp_path: Path,
    plant: Callable[[Path], None],
) -> None:
    plant(tmp_path / "c1")
    with pytest.raises(FileNotFoundError):
        dirfd.open_container(f"{tmp_path}/c1")


def test_a_new_directory_gets_its_owner_and_mode(shared: dirfd.Directory) -> None:
    need(ROOT)
    access = Access(uid=NOBODY, gid=NOBODY, mode=0o2770)
    made, is_new = dirfd.make_directory(shared, "c1", access)
    with made:
        assert is_new
        assert dirfd.access(os.fstat(made.fd)) == [NOBODY, NOBODY, 0o2770]


def test_a_directory_that_is_there_keeps_its_owner_and_mode(shared: dirfd.Directory) -> None:
    os.mkdir("c1", 0o711, dir_fd=shared.fd)
    made, is_new = dirfd.make_directory(shared, "c1", Access(uid=NOBODY, mode=0o777))
    with made:
        assert not is_new
        assert dirfd.access(os.fstat(made.fd)) == [os.geteuid(), os.getegid(), 0o711]


def as_nobody(step: Callable[[], str]) -> str:
    """Return what a step says in a process without root's rights; it inherits open directories."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            os.write(writing, step().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as told:
        words = told.read()
    os.waitpid(pid, 0)
    return words


def test_a_directory_that_cannot_be_given_away_is_told_and_not_left_behind(shared: dirfd.Directory) -> None:
    """As on a file system that squashes root."""
    need(ROOT)
    os.fchmod(shared.fd, 0o777)

    def give_away() -> str:
        try:
            dirfd.make_directory(shared, "c1", Access(uid=0))
        except InputOutputError as error:
            return f"{error.msg}: {error.details}"
        return "made"

    assert "Operation not permitted" in as_nobody(give_away)
    assert os.listdir(shared.fd) == []


@pytest.mark.parametrize("plant", [a_file, a_fifo, a_loop, a_socket])
def test_a_name_that_is_taken_is_a_conflict(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    plant(tmp_path / "c1")
    with dirfd.open_directory(str(tmp_path)) as parent, pytest.raises(ConflictError, match="cannot be used"):
        dirfd.make_directory(parent, "c1", Access())


def test_a_planted_link_does_not_lead_to_a_directory(
    shared: dirfd.Directory,
    victim: Path,
) -> None:
    os.symlink(victim, "c1", dir_fd=shared.fd)
    with pytest.raises(ConflictError):
        dirfd.make_directory(shared, "c1", Access(mode=0o777))
    assert mode(victim) == 0o700


def test_a_directory_that_moves_away_is_still_the_one_that_was_opened(
    tmp_path: Path,
    shared: dirfd.Directory,
    victim: Path,
) -> None:
    """The container swaps its directory for a link while root works in it."""
    (tmp_path / "shared").rename(tmp_path / "moved")
    (tmp_path / "shared").symlink_to(victim)
    (victim / NAME).write_text("precious")
    assert not dirfd.unlink(shared, NAME)
    assert (victim / NAME).exists()


# --- what stands under a name


def test_what_stands_under_a_name(shared: dirfd.Directory, victim: Path) -> None:
    place = f"/proc/self/fd/{shared.fd}"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{place}/socket")
    os.symlink(victim, "link", dir_fd=shared.fd)
    os.mkdir("directory", dir_fd=shared.fd)
    os.mkfifo("fifo", dir_fd=shared.fd)
    names = ("socket", "link", "directory", "fifo", "nothing")
    assert [dirfd.kind(shared, name) for name in names] == ["socket", "link", "directory", "other", ""]


def test_a_link_is_itself_and_not_what_it_leads_to(shared: dirfd.Directory, victim: Path) -> None:
    os.symlink(victim, "link", dir_fd=shared.fd)
    os.symlink("nowhere", "dangling", dir_fd=shared.fd)
    own = os.lstat(f"/proc/self/fd/{shared.fd}/link")
    assert dirfd.identity(shared, "link") == f"{own.st_dev}:{own.st_ino}"
    assert dirfd.kind(shared, "dangling") == "link"
    assert dirfd.identity(shared, "nothing") == ""


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM])
def test_a_bound_socket_has_a_listener_until_it_is_closed(
    shared: dirfd.Directory,
    kind: socket.SocketKind,
) -> None:
    with socket.socket(socket.AF_UNIX, kind) as application:
        application.bind(shared.at(NAME))
        assert dirfd.has_listener(shared, NAME)
        if kind != socket.SOCK_DGRAM:
            application.listen()
            assert dirfd.has_listener(shared, NAME)
    assert not dirfd.has_listener(shared, NAME)


def test_the_question_for_a_listener_reaches_no_application(shared: dirfd.Directory) -> None:
    """A vhost-user server takes its first connection for the switch's."""
    with socket.socket(socket.AF_UNIX) as application:
        application.bind(shared.at(NAME))
        application.listen()
        application.settimeout(0.05)
        dirfd.has_listener(shared, NAME)
        with pytest.raises(TimeoutError):
            application.accept()


def test_removing_a_name_is_repeatable_and_takes_the_link_alone(
    shared: dirfd.Directory, victim: Path
) -> None:
    os.symlink(victim / "precious", NAME, dir_fd=shared.fd)
    assert dirfd.unlink(shared, NAME)
    assert not dirfd.unlink(shared, NAME)
    assert (victim / "precious").exists()


# --- removing a directory


def test_a_directory_goes_with_all_that_was_planted_in_it(shared: dirfd.Directory, victim: Path) -> None:
    os.mkdir("c1", dir_fd=shared.fd)
    with dirfd.open_container(f"{shared.path}/c1") as container:
        os.symlink(victim, "link", dir_fd=container.fd)
        os.mkfifo("fifo", dir_fd=container.fd)
        os.mkdir("deep", 0, dir_fd=container.fd)
        os.symlink(victim / "precious", "deep/link", dir_fd=container.fd)
        with socket.socket(socket.AF_UNIX) as application:
            application.bind(container.at("socket"))
    dirfd.remove_tree(shared, "c1")
    assert os.listdir(shared.fd) == []
    assert (victim / "precious").read_text() == "precious"


def test_a_directory_nested_without_end_goes(shared: dirfd.Directory) -> None:
    """Deeper than Python recurses, than a process has descriptors, than a path can be long."""
    os.mkdir("c1", dir_fd=shared.fd)
    fd = os.open("c1", os.O_RDONLY, dir_fd=shared.fd)
    for _ in range(3000):
        for name in ("d", "e"):
            os.mkdir(name, dir_fd=fd)
        deeper = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    dirfd.remove_tree(shared, "c1")
    assert os.listdir(shared.fd) == []


def test_removing_a_directory_is_repeatable(shared: dirfd.Directory) -> None:
    os.mkdir("c1", dir_fd=shared.fd)
    dirfd.remove_tree(shared, "c1")
    dirfd.remove_tree(shared, "c1")


def test_a_link_in_the_directorys_place_is_not_followed(shared: dirfd.Directory, victim: Path) -> None:
    os.symlink(victim, "c1", dir_fd=shared.fd)
    with pytest.raises(InputOutputError, match="cannot be removed"):
        dirfd.remove_tree(shared, "c1")
    assert (victim / "precious").exists()


@pytest.mark.parametrize("depth", [0, 1])
def test_a_mount_in_it_is_not_emptied(shared: dirfd.Directory, victim: Path, depth: int) -> None:
    need(ROOT)
    below = "/".join(["c1", *["deep"] * depth])
    os.makedirs(f"{shared.path}/{below}/mounted")
    subprocess.run(["mount", "--bind", str(victim), f"{shared.path}/{below}/mounted"], check=True)
    try:
        with pytest.raises(InputOutputError, match="cannot be emptied") as caught:
            dirfd.remove_tree(shared, "c1")
    finally:
        subprocess.run(["umount", f"{shared.path}/{below}/mounted"], check=True)
    assert "mount" in caught.value.hint
    assert (victim / "precious").read_text() == "precious"

"""Records on disk: what is kept is found again, whatever else lies there."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from cni_userspace.attach.store import ADDING, ATTACHED, OWED, Key, Record, Store
from cni_userspace.errors import InputOutputError, TryAgainError
from cni_userspace.host.deadline import Deadline

KEY = Key(network="fast", container_id="c1", ifname="net1")
LONG = "c" * 300


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a store whose directory does not exist yet."""
    return Store(str(tmp_path / "state" / "userspace"))


def record(key: Key = KEY, state: str = ATTACHED) -> Record:
    return Record(
        key=key,
        state=state,
        engine="ovs-dpdk",
        netns="/run/netns/c1",
        netns_id="boot:4:4026532246",
        created=1700000000,
        pod={"namespace": "default"},
        config={"name": "fast", "ipam": {"type": "static"}},
        path=("/opt/cni/bin", "/usr/lib/cni"),
        args={"K8S_POD_NAME": "pod1"},
        ipam_type="static",
        plan={"port": "vhu1", "trunk": [1, 2]},
        result={"cniVersion": "1.1.0"},
        directory="/run/cni-userspace/c1",
        entry={"ifname": "net1"},
        device_info={"file": "/x", "info": {}, "previous": None},
    )


def keep(store: Store, kept: Record) -> None:
    with store.lock(kept.key.container_id, Deadline(1)):
        store.write(kept)


def file_of(store: Store, container: str = "c1") -> Path:
    (path,) = Path(store.path, "attachments", container).glob("*.json")
    return path


def test_a_record_comes_back_as_it_was(store: Store) -> None:
    keep(store, record())
    assert store.read(KEY) == record()
    assert store.of_container("c1") == [record()]
    assert list(store.all()) == [record()]


@pytest.mark.parametrize("container", ["c1", "C.1_a-b", LONG])
@pytest.mark.parametrize("ifname", ["net1", "é@+~", "..."])
@pytest.mark.parametrize("network", ["fast", "a.b-c_d", "n" * 300])
def test_every_identity_has_a_record_of_its_own(
    store: Store, container: str, ifname: str, network: str
) -> None:
    key = Key(network=network, container_id=container, ifname=ifname)
    other = Key(network=f"{network}x", container_id=container, ifname=ifname)
    for one in (key, other):
        keep(store, record(one, OWED))
    assert store.read(key) == record(key, OWED)
    assert {r.key for r in store.owed()} == {key, other}
    store.delete(key)
    assert store.read(key) is None
    assert [r.key for r in store.owed()] == [other]


def test_a_record_replaces_the_older_one(store: Store) -> None:
    keep(store, record(state=ADDING))
    keep(store, record())
    assert [r.state for r in store.of_container("c1")] == [ATTACHED]


def test_of_a_container_are_its_own_by_interface(store: Store) -> None:
    for container, ifname in (("c1", "net2"), ("c1", "net1"), ("c10", "net1"), ("c", "net1")):
        keep(store, record(Key(network="fast", container_id=container, ifname=ifname)))
    assert [r.key.ifname for r in store.of_container("c1")] == ["net1", "net2"]
    assert len(list(store.all())) == 4


def test_nothing_is_found_where_nothing_was_kept(store: Store) -> None:
    assert store.read(KEY) is None
    assert store.of_container("c1") == list(store.all()) == store.owed() == store.unreadable() == []
    assert not store.has_debts()
    assert not Path(store.path).exists()


def test_deleting_is_repeatable(store: Store) -> None:
    store.delete(KEY)
    keep(store, record())
    store.delete(KEY)
    store.delete(KEY)
    assert list(store.all()) == []


def test_a_container_without_records_leaves_no_directory(store: Store) -> None:
    keep(store, record())
    assert os.listdir(f"{store.path}/attachments") == ["c1"]
    with store.lock("c1", Deadline(1)):
        store.delete(KEY)
    assert os.listdir(f"{store.path}/attachments") == []


def test_records_are_roots_alone(store: Store) -> None:
    keep(store, record(state=OWED))
    places = [
        Path(store.path, "attachments"),
        Path(store.path, "attachments", "c1"),
        Path(store.path, "owed"),
    ]
    assert {stat.S_IMODE(p.stat().st_mode) for p in places} == {0o700}
    assert stat.S_IMODE(file_of(store).stat().st_mode) == 0o600


def test_records_are_roots_alone_whatever_the_umask(store: Store) -> None:
    before = os.umask(0)
    try:
        keep(store, record(state=OWED))
    finally:
        os.umask(before)
    test_records_are_roots_alone(store)


# --- debts


def test_what_is_owed_is_known_at_one_look(store: Store) -> None:
    keep(store, record())
    assert not store.has_debts()
    keep(store, record(state=OWED))
    assert store.has_debts()
    assert store.owed() == [record(state=OWED)]


def test_a_debt_ends_with_its_record(store: Store) -> None:
    keep(store, record(state=OWED))
    store.delete(KEY)
    assert not store.has_debts()
    assert store.owed() == []


def test_the_debt_that_was_tried_longest_ago_comes_first(store: Store) -> None:
    keys = [Key(network="fast", container_id=f"c{n}", ifname="net1") for n in range(3)]
    for age, key in enumerate(keys):
        keep(store, record(key, OWED))
        (mark,) = Path(store.path, "owed").glob(f"{key.container_id}+*")
        os.utime(mark, (1000 - age, 1000 - age))
    assert [r.key for r in store.owed()] == keys[::-1]
    keep(store, record(keys[2], OWED))  # tried again
    assert [r.key for r in store.owed()] == [keys[1], keys[0], keys[2]]


def test_a_mark_of_a_debt_without_its_record_is_no_debt(store: Store) -> None:
    keep(store, record(state=OWED))
    file_of(store).unlink()
    assert store.owed() == []


# --- what a crash or a person leaves


@pytest.mark.parametrize(
    "torn", ["", "{", "[]", "null", "{}", '{"key": 1}', '{"key": {"network": "fast"}}', "\udcff"]
)
def test_a_torn_record_counts_as_none_and_is_told(store: Store, torn: str) -> None:
    keep(store, record())
    other = record(KEY.replace(ifname="net2"))
    file_of(store).write_text(torn, errors="surrogateescape")
    keep(store, other)
    assert store.read(KEY) is None
    assert list(store.all()) == [other]
    (path,) = store.unreadable()
    assert "net1@" in path


def test_a_torn_record_can_be_written_over(store: Store) -> None:
    keep(store, record())
    file_of(store).write_text("{")
    keep(store, record())
    assert store.read(KEY) == record()
    assert store.unreadable() == []


def test_half_a_write_leaves_the_older_record(store: Store) -> None:
    keep(store, record())
    Path(f"{file_of(store)}.new").write_text('{"form')
    assert list(store.all()) == [record()]
    with store.lock("c1", Deadline(1)):
        store.delete(KEY)
    assert not Path(store.path, "attachments", "c1").exists()


def test_a_record_of_a_later_version_is_read_as_far_as_it_is_known(store: Store) -> None:
    keep(store, record())
    path = file_of(store)
    path.write_text(json.dumps({**json.loads(path.read_text()), "new": [1]}))
    assert store.read(KEY) == record()


def test_a_record_of_an_earlier_version_may_lack_what_came_later(store: Store) -> None:
    keep(store, record())
    path = file_of(store)
    found = json.loads(path.read_text())
    path.write_text(json.dumps({k: found[k] for k in ("key", "state", "engine")}))
    assert store.read(KEY) == Record(key=KEY, state=ATTACHED, engine="ovs-dpdk")


def test_names_that_are_no_text_come_back(store: Store) -> None:
    odd = record().replace(directory="/run/\udcff")
    keep(store, odd)
    assert store.read(KEY) == odd


def test_stray_files_are_not_looked_at(store: Store) -> None:
    keep(store, record())
    Path(store.path, "attachments", "README").write_text("x")
    Path(store.path, "attachments", "c1", "notes").write_text("x")
    assert list(store.all()) == [record()]
    assert store.unreadable() == []


# --- where nothing can be kept


def test_a_state_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputOutputError, match="state directory cannot be made") as caught:
        Store(str(tmp_path / "file" / "state")).lock("c1", Deadline(1))
    assert "Not a directory" in caught.value.details


def test_a_record_that_cannot_be_written_is_told(store: Store) -> None:
    with pytest.raises(InputOutputError, match="record cannot be written") as caught:
        store.write(record())  # its container's directory is the lock's, and nobody took that
    assert caught.value.code == 5


def test_a_link_in_the_place_of_a_record_is_not_written_through(store: Store, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    keep(store, record())
    path = file_of(store)
    Path(f"{path}.new").symlink_to(victim)
    with pytest.raises(InputOutputError):
        keep(store, record(state=ADDING))
    assert victim.read_text() == "precious"
    assert store.read(KEY) == record()


def test_two_containers_are_worked_on_at_once(store: Store) -> None:
    with store.lock("c1", Deadline(1)), store.lock("c2", Deadline(1)):
        assert sorted(os.listdir(f"{store.path}/attachments")) == ["c1", "c2"]


def test_one_container_is_worked_on_by_one(store: Store) -> None:
    with store.lock("c1", Deadline(1)), pytest.raises(TryAgainError):
        store.lock("c1", Deadline(0.05)).__enter__()

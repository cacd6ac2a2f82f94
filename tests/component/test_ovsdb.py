"""The OVSDB client against the real server, with python-ovs as the witness of what it wrote.

No vhost port is needed for that, so the switch has no DPDK.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import ovs.db.idl  # type: ignore[import-untyped]
import ovs.poller  # type: ignore[import-untyped]
import pytest

from cni_userspace.host.deadline import Deadline
from cni_userspace.host.ovsdb import DatabaseDownError, Ovsdb, TransactionError, as_map, atoms, mapping
from tests.support.switch import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.switch import Switch

SECONDS = 10.0
SOON = 0.3
PROBE_SECONDS = 1.0  # the shortest that ovsdb-server keeps to (lib/reconnect.c)


@pytest.fixture
def database(plain_switch: Switch) -> Iterator[Ovsdb]:
    """Give a connection to a real, empty database."""
    with Ovsdb(plain_switch.remote, Deadline(SECONDS)) as connection:
        yield connection


def bridge(name: str, **external_ids: str) -> list[dict[str, Any]]:
    """Return the operations that make a userspace bridge."""
    port = {"name": name, "interfaces": ["named-uuid", "i"]}
    row = {"name": name, "datapath_type": "netdev", "ports": ["named-uuid", "p"]}
    row["external_ids"] = as_map(external_ids)
    return [
        {"op": "insert", "table": "Interface", "uuid-name": "i", "row": {"name": name, "type": "internal"}},
        {"op": "insert", "table": "Port", "uuid-name": "p", "row": port},
        {"op": "insert", "table": "Bridge", "uuid-name": "b", "row": row},
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "insert", ["set", [["named-uuid", "b"]]]]],
        },
    ]


def select(table: str, name: str, *columns: str) -> dict[str, Any]:
    return {"op": "select", "table": table, "where": [["name", "==", name]], "columns": list(columns)}


def absent(name: str) -> dict[str, Any]:
    named = {"op": "wait", "table": "Bridge", "where": [["name", "==", name]], "columns": ["name"]}
    return {**named, "until": "==", "rows": [], "timeout": 0}


def witness(switch: Switch, table: str, *columns: str) -> list[dict[str, Any]]:
    """Return the rows of a table as python-ovs replicates them."""
    helper = ovs.db.idl.SchemaHelper(location=SCHEMA)
    helper.register_columns(table, list(columns))
    replica = ovs.db.idl.Idl(switch.remote, helper)
    end = time.monotonic() + SECONDS
    try:
        while not replica.has_ever_connected():
            replica.run()
            assert time.monotonic() < end, "python-ovs saw nothing"
            poller = ovs.poller.Poller()
            replica.wait(poller)
            poller.timer_wait(100)
            poller.block()
        return [{c: getattr(row, c) for c in columns} for row in replica.tables[table].rows.values()]
    finally:
        replica.close()


def later(seconds: float, step: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, step)
    timer.start()
    return timer


# --- transactions


def test_what_is_written_is_what_another_client_reads(plain_switch: Switch, database: Ovsdb) -> None:
    database.transact(bridge("br7", owner="cni-userspace", odd='é😀 "quoted" \\ \n'))
    assert witness(plain_switch, "Bridge", "name", "datapath_type", "external_ids") == [
        {
            "name": "br7",
            "datapath_type": "netdev",
            "external_ids": {"owner": "cni-userspace", "odd": 'é😀 "quoted" \\ \n'},
        },
    ]


def test_what_another_client_writes_is_what_is_read(plain_switch: Switch, database: Ovsdb) -> None:
    plain_switch.add_bridge("br7")
    plain_switch.vsctl("set", "Bridge", "br7", "external_ids:a=1", "external_ids:b=é")
    plain_switch.vsctl("set", "Port", "br7", "trunks=1,2")
    found, port, none = database.transact(
        [
            select("Bridge", "br7", "external_ids", "ports", "fail_mode"),
            select("Port", "br7", "trunks", "tag"),
            select("Bridge", "br8", "name"),
        ],
    )
    row = found["rows"][0]
    assert mapping(row["external_ids"]) == {"a": "1", "b": "é"}
    assert len(atoms(row["ports"])) == 1
    assert atoms(row["fail_mode"]) == []
    assert sorted(atoms(port["rows"][0]["trunks"])) == [1, 2]
    assert none["rows"] == []


def test_a_failed_wait_tells_which_and_nothing_is_done(plain_switch: Switch, database: Ovsdb) -> None:
    database.transact(bridge("br7"))
    operations = [absent("br9"), absent("br7"), *bridge("br8")]
    with pytest.raises(TransactionError, match="refused the transaction") as caught:
        database.transact(operations)
    assert caught.value.failed == 1
    assert "timed out" in caught.value.details
    assert {row["name"] for row in witness(plain_switch, "Bridge", "name")} == {"br7"}


def test_what_fails_at_the_commit_is_told(database: Ovsdb) -> None:
    database.transact(bridge("br7"))
    with pytest.raises(TransactionError) as caught:
        database.transact(bridge("br7"))
    assert caught.value.failed == 4  # after the last operation: the whole
    assert "constraint violation" in caught.value.details


@pytest.mark.parametrize(
    "operation",
    [{"op": "select", "table": "Nope", "where": []}, {"op": "nope"}, select("Bridge", "b", "nope")],
)
def test_what_the_database_does_not_know_is_told(database: Ovsdb, operation: dict[str, Any]) -> None:
    with pytest.raises(TransactionError):
        database.transact([operation])


def test_a_connection_serves_on_after_a_refusal(database: Ovsdb) -> None:
    with pytest.raises(TransactionError):
        database.transact([{"op": "nope"}])
    assert database.transact([select("Bridge", "br7", "name")]) == [{"rows": []}]


def test_an_answer_of_many_megabytes_arrives_whole(plain_switch: Switch, database: Ovsdb) -> None:
    big = "x" * 3_000_000
    plain_switch.add_bridge("br7")
    row = {"external_ids": as_map({"big": big})}
    update = {"op": "update", "table": "Bridge", "where": [["name", "==", "br7"]], "row": row}
    database.transact([update])
    (found,) = database.transact([select("Bridge", "br7", "external_ids")])
    assert mapping(found["rows"][0]["external_ids"]) == {"big": big}


# --- the wait for vswitchd


def test_after_the_wait_vswitchd_has_done_it(database: Ovsdb) -> None:
    assert len(database.transact_and_wait(bridge("br7"))) == 4
    (found,) = database.transact([select("Interface", "br7", "ofport")])
    assert found["rows"] == [{"ofport": 65534}]


def test_two_waits_on_one_connection(database: Ovsdb) -> None:
    database.transact_and_wait(bridge("br7"))
    database.transact_and_wait(bridge("br8"))
    (found,) = database.transact([select("Interface", "br8", "ofport")])
    assert found["rows"] == [{"ofport": 65534}]


def test_a_wait_after_a_refused_one_on_the_same_connection(database: Ovsdb) -> None:
    database.transact_and_wait(bridge("br7"))
    with pytest.raises(TransactionError) as caught:
        database.transact_and_wait([absent("br7"), *bridge("br8")])
    assert caught.value.failed == 0
    database.transact_and_wait(bridge("br8"))


def test_a_hung_vswitchd_meets_the_deadline_and_the_rows_stand(plain_switch: Switch) -> None:
    plain_switch.stop_answering()
    try:
        with Ovsdb(plain_switch.remote, Deadline(SOON)) as database, pytest.raises(TimeoutError):
            database.transact_and_wait(bridge("br7"))
    finally:
        plain_switch.resume()
    assert {row["name"] for row in witness(plain_switch, "Bridge", "name")} == {"br7"}


def listen(switch: Switch, remote: str, **columns: str) -> None:
    """Have the real server listen at one more address, with these columns of its Manager row."""
    table = "db:Open_vSwitch,Open_vSwitch,manager_options"
    command = ["ovs-appctl", "-t", "ovsdb-server", "ovsdb-server/add-remote", table]
    subprocess.run(command, env=switch.env, check=True)
    settings = [f"{name}={value}" for name, value in columns.items()]
    create = ["--id=@m", "create", "Manager", f'target="{remote}"', *settings]
    switch.vsctl("--", *create, "--", "set", "Open_vSwitch", ".", "manager_options=@m")


def test_an_idle_client_answers_the_servers_probes(plain_switch: Switch, tmp_path: Path) -> None:
    """ovsdb-server drops a client that is silent for two probe intervals."""
    path = f"{tmp_path}/probed"
    listen(plain_switch, f"punix:{path}", inactivity_probe=f"{PROBE_SECONDS * 1000:.0f}")
    plain_switch.stop_answering()
    resumed = later(4 * PROBE_SECONDS, plain_switch.resume)
    with socket.socket(socket.AF_UNIX) as silent, Ovsdb(f"unix:{path}", Deadline(SECONDS)) as database:
        silent.settimeout(SECONDS)
        silent.connect(path)
        database.transact_and_wait(bridge("br7"))
        resumed.join()
        while silent.recv(4096):
            pass  # the probes, then the end: without answers a connection does not live that long
        (found,) = database.transact([select("Interface", "br7", "ofport")])
    assert found["rows"] == [{"ofport": 65534}]


# --- where the server is, or is not


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_remote_database_by_tcp(plain_switch: Switch, host: str) -> None:
    bound = host if host != "localhost" else "127.0.0.1"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((bound.strip("[]"), 0))
        port = probe.getsockname()[1]
    listen(plain_switch, f"ptcp:{port}:{bound}")
    with Ovsdb(f"tcp:{host}:{port}", Deadline(SECONDS)) as database:
        database.transact_and_wait(bridge("br7"))
    assert [row["name"] for row in witness(plain_switch, "Bridge", "name")] == ["br7"]


def nothing_there(path: Path) -> str:
    return f"unix:{path}/none"


def a_dead_socket(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{path}/dead")
    return f"unix:{path}/dead"


def no_socket(path: Path) -> str:
    (path / "file").write_text("")
    return f"unix:{path}/file"


def too_long(path: Path) -> str:
    return f"unix:{path}/{'l' * 108}"


def closed_port(_: Path) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp:127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("place", [nothing_there, a_dead_socket, no_socket, too_long, closed_port])
def test_where_nobody_answers_the_place_is_told(tmp_path: Path, place: Callable[[Path], str]) -> None:
    remote = place(tmp_path)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(DatabaseDownError, match="does not answer") as caught:
        Ovsdb(remote, Deadline(SECONDS))
    assert remote in caught.value.details
    assert os.listdir("/proc/self/fd") == before


def test_a_server_that_dies_while_we_wait_is_told(plain_switch: Switch) -> None:
    plain_switch.stop_answering()
    killed = later(SOON, plain_switch.kill_ovsdb)
    with Ovsdb(plain_switch.remote, Deadline(SECONDS)) as database, pytest.raises(DatabaseDownError):
        database.transact_and_wait(bridge("br7"))
    killed.join()
    plain_switch.resume()


# --- OVSDB's notation (RFC 7047, 5.1)


def test_a_lone_atom_is_a_set_of_one() -> None:
    assert (atoms(7), atoms(["set", []]), atoms(["set", [1, 2]])) == ([7], [], [1, 2])
    assert atoms(["uuid", "u"]) == [["uuid", "u"]]


def test_maps_go_both_ways() -> None:
    assert mapping(as_map({"a": "1", "b": "2"})) == {"a": "1", "b": "2"}
    assert mapping(["set", []]) == {}

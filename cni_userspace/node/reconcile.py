"""`userspace reconcile`: flows put right, once, or whenever the switch changes.

Owns the watch. Two things tell that flows may be wrong: the database (ports
came, went, or got another number), which python-ovs' replica follows, and the
bridges' management sockets, which end with vswitchd and so tell of its death
at once. While vswitchd is away its sockets are tried every few milliseconds,
because a port with anti-spoofing is open from the moment its bridge is up
until its flows are back; `--fail-closed` shuts that gap
(docs/explanation/fail-closed.md). Changes nothing but flows of our cookies
and, with `--fail-closed`, that one setting.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from cni_userspace.attach.undo import describe
from cni_userspace.cni.forms import plain_remote
from cni_userspace.engines.ovs_dpdk import restore
from cni_userspace.engines.ovs_dpdk.conf import DEFAULT_SOCKET
from cni_userspace.engines.ovs_dpdk.look import rundir_of
from cni_userspace.errors import PluginError, SwitchError
from cni_userspace.host import openflow
from cni_userspace.host.deadline import Deadline

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection

    from cni_userspace.cni.nodefile import NodeFile

SECONDS = 10  # for one restoration
AWAY_SECONDS = 0.005  # between two tries to reach a bridge that should be up
IDLE_SECONDS = 30.0
ALL_UP_SECONDS = 2.0  # in which the bridges of a vswitchd that has started come up
RETRY_SECONDS = 0.1  # after a failure: often vswitchd died, or has not opened the bridge yet
HELLO = bytes((5, 0, 0, 8, 0, 0, 0, 1))  # OpenFlow 1.4's OFPT_HELLO: without it the switch waits for one
FLOW_MARKS = ("cni-anti-spoofing", "cni-segment", "cni-peer-port")
TABLES = {
    "Bridge": ["name", "ports"],
    "Port": ["name", "external_ids", "interfaces"],
    "Interface": ["name", "ofport", "external_ids"],
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--db", metavar="REMOTE", default="", help="the OVSDB server; default: the node's")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--once", action="store_true", help="look once, put right, and end (default)")
    kind.add_argument("--watch", action="store_true", help="go on until SIGTERM")
    parser.add_argument(
        "--fail-closed",
        action="store_true",
        help="with --watch: a vswitchd that starts passes no frame of any bridge before its flows are back "
        "(sets Open_vSwitch other_config:flow-restore-wait)",
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")


def run(options: argparse.Namespace, node: NodeFile) -> int:
    """Reconcile once, or watch; return the exit code."""
    told = options.db or node.defaults.get("socket_file", DEFAULT_SOCKET)
    place = plain_remote(str(told))
    if not rundir_of(place):
        raise SwitchError("flows are restored on the switch's own node only", details=f"database {place}")
    if options.watch:
        return _Watch(place, options.output, fail_closed=options.fail_closed).run()
    _say(restore.restore(place, Deadline(SECONDS)), options.output, quiet=False)
    return 0


def _say(found: list[restore.Restored], output: str, *, quiet: bool) -> None:
    for one in found:
        end = one.end
        words = {
            "container": end.key.container_id,
            "ifname": end.key.ifname,
            "network": end.key.network,
            "bridge": end.bridge,
            "port": end.port,
            "missing": one.missing,
            "foreign": one.foreign,
        }
        line = (
            json.dumps(words)
            if output == "json"
            else f"restored {end.key.container_id}/{end.key.ifname} of {end.key.network}: port {end.port} on "
            f"{end.bridge}, {one.missing} flows were missing, {one.foreign} were others"
        )
        print(line, flush=True)
    if not found and not quiet and output != "json":
        print("all flows are right", flush=True)


class _Watch:
    """The watch of one switch."""

    def __init__(self, place: str, output: str, *, fail_closed: bool) -> None:
        self._place = place
        self._output = output
        self._fail_closed = fail_closed
        self._ended = False
        self._lives: dict[
            str, socket.socket
        ] = {}  # bridge -> its management socket, open as long as it lives
        self._retry = 0.0
        self._unreleased = False  # a vswitchd has started, and may be held
        self._since = 0.0  # when it was seen
        self._holding = False  # the next one will be
        self._said = ""  # the last complaint: a repeated one is not told again
        # a wait goes on after a signal (PEP 475) unless something is readable
        self._signals, told = os.pipe()
        os.set_blocking(told, False)
        signal.set_wakeup_fd(told)

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        replica = _replica(self._place)
        seen = None
        wanted: set[str] = set()
        first = True  # vswitchd may have run for long then, and its flows be right
        while not self._ended:
            replica.run()
            changed = replica.change_seqno != seen
            if changed:
                seen = replica.change_seqno
                wanted = _bridges(replica)
            born = self._born(wanted)
            if born or first:
                self._unreleased, self._since = self._fail_closed, time.monotonic()
            if changed or born or 0 < self._retry <= time.monotonic():
                self._put_right(set() if first else born, wanted)
            first = False
            self._wait(replica, away=bool(wanted - self._lives.keys()))
        return 0

    def _end(self, *_: object) -> None:
        self._ended = True

    def _born(self, wanted: Collection[str]) -> set[str]:
        """Connect to the bridges that are up; return those that were not before."""
        for bridge in self._lives.keys() - set(wanted):
            self._lives.pop(bridge).close()
        born = set()
        for bridge in set(wanted) - self._lives.keys():
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(openflow.management(rundir_of(self._place), bridge))
                connection.sendall(HELLO)
            except OSError:
                connection.close()
                continue
            connection.settimeout(0)
            self._lives[bridge] = connection
            born.add(bridge)
        return born

    def _put_right(self, born: set[str], wanted: Collection[str]) -> None:
        """Restore flows, then let a vswitchd that is held pass frames; what fails is tried again soon."""
        self._retry = 0.0
        try:
            _say(restore.restore(self._place, Deadline(SECONDS), empty=born), self._output, quiet=True)
            self._hold(wanted)
            self._said = ""
        except (PluginError, OSError) as error:
            said = f"not restored, and tried again: {describe(error)}"
            if said != self._said:
                print(said, file=sys.stderr, flush=True)
            self._said = said
            self._retry = time.monotonic() + RETRY_SECONDS

    def _hold(self, wanted: Collection[str]) -> None:
        """With --fail-closed: release this vswitchd when all its bridges are up, and hold the next.

        Where nothing is to be protected the next one is not held: no bridge
        would tell of its start, and it would never be released.
        """
        if not self._fail_closed:
            return
        if self._unreleased:
            late = time.monotonic() > self._since + ALL_UP_SECONDS
            if set(wanted) - self._lives.keys() and not late:
                self._retry = time.monotonic() + AWAY_SECONDS
                return
            restore.release(self._place, Deadline(SECONDS))
            self._unreleased = self._holding = False
        if bool(wanted) != self._holding:
            set_to = restore.hold if wanted else restore.release
            set_to(self._place, Deadline(SECONDS))
            self._holding = bool(wanted)

    def _wait(self, replica: Any, *, away: bool) -> None:  # noqa: ANN401  python-ovs has no types
        """Wait until the database or a bridge has something to say."""
        from ovs.poller import Poller  # type: ignore[import-untyped]

        poller = Poller()
        replica.wait(poller)
        poller.fd_wait(self._signals, select.POLLIN)
        for connection in self._lives.values():
            poller.fd_wait(connection.fileno(), select.POLLIN)
        seconds = AWAY_SECONDS if away else IDLE_SECONDS
        if self._retry:
            seconds = min(seconds, max(0.0, self._retry - time.monotonic()))
        poller.timer_wait(int(seconds * 1000))
        poller.block()
        for bridge, connection in list(self._lives.items()):
            if not _lives(connection):
                self._lives.pop(bridge).close()


def _lives(connection: socket.socket) -> bool:
    """Read away what the bridge says; tell whether it is still there."""
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _replica(place: str) -> Any:  # noqa: ANN401  python-ovs has no types
    """Return a replica of what the watch needs of the database."""
    from ovs import jsonrpc, stream  # type: ignore[import-untyped]
    from ovs.db import idl  # type: ignore[import-untyped]

    error, opened = stream.Stream.open_block(stream.Stream.open(place))
    if error:
        raise SwitchError("the OVS database does not answer", details=place, hint="is ovsdb-server running?")
    connection = jsonrpc.Connection(opened)
    error, reply = connection.transact_block(jsonrpc.Message.create_request("get_schema", ["Open_vSwitch"]))
    connection.close()
    if error or reply.error:
        raise SwitchError("the OVS database does not tell its schema", details=place)
    helper = idl.SchemaHelper(schema_json=reply.result)
    for table, columns in TABLES.items():
        helper.register_columns(table, columns)
    return idl.Idl(place, helper)


def _bridges(replica: Any) -> set[str]:  # noqa: ANN401  python-ovs has no types
    """Return the bridges with attachments that have flows, as the replica knows them."""
    tables = replica.tables
    found = set()
    for bridge in tables["Bridge"].rows.values():
        for port in bridge.ports:
            told = port.external_ids
            if told.get("owner") == "cni-userspace" and any(key in told for key in FLOW_MARKS):
                found.add(bridge.name)
    return found

"""`python -m tests.support.demo`: what this project does, shown on the real thing.

Owns one walk: a private OVS-DPDK, two containers attached by the plugin under
the real cnitool, packets between two testpmd, CHECK, DEL, and the proof that
nothing is left. Must leave the machine as it was, also when it is interrupted.
Needs root and hugepages; ./dev demo brings the rest.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from tests.support import gotools, show
from tests.support.child import RigError
from tests.support.cnitool import CnitoolError
from tests.support.demoruntime import Direct, UnderCnitool
from tests.support.netns import FOLDER, Netns
from tests.support.plugin import Plugin
from tests.support.switch import Switch
from tests.support.testpmd import Testpmd, Vhost

if TYPE_CHECKING:
    from types import FrameType

    from tests.support.demoruntime import Runtime

PACKETS = 100_000
SECONDS = 60.0
BRIDGE = "br0"
IFNAME = "net1"
SUBNET = "10.56.0.0/24"


class StoppedError(BaseException):
    """Somebody ended the demo; `number` is the signal."""

    def __init__(self, number: int) -> None:
        """Keep the signal."""
        super().__init__(number)
        self.number = number


class Demo:
    """One run; `walk` shows everything, `leave` takes everything away."""

    def __init__(self) -> None:
        """Make nothing yet."""
        self.stack = ExitStack()
        self.switch = Switch()
        self.containers: dict[str, Netns] = {}
        self.results: dict[str, dict[str, Any]] = {}
        self.apps: dict[str, Testpmd] = {}
        self.attached: dict[str, str] = {}
        self.pids: list[int] = []
        self.directories: list[str] = []
        self.plugin: Plugin
        self.runtime: Runtime

    def walk(self) -> None:
        """Show every step. Raises what any of them raises."""
        self.start_switch()
        self.make_containers()
        self.attach()
        self.show_switch()
        self.send()
        self.check()
        self.detach()
        self.prove_detached()

    # --- the steps ----------------------------------------------------------

    def start_switch(self) -> None:
        """Start the private OVS-DPDK."""
        show.heading("1. A private OVS-DPDK, in a directory and a network namespace of its own")
        self.stack.enter_context(self.switch)
        self.directories.append(self.switch.directory)
        self.pids.append(self.switch.vswitchd_pid)
        about = self.switch.rows("Open_vSwitch")[0]
        show.fact("database", self.switch.remote)
        show.fact("DPDK", f"{about['dpdk_version']}, initialised: {about['dpdk_initialized']}")
        self.switch.add_bridge(BRIDGE)
        show.fact("bridge", f"{BRIDGE} (datapath_type netdev)")

    def make_containers(self) -> None:
        """Make two namespaces, and the node that the plugin runs on."""
        show.heading("2. Two containers, as far as a CNI plugin is concerned: network namespaces")
        for name in ("a", "b"):
            self.containers[name] = self.stack.enter_context(Netns(f"demo-{name}"))
            show.fact(f"container {name}", self.containers[name].path)
        self.plugin = self.stack.enter_context(Plugin(self.switch))
        self.directories.append(self.plugin.directory)
        self.runtime = self._find_runtime()
        self.stack.callback(self._detach_all)

    def attach(self) -> None:
        """ADD both."""
        show.heading(f"3. CNI ADD: {self.runtime.name} calls the plugin `userspace`")
        show.document("stdin         ", self.runtime.conf)
        for name, netns in self.containers.items():
            show.say()
            self.attached[name] = netns.path  # before the call: one that is interrupted counts
            self.results[name] = self.runtime.add(netns.path)
            for variable, value in self.runtime.request().items():
                show.fact("call" if variable == "CNI_COMMAND" else "", f"{variable}={value}")
            show.document("result        ", self.results[name])

    def show_switch(self) -> None:
        """Show the ports that came of it."""
        show.heading("4. What the switch has now")
        rows = []
        for name in self.containers:
            row = self.switch.row("Interface", self._port(name))
            rows.append((name, row["name"], row["type"], row["ofport"], row["external_ids"]["attached-mac"]))
        show.table(("container", "port", "type", "ofport", "MAC"), rows)

    def send(self) -> None:
        """Start the applications, count packets on the whole way."""
        show.heading("5. Packets: testpmd in container a sends, testpmd in container b receives")
        for name, mode in (("b", "rxonly"), ("a", "txonly")):
            self.apps[name] = self.stack.enter_context(self._testpmd(name, mode))
            self.pids.append(self.apps[name].pid)
            show.fact(f"container {name}", f"testpmd {mode} on {self._interface(name)['socketPath']}")
        self.apps["b"].await_received(PACKETS, SECONDS)
        for name in ("a", "b"):
            self.apps[name].stop_forwarding()
        show.say()
        show.table(("packets", "received", "sent", "dropped"), self._counts())
        show.say(f"{show.INDENT}(a switch with one core and two applications that share the other must drop)")

    def check(self) -> None:
        """CHECK both."""
        show.heading("6. CNI CHECK: is everything still as ADD made it?")
        for name, netns in self.containers.items():
            self.runtime.check(netns.path)
            show.good(f"container {name}: {self.runtime.line()}")

    def detach(self) -> None:
        """DEL both."""
        show.heading("7. CNI DEL")
        for app in self.apps.values():
            app.stop()
        for name, path in list(self.attached.items()):
            self.runtime.delete(path)
            del self.attached[name]
            show.good(f"container {name}: {self.runtime.line()}")

    def prove_detached(self) -> None:
        """Look at everything that ADD made. Raises SystemExit when something is left."""
        show.heading("8. What the plugin left behind")
        found = {
            "ports in the switch": sorted(self.switch.ports()),
            "marks in the switch's database": self._marks(),
            "records, sockets, directories, links": self._plugin_files(),
            "results in the runtime's cache": self.runtime.cached(),
        }
        _report(found)

    # --- the end ------------------------------------------------------------

    def leave(self) -> None:
        """Take everything away, and prove it. Raises SystemExit when something is left."""
        try:
            self.stack.close()
        finally:
            self.report_left()

    def report_left(self) -> None:
        """Show what of the demo's own is still there. Raises SystemExit when something is."""
        show.heading("9. What the demo left behind")
        made = {netns.name for netns in self.containers.values()}
        spaces = os.listdir(FOLDER) if os.path.isdir(FOLDER) else []
        _report(
            {
                "processes": [pid for pid in self.pids if os.path.exists(f"/proc/{pid}")],
                "network namespaces": sorted(made.intersection(spaces)),
                "directories": [d for d in self.directories if os.path.exists(d)],
            }
        )

    # --- inside -------------------------------------------------------------

    def _find_runtime(self) -> Runtime:
        ipam = {
            "type": "host-local",
            "ranges": [[{"subnet": SUBNET}]],
            "dataDir": f"{self.plugin.directory}/ipam",
        }
        conf = self.plugin.conf(name="demo", bridge=BRIDGE, ipam=ipam)
        try:
            return UnderCnitool(self.plugin, conf, IFNAME)
        except gotools.GoToolsMissingError as error:
            show.say(f"{show.INDENT}cnitool is not here ({error}): the demo calls the plugin itself.")
            return Direct(self.plugin, conf, IFNAME)

    def _detach_all(self) -> None:
        """DEL whatever an interrupted walk left attached; DEL of nothing succeeds."""
        for app in self.apps.values():
            app.stop()
        for name, path in self.attached.items():
            try:
                self.runtime.delete(path)
            except (CnitoolError, AssertionError) as error:
                show.bad(f"DEL of container {name}: {error}")
            else:
                show.good(f"container {name}: {self.runtime.line()}")

    def _testpmd(self, name: str, mode: str) -> Testpmd:
        mine, other = self._interface(name), self._interface("b" if name == "a" else "a")
        socket = Vhost(path=mine["socketPath"], server=True, mac=mine["mac"])
        log = os.path.join(self.plugin.directory, f"testpmd-{name}.log")
        return Testpmd([socket], mode, log, peer=other["mac"], netns=self.containers[name])

    def _interface(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(i for i in self.results[name]["interfaces"] if i.get("sandbox"))
        return found

    def _port(self, name: str) -> str:
        """Return the port of a container: the one with its socket."""
        path = self._interface(name)["socketPath"]
        rows = self.switch.rows("Interface")
        found: str = next(r["name"] for r in rows if r["options"].get("vhost-server-path") == path)
        return found

    def _counts(self) -> list[tuple[object, ...]]:
        ports = {name: self.switch.counters(self._port(name)) for name in ("a", "b")}
        stats = {name: self.apps[name].stats() for name in ("a", "b")}
        return [
            ("testpmd in container a", stats["a"].received, stats["a"].sent, ""),
            *(
                (f"switch, port of container {name}", p.received, p.sent, p.dropped)
                for name, p in ports.items()
            ),
            ("testpmd in container b", stats["b"].received, stats["b"].sent, ""),
        ]

    def _marks(self) -> list[str]:
        tables = ("Port", "Interface", "Bridge")
        return [row["name"] for table in tables for row in self.switch.rows(table) if row["external_ids"]]

    def _plugin_files(self) -> list[str]:
        folders = os.listdir(self.plugin.shared)
        return [*self.plugin.files(), *(os.path.join("s", f) for f in folders)]


def _report(found: dict[str, list[Any]]) -> None:
    for what, left in found.items():
        if left:
            show.bad(f"{what}: {left}")
        else:
            show.good(f"{what}: none")
    if any(found.values()):
        raise SystemExit(1)


def _interrupt(number: int, _: FrameType | None) -> None:
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # once is enough: the end must not be interrupted
    raise StoppedError(number)


def main() -> int:
    """Run the demo; 0 when all of it went well and nothing is left, 128 + signal when interrupted."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, _interrupt)
    demo = Demo()
    try:
        demo.walk()
    except StoppedError as end:
        show.say(f"\n{signal.Signals(end.number).name}: taking everything away")
        return 128 + end.number
    except (RigError, CnitoolError, AssertionError) as error:
        show.say()
        show.bad(str(error))
        return 1
    finally:
        demo.leave()
    show.say()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a bridge does with a frame and which flows it has, asked of the switch itself.

Owns the Open vSwitch programs' words about flows. `fate` asks ofproto/trace:
the switch's own judgement on a frame that is not sent.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.switch import Switch

BROADCAST = "ff:ff:ff:ff:ff:ff"


def flows(switch: Switch, bridge: str = "br0") -> list[str]:
    """Return the flows of a bridge with their cookies, without counters and names."""
    told = _run(switch, "ovs-ofctl", "--no-stats", "--no-names", "dump-flows", bridge)
    return sorted(line.strip() for line in told.splitlines())


def ours(switch: Switch, bridge: str = "br0") -> list[str]:
    """Return the flows that have a cookie."""
    return [flow for flow in flows(switch, bridge) if flow.startswith("cookie=")]


def change(switch: Switch, *arguments: str) -> None:
    """Run ovs-ofctl as an administrator does."""
    _run(switch, "ovs-ofctl", *arguments)


def ofport(switch: Switch, port: str) -> int:
    """Return a port's OpenFlow number."""
    return int(switch.row("Interface", port)["ofport"])


def fate(switch: Switch, port: str, frame: str, bridge: str = "br0") -> str:
    """Return the datapath's actions for a frame that came in at a port: "drop", or its port numbers."""
    number = "LOCAL" if port == bridge else str(ofport(switch, port))
    told = _run(switch, "ovs-appctl", "ofproto/trace", bridge, f"in_port={number},{frame}")
    return told.rpartition("Datapath actions:")[2].strip()


def number(switch: Switch, port: str) -> str:
    """Return a port's number in the datapath, as `fate` shows it."""
    told = _run(switch, "ovs-appctl", "dpif/show")
    words = next(line.split() for line in told.splitlines() if line.split()[:1] == [port])
    return words[1].partition("/")[2].rstrip(":")


def _run(switch: Switch, *command: str) -> str:
    done = subprocess.run(command, env=switch.env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout

"""`python -m tests.bench`: the benchmark, on a private OVS-DPDK. Needs root and hugepages.

What takes longest comes last, and each part can be had alone (--only).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from tests.bench import cases, contestants, crowd, memory, phases, picture, report, rounds, tables
from tests.bench.timing import FailedError
from tests.support.child import RigError
from tests.support.hugepages import NoHugepagesError
from tests.support.installed import installed
from tests.support.netns import Netns
from tests.support.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.contestants import Contestant

SIZES = (1, 100, 1000)
ROUNDS = 30
PARTS = ("starts", "crowds", "memory", "phases", "rounds")
STARTS_MOST = 1.5
SYSTEM = "/usr/local/bin:/usr/bin:/bin"


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 where a promise is broken with --check, 2 where nothing can be measured."""
    options = _options(arguments)
    try:
        found = _measure(options)
    except (RigError, FailedError, NoHugepagesError, OSError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    if options.output == "json":
        sys.stdout.write(json.dumps(report.summary(found), indent=1) + "\n")
    else:
        sys.stdout.write(tables.table(found) + "\n")
    if found.phases and options.picture:
        os.makedirs(os.path.dirname(os.path.abspath(options.picture)), exist_ok=True)
        with open(options.picture, "w", encoding="utf-8") as file:
            file.write(picture.render(found.phases))
        sys.stderr.write(f"where the time of an ADD goes: {options.picture}\n")
    missed = [target for target in report.targets(found) if not target.holds]
    return 1 if options.check and missed else 0


def _measure(options: argparse.Namespace) -> report.Findings:
    with (
        tempfile.TemporaryDirectory(prefix="us-bench-") as scratch,
        Switch() as switch,
        Netns("usb") as netns,
    ):
        switch.add_bridge(contestants.BRIDGE)
        who = _contestants(options, scratch, switch, netns)
        plugins = [one for one in who if isinstance(one, contestants.Cni)]
        parts: dict[str, Any] = {
            "starts": lambda: ("pairs", cases.measure(_starts(plugins, options.cases), options.rounds)),
            "crowds": lambda: ("crowds", crowd.measure(switch, who)),
            "memory": lambda: ("memory", memory.measure(switch, who)),
            "phases": lambda: ("phases", phases.measure(switch, who)),
            "rounds": lambda: ("samples", rounds.measure(switch, who, options.ports, options.rounds)),
        }
        return report.Findings(**dict(parts[part]() for part in PARTS if part in options.only))


def _contestants(
    options: argparse.Namespace,
    scratch: str,
    switch: Switch,
    netns: Netns,
) -> list[Contestant]:
    conf = contestants.our_conf(switch)
    command = [options.python or installed(scratch), "-I", "-m", "cni_userspace"]
    found: list[Contestant] = [
        contestants.Vsctl(switch),
        contestants.Cni(contestants.PLUGIN, command, conf, switch, netns),
    ]
    if os.path.exists(options.executable):
        built = [os.path.abspath(options.executable)]
        found.append(contestants.Cni(contestants.BUILT, built, conf, switch, netns))
    if options.peer:
        theirs = contestants.peer_conf(options.conf, switch) if options.conf else conf
        peer = [os.path.abspath(options.peer)]
        found.append(contestants.Cni(os.path.basename(options.peer), peer, theirs, switch, netns))
    return found


def _starts(plugins: Sequence[contestants.Cni], more: str) -> list[cases.Case]:
    """Return the starts that are compared, and the cases of a file."""
    python = shutil.which("python3", path=SYSTEM) or os.path.realpath(sys.executable)  # pyenv's is a script
    bare = cases.Command(name="python3 -I -S -c pass", argv=[python, "-I", "-S", "-c", "pass"])
    version = [
        cases.Case(name=f"VERSION of {plugin.name}", ours=plugin.version(), theirs=bare, most=STARTS_MOST)
        for plugin in plugins
        if plugin.name == contestants.BUILT
    ]
    return [*version, *(cases.read(more) if more else [])]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--ports", type=int, nargs="+", default=SIZES, help="existing ports (1 100 1000)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="pairs of ADD and DEL at each (30)")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="parts of the benchmark (all)"
    )
    parser.add_argument("--python", default="", help="an interpreter that has the package installed")
    parser.add_argument("--executable", default=contestants.BUILT, help="the built executable")
    parser.add_argument("--peer", default="", help="another CNI executable to measure beside it")
    parser.add_argument("--conf", default="", help="the peer's netconf; $DB, $DIR, $BRIDGE are filled in")
    parser.add_argument(
        "--cases", default="", help="a JSON file of more pairs of commands (tests/bench/cases.py)"
    )
    parser.add_argument(
        "--picture", default=os.path.join("dist", "bench.svg"), help="where the time goes (SVG)"
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--check", action="store_true", help="exit 1 where a promise is broken")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

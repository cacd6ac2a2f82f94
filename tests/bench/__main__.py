"""`python -m tests.bench`: the benchmark, on a private OVS-DPDK. Needs root and hugepages."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from tests.bench import contestants, report, rounds
from tests.support.child import RigError
from tests.support.hugepages import NoHugepagesError
from tests.support.installed import installed
from tests.support.netns import Netns
from tests.support.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.contestants import Contestant
    from tests.bench.rounds import Samples

SIZES = (1, 100, 1000)
ROUNDS = 30
BUILT = os.path.join("dist", "userspace", "userspace")


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 where a target is missed with --check, 2 where nothing can be measured."""
    options = _options(arguments)
    try:
        found = _measure(options)
    except (RigError, NoHugepagesError, OSError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    if options.output == "json":
        sys.stdout.write(json.dumps(report.summary(found), indent=1) + "\n")
    else:
        sys.stdout.write(report.table(found) + "\n")
    missed = [target for target in report.targets(found) if not target.holds]
    return 1 if options.check and missed else 0


def _measure(options: argparse.Namespace) -> list[Samples]:
    with (
        tempfile.TemporaryDirectory(prefix="us-bench-") as scratch,
        Switch() as switch,
        Netns("usb") as netns,
    ):
        who = _contestants(options, scratch, switch, netns)
        return rounds.measure(switch, who, options.ports, options.rounds)


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
    if os.path.exists(BUILT):
        found.append(contestants.Cni(BUILT, [os.path.abspath(BUILT)], conf, switch, netns))
    if options.peer:
        theirs = contestants.peer_conf(options.conf, switch) if options.conf else conf
        found.append(
            contestants.Cni(
                os.path.basename(options.peer), [os.path.abspath(options.peer)], theirs, switch, netns
            )
        )
    return found


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--ports", type=int, nargs="+", default=SIZES, help="existing ports (1 100 1000)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="pairs of ADD and DEL at each (30)")
    parser.add_argument("--python", default="", help="an interpreter that has the package installed")
    parser.add_argument("--peer", default="", help="another CNI executable to measure beside it")
    parser.add_argument("--conf", default="", help="the peer's netconf; $DB, $DIR, $BRIDGE are filled in")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--check", action="store_true", help="exit 1 where a target is missed")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

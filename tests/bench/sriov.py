"""`python -m tests.bench.sriov`: ADD of a VF and of a PF against the reference plugin host-device.

Both move a network device into a namespace and rename it there; ours keeps an
allocation and a record besides, and looks whether the node needs the device.
Runs in the guest with emulated SR-IOV, which it starts. There a processor is
emulated, so that milliseconds mean little and ratios something.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from tests.bench import cases, contestants, report, tables
from tests.bench.cases import Case, Command
from tests.bench.timing import FailedError
from tests.support import gotools, guest
from tests.support.guest import initramfs, run
from tests.support.guest.nic import Pf
from tests.support.netns import Netns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.guest.nic import Device

ROUNDS = 15
SECONDS = 600.0
MOST = 1.5
VFS = 2
DEBIAN_PLUGINS = "/usr/lib/cni"


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 where a promise is broken with --check, 2 where nothing can be measured."""
    options = _options(arguments)
    try:
        if not guest.inside():
            command = (sys.executable, "-m", "tests.bench.sriov", *arguments)
            return run.run(command, SECONDS, {})
        found = _measure(options)
    except (run.GuestError, initramfs.NoKernelError, FailedError, OSError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2
    sys.stdout.write("\n".join(tables.pairs(found)) + "\n")
    missed = [one.name for one in found if report.ratio(one.ours_ms, one.theirs_ms) > one.most]
    return 1 if options.check and missed else 0


def _measure(options: argparse.Namespace) -> list[cases.Paired]:
    first, second = Pf(guest.FIRST_PF), Pf(guest.SECOND_PF)
    (vf, *_) = first.set_vfs(VFS)
    with Netns("usb") as netns, tempfile.TemporaryDirectory() as state:
        node_file = os.path.join(state, "node.conf")
        with open(node_file, "w", encoding="ascii") as file:
            json.dump({"stateDir": f"{state}/state"}, file)
        env = {"USERSPACE_CNI_CONF": node_file, "PATH": os.environ["PATH"]}
        ours = (os.path.abspath(options.executable), {**env, **_cni(netns)})
        theirs = (_reference(), {**env, **_cni(netns)})
        compared = [
            _case("a VF", vf, {"deviceID": vf.address}, ours, theirs),
            _case("a PF", second, {"master": second.address, "pfOnly": True}, ours, theirs),
        ]
        return cases.measure(compared, options.rounds)


def _case(
    what: str,
    device: Device,
    keys: Mapping[str, object],
    ours: tuple[str, dict[str, str]],
    theirs: tuple[str, dict[str, str]],
) -> Case:
    conf = {"cniVersion": "1.0.0", "name": "bench"}
    return Case(
        name=f"ADD of {what}",
        ours=_command("userspace", ours, {**conf, "type": "userspace", **keys}),
        theirs=_command("host-device", theirs, {**conf, "type": "host-device", "pciBusID": device.address}),
        most=MOST,
    )


def _command(name: str, program: tuple[str, dict[str, str]], conf: Mapping[str, object]) -> Command:
    path, env = program
    stdin = json.dumps(conf)
    back = Command(name=name, argv=[path], env={**env, "CNI_COMMAND": "DEL"}, stdin=stdin)
    return Command(name=name, argv=[path], env={**env, "CNI_COMMAND": "ADD"}, stdin=stdin, after=back)


def _cni(netns: Netns) -> dict[str, str]:
    return {
        "CNI_CONTAINERID": "bench",
        "CNI_NETNS": netns.path,
        "CNI_IFNAME": "net1",
        "CNI_PATH": DEBIAN_PLUGINS,
    }


def _reference() -> str:
    pinned = os.path.join(gotools.directory(), "host-device")
    return pinned if os.path.exists(pinned) else os.path.join(DEBIAN_PLUGINS, "host-device")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sriov", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"pairs of ADD ({ROUNDS})")
    parser.add_argument("--executable", default=contestants.BUILT, help="the built executable")
    parser.add_argument("--check", action="store_true", help="exit 1 where a promise is broken")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

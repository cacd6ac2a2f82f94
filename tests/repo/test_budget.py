"""What an ADD and a DEL may import: a start of the interpreter is paid at every call of a runtime.

The real calls are made, on the real switch, and the interpreter itself lists
what it loads. Counted, not timed: a count says the same on every machine.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.installed import installed
from tests.support.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

# without -m: runpy itself imports contextlib, functools and collections, and would hide that we do
START = "import os; from cni_userspace.__main__ import main; main()"
BARE = "import os"
FORBIDDEN = {
    *("argparse", "asyncio", "collections", "contextlib", "copy", "ctypes", "dataclasses", "datetime"),
    *("enum", "fnmatch", "functools", "glob", "hashlib", "importlib", "inspect", "ipaddress", "json"),
    *("locale", "logging", "operator", "pathlib", "platform", "random", "re", "selectors", "shlex"),
    *("shutil", "signal", "socket", "string", "struct", "subprocess", "tempfile", "textwrap", "threading"),
    *("traceback", "types", "typing", "urllib", "uuid", "warnings", "weakref", "zipfile"),
}
OURS = {"ADD": 44, "DEL": 40}  # modules of the package: 43 and 39 when this was written
OTHERS = {"ADD": 9, "DEL": 8}  # modules that a bare interpreter has not loaded: 8 and 7
PREFIX = "import time:"
FROZEN = "tools/freeze/at_start.txt"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give an interpreter that has the package installed, and nothing else."""
    return installed(str(tmp_path_factory.mktemp("installed")))


@pytest.fixture
def loaded(
    python: str,
    plugin: Plugin,
    switch: Switch,
    netns: Netns,
    tmp_path: Path,
) -> dict[str, set[str]]:
    """Give what a successful ADD and DEL without IPAM load beyond a bare interpreter."""
    switch.add_bridge("br0")
    conf = tmp_path / "conf.json"
    keys = {"bridge": "br0", "vlan": 7, "mtu": 9000, "mac": "02:00:00:00:00:01"}
    network = {"cniVersion": "1.1.0", "name": "fast", "type": "userspace", "socket_file": switch.remote}
    conf.write_text(json.dumps({**network, **keys}))
    call = {
        "CNI_CONTAINERID": "budget",
        "CNI_NETNS": netns.path,
        "CNI_IFNAME": "net1",
        "CNI_PATH": plugin.cni_path,
        "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod1",
    }
    bare = modules(python, BARE, {}, os.devnull)
    verbs = {
        verb: modules(python, START, {**plugin.env, **call, "CNI_COMMAND": verb}, str(conf))
        for verb in ("ADD", "DEL")
    }
    return {verb: found - bare for verb, found in verbs.items()}


def modules(python: str, code: str, env: Mapping[str, str], stdin: str) -> set[str]:
    """Run a successful call; return every module that was imported in it."""
    with open(stdin, encoding="utf-8") as given:
        done = subprocess.run(
            [python, "-I", "-X", "importtime", "-c", code],
            stdin=given,
            env=env,
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(PREFIX)]
    return {line.rpartition("|")[2].strip() for line in lines[1:]}


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.partition(".")[0] == "cni_userspace"}


def test_add_and_del_import_nothing_that_is_forbidden(loaded: dict[str, set[str]]) -> None:
    found = {verb: {n for n in names if n.partition(".")[0] in FORBIDDEN} for verb, names in loaded.items()}
    assert found == {"ADD": set(), "DEL": set()}


def test_add_and_del_stay_within_their_number_of_modules(loaded: dict[str, set[str]]) -> None:
    own = {verb: len(ours(names)) for verb, names in loaded.items()}
    others = {verb: len(names - ours(names)) for verb, names in loaded.items()}
    shown = "\n".join(sorted(loaded["ADD"] | loaded["DEL"]))
    assert all(own[verb] <= OURS[verb] for verb in OURS), f"{own}\n{shown}"
    assert all(others[verb] <= OTHERS[verb] for verb in OTHERS), f"{others}\n{shown}"


def test_what_add_and_del_load_is_what_the_executable_has_ready(loaded: dict[str, set[str]]) -> None:
    """A module that is missing there costs time at every ADD; one too many costs it, too."""
    listed = {line for line in (ROOT / FROZEN).read_text().splitlines() if not line.startswith("#")}
    assert listed == ours(loaded["ADD"] | loaded["DEL"])


def test_add_and_del_load_no_package_that_pip_brings(loaded: dict[str, set[str]]) -> None:
    brought = {"jsonschema", "ovs", "pyroute2", "yaml"}
    assert not {name.partition(".")[0] for names in loaded.values() for name in names} & brought

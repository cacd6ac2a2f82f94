"""The built executable on a system as old as promised: a root of Debian 11, glibc 2.31.

Only glibc and the shell's world are that system's: what the build brought into the
root (CPython, compilers' libraries, OpenSSL) is hidden. The switch is the host's.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import built

if TYPE_CHECKING:
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.built
HIDDEN = ("/usr/local", "/usr/src", "/venv")
SHARED = ("/dev", "/proc", "/run", "/sys", "/tmp")  # noqa: S108  where the rig's sockets are
# Of the libraries that the build needs, none is there: what the executable needs is its own.
AWAY = ("libcrypto.so*", "libexpat.so*", "libffi.so*", "libpython*", "libssl.so*", "libz.so*")
ENTER = """
root=$1 folder=$2 shared=$3 hidden=$4 away=$5 shadow=$6; shift 6
mount -t tmpfs root "$shadow"
mkdir "$shadow/root" "$shadow/upper" "$shadow/work"
mount -t overlay -o "lowerdir=$root,upperdir=$shadow/upper,workdir=$shadow/work" root "$shadow/root"
cd "$shadow/root"
for place in $hidden; do rm -rf ".$place"; done
for name in $away; do find . -xdev -name "$name" -delete; done
for place in $shared; do mount --rbind "$place" ".$place"; done
mkdir -p opt/userspace
mount --bind "$folder" opt/userspace
exec chroot . /opt/userspace/userspace "$@"
"""


@pytest.fixture
def old(plugin: Plugin, tmp_path: Path) -> Plugin:
    """Give the plugin as an executable that enters the old root first."""
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    enter = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", ENTER, "sh"]
    words = [
        str(built.root()),
        str(built.FOLDER),
        " ".join(SHARED),
        " ".join(HIDDEN),
        " ".join(AWAY),
        str(shadow),
    ]
    os.unlink(plugin.executable)
    with open(plugin.executable, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {shlex.join([*enter, *words])} "$@"\n')
    os.chmod(plugin.executable, 0o755)  # noqa: S103  an executable
    return plugin


def test_add_check_and_del_work_on_debian_11(old: Plugin, switch: Switch, netns: Netns) -> None:
    switch.add_bridge("br0")
    conf = old.conf(socket_file=switch.remote, mtu=9000, vlan=7)
    result = old.add(conf, "c1", netns.path).succeeded()
    assert switch.ports("br0") == {result["interfaces"][0]["name"]}
    old.check({**conf, "prevResult": result}, "c1", netns.path).succeeded()
    old.delete(conf, "c1", netns.path).succeeded()
    assert switch.ports("br0") == set()
    assert old.files() == []


def test_the_commands_for_people_work_on_debian_11(old: Plugin) -> None:
    conf = Path(old.directory, "net.json")
    conf.write_text(json.dumps(old.conf()), encoding="utf-8")
    assert ": fast: valid" in old.operator("validate", str(conf)).stdout
    assert old.operator("--version").stdout.startswith("userspace ")
    assert old.operator("schema").answer["$schema"]
    assert "nothing is left over" in old.operator("gc").stdout


def test_it_starts_in_a_locale_whose_codec_it_has_not(old: Plugin, tmp_path: Path) -> None:
    """A node's runtime has the locale of its /etc/locale.conf."""
    name = "zh_CN.GB18030"
    made = f"/tmp/{tmp_path.name}"  # noqa: S108  in the build root
    script = f"mkdir -p {made}; localedef --inputfile=zh_CN --charmap=GB18030 {made}/{name}"
    subprocess.run(["chroot", built.root(), "sh", "-ec", script], check=True)
    shutil.move(f"{built.root()}{made}", tmp_path / "locales")
    locale = {"LOCPATH": str(tmp_path / "locales"), "LC_ALL": name}
    asked = old.run({"CNI_COMMAND": "VERSION", **locale}, "")
    assert "1.1.0" in asked.succeeded()["supportedVersions"]

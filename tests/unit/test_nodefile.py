"""The node file: believed only when it can be, judged as a whole."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from cni_userspace.cni import nodefile
from cni_userspace.cni.nodefile import Allow, NodeFile
from cni_userspace.errors import InvalidConfigError
from tests.support.parsing import ovs, parse

if TYPE_CHECKING:
    from pathlib import Path

BASE = {"type": "userspace"}


def put(folder: Path, content: object) -> dict[str, str]:
    """Write a node file; return the environment that names it."""
    file = folder / "userspace.conf"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    file.chmod(0o644)
    return {"USERSPACE_CNI_CONF": str(file)}


def refusal(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(InvalidConfigError) as caught:
        nodefile.load(environ)
    return caught.value.mistakes


def test_without_a_file_nothing_is_bounded(tmp_path: Path) -> None:
    for missing in ("none", "none/userspace.conf"):
        assert nodefile.load({"USERSPACE_CNI_CONF": str(tmp_path / missing)}) == NodeFile()
    assert NodeFile().allow is None


def test_the_file_sets_places_and_defaults(tmp_path: Path) -> None:
    config = {"stateDir": "/s/", "linkDir": "/l", "kubeletDir": "/k", "socket_file": "/db", "bridge": "b"}
    node = nodefile.load(put(tmp_path, config))
    assert (node.state_dir, node.link_dir, node.kubelet_dir) == ("/s", "/l", "/k")
    assert node.path == str(tmp_path / "userspace.conf")
    assert node.defaults == {"socket_file": "/db", "bridge": "b"}
    assert ovs(BASE, node).socket_file == "unix:/db"


def test_the_netconf_counts_before_the_nodes_default(tmp_path: Path) -> None:
    node = nodefile.load(put(tmp_path, {"LogLevel": "info", "sharedDir": "/a"}))
    assert parse(BASE, None, node).log_level == "info"
    conf = parse({**BASE, "loglevel": "debug"}, None, node)
    assert (conf.log_level, conf.shared_dir) == ("debug", "/a")


def test_allow_has_its_kinds(tmp_path: Path) -> None:
    allow = {
        "sharedDirs": ["/a"],
        "bridges": ["br-*"],
        "databases": ["/db", "tcp:127.0.0.1:6640"],
        "kubeconfigs": ["/k"],
        "configurationPaths": ["/c"],
        "logFiles": ["/l"],
        "deviceInfoDirs": ["/d"],
        "pfs": ["eth*"],
    }
    assert nodefile.load(put(tmp_path, {"allow": allow})).allow == Allow(
        shared_dirs=("/a",),
        bridges=("br-*",),
        databases=("unix:/db", "tcp:127.0.0.1:6640"),
        kubeconfigs=("/k",),
        configuration_paths=("/c",),
        log_files=("/l",),
        device_info_dirs=("/d",),
        pfs=("eth*",),
    )


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    config = {
        "stateDirr": "/s",
        "linkDir": "l",
        "name": "n",
        "sharedDirr": 1,
        "allow": {"bridge": [], "pfs": [1]},
    }
    environ = put(tmp_path, config)
    path = environ["USERSPACE_CNI_CONF"]
    assert set(refusal(environ)) == {
        f"{path}: $.stateDirr: unknown key; did you mean `stateDir`?",
        f'{path}: $.linkDir: "l" is no absolute path',
        f"{path}: $.name: counts only in a network configuration, not for a whole node",
        f"{path}: $.sharedDirr: unknown key; did you mean `sharedDir`?",
        f"{path}: $.allow.bridge: unknown key; did you mean `bridges`?",
        f"{path}: $.allow.pfs[0]: 1 is no string with anything in it",
    }


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"a": 1} x'])
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    assert len(refusal(put(tmp_path, text))) == 1


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    environ = put(tmp_path, {})
    os.chmod(environ["USERSPACE_CNI_CONF"], mode)
    (mistake,) = refusal(environ)
    assert "chmod go-w" in mistake


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    environ = put(tmp_path, {})
    os.chown(environ["USERSPACE_CNI_CONF"], 12345, 0)
    (mistake,) = refusal(environ)
    assert "belongs to uid 12345" in mistake


def test_a_pipe_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (mistake,) = refusal({"USERSPACE_CNI_CONF": str(tmp_path / "pipe")})
    assert "no regular file" in mistake


@pytest.mark.parametrize("content", ["{", {"linkDir": 5, "stateDir": "/s", "x": 1}])
def test_no_mistake_in_it_fails_del(tmp_path: Path, content: object) -> None:
    node = nodefile.load(put(tmp_path, content), strict=False)
    assert node.link_dir == "/run/cni-userspace-links"


def test_a_file_that_cannot_be_believed_allows_del_nothing_but_the_defaults(tmp_path: Path) -> None:
    environ = put(tmp_path, {"stateDir": "/elsewhere"})
    os.chmod(environ["USERSPACE_CNI_CONF"], 0o620)
    node = nodefile.load(environ, strict=False)
    assert node.allow == Allow()
    assert node.state_dir == "/var/lib/cni/userspace"


def test_wrong_bounds_bound_all_the_same(tmp_path: Path) -> None:
    assert nodefile.load(put(tmp_path, {"allow": []}), strict=False).allow == Allow()


def test_the_example_is_valid() -> None:
    root = nodefile.__file__.rpartition("/cni_userspace/")[0]
    node = nodefile.load({"USERSPACE_CNI_CONF": f"{root}/netconf-examples/userspace.conf"})
    assert parse(BASE, None, node).log_file == "/var/log/cni-userspace.log"

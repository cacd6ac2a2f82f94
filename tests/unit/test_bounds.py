"""Bounds: what the node file does not allow gets nowhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace.cni import bounds
from cni_userspace.cni.nodefile import Allow, NodeFile
from cni_userspace.errors import BoundsError
from tests.support.netconfs import BASE, base, host
from tests.support.parsing import ovs, parse

if TYPE_CHECKING:
    from pathlib import Path

NOTHING = NodeFile(path="/node", allow=Allow())
TENANTS = {
    "another directory": base(sharedDir="/etc"),
    "another pod's directory": base(sharedDir="/run/cni-userspace/0123456789ab"),
    "a foreign bridge": base(bridge="br-admin"),
    "a foreign bridge in Intel's words": host(bridge={"bridgeName": "br-admin"}),
    "another database": base(socket_file="tcp:192.0.2.1:6640"),
    "another database's socket": base(socket_file="/tmp/db.sock"),  # noqa: S108  a path like any other
    "a log file": base(logFile="/etc/passwd"),
    "a kubeconfig": base(kubeconfig="/srv/kube/config"),
    "a device-info file": base(runtimeConfig={"CNIDeviceInfoFile": "/etc/passwd"}),
    "a device-info file below the usual place": base(
        runtimeConfig={"CNIDeviceInfoFile": "/var/run/k8s.cni.cncf.io/devinfo/cni/../../x"},
    ),
    "a configuration file": base(configuration_path="/etc/shadow"),
}
EXEC = "users: [{name: u, user: {exec: {command: sh}}}]"


def refusal(config: dict[str, Any], node: NodeFile) -> str:
    with pytest.raises(BoundsError) as caught:
        bounds.check(parse(config, None, node), node)
    return caught.value.details


@pytest.mark.parametrize("config", TENANTS.values(), ids=TENANTS)
def test_without_a_node_file_nothing_is_bounded(config: dict[str, Any]) -> None:
    if "configuration_path" not in config:
        bounds.check(parse(config), NodeFile())


@pytest.mark.parametrize("config", TENANTS.values(), ids=TENANTS)
def test_what_is_not_allowed_gets_nowhere(config: dict[str, Any]) -> None:
    assert " is not among `allow." in refusal(config, NOTHING)


@pytest.mark.parametrize("config", TENANTS.values(), ids=TENANTS)
def test_what_is_not_allowed_gets_nowhere_by_del_either(config: dict[str, Any]) -> None:
    """A runtime calls DEL after an ADD that was refused."""
    conf = parse(config, None, NOTHING, strict=False)
    assert bounds.violations(conf, NOTHING) == []
    assert conf.shared_dir == "/run/cni-userspace"
    assert (conf.log_file, conf.kubeconfig, conf.configuration_path) == ("", "", "")
    assert conf.device_info_file == ""


def test_del_falls_back_to_the_nodes_own_default() -> None:
    node = NodeFile(path="/node", allow=Allow(), defaults={"socket_file": "/db", "logFile": "/l"})
    conf = parse(base(socket_file="tcp:192.0.2.1:6640", logFile="/etc/passwd"), None, node, strict=False)
    assert (conf.log_file, conf.options.socket_file) == ("/l", "unix:/db")  # type: ignore[attr-defined]


def test_all_that_is_not_allowed_is_told_at_once_each_with_its_key() -> None:
    told = refusal(
        base(sharedDir="/etc", bridge="br-x", socket_file="/db", logFile="/l", kubeconfig="/k"), NOTHING
    )
    for key in ("sharedDir", "bridge", "socket_file", "logFile", "kubeconfig"):
        assert f"`{key}`: " in told


def test_the_built_in_defaults_are_allowed() -> None:
    said = base(
        bridge="br0",
        socket_file="/var/run/openvswitch/db.sock",
        sharedDir="/run/cni-userspace/",
        runtimeConfig={"CNIDeviceInfoFile": "/var/run/k8s.cni.cncf.io/devinfo/cni/net-a-device.json"},
    )
    for config in (BASE, said):
        bounds.check(parse(config, None, NOTHING), NOTHING)


def test_the_node_files_own_defaults_are_allowed(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "k"
    kubeconfig.write_text("users: []")
    own = {
        "sharedDir": "/srv/v",
        "BRIDGE": "br-n",
        "socket_file": "/db",
        "logFile": "/l",
        "kubeconfig": str(kubeconfig),
    }
    node = NodeFile(path="/node", allow=Allow(), defaults=own)
    bounds.check(parse(BASE, None, node), node)
    bounds.check(parse(base(**own), None, node), node)


def test_what_allow_lists_is_allowed() -> None:
    allow = Allow(shared_dirs=("/srv/v",), bridges=("br-*",), databases=("unix:/db",), log_files=("/l",))
    node = NodeFile(path="/node", allow=allow)
    named = base(sharedDir="/srv/v", bridge="br-x", socket_file="/db", logFile="/l")
    bounds.check(parse(named, None, node), node)


@pytest.mark.parametrize(
    ("pattern", "name", "allowed"),
    [
        ("br1", "br1", True),
        ("br1", "br10", False),
        ("br-*", "br-", True),
        ("br-*", "br", False),
        ("*-in", "fw-in", True),
        ("a*a", "a", False),
        ("*", "anything", True),
        ("br?", "br1", True),
        ("br[12]", "br2", True),
        ("br[12]", "br3", False),
        ("*a*", "bab", True),
        ("br-*", "BR-1", False),
    ],
)
def test_bridges_are_shell_patterns(pattern: str, name: str, *, allowed: bool) -> None:
    node = NodeFile(path="/node", allow=Allow(bridges=(pattern,)))
    assert (bounds.violations(parse(base(bridge=name), None, node), node) == []) is allowed


@pytest.mark.parametrize(
    ("listed", "allowed"),
    [
        (("ens1f0",), True),
        (("ens1f*",), True),
        (("ens1f",), False),
        (("ENS1F0",), False),
        (("0000:af:00.0",), True),
        (("0000:AF:00.0",), True),
        (("af:00.0",), True),
        (("0000:AF:00.*",), True),
        (("0000:af:00.1", "0000:af:0?.0"), True),
        (("0000:af:00.1", "ens1f1"), False),
        (("*",), True),
        ((), False),
    ],
)
def test_a_pf_is_allowed_by_its_name_or_its_address(listed: tuple[str, ...], *, allowed: bool) -> None:
    node = NodeFile(path="/node", allow=Allow(pfs=listed))
    names = ("ens1f0", "0000:af:00.0")
    if allowed:
        bounds.refuse_pf(names, node)
        return
    with pytest.raises(BoundsError) as caught:
        bounds.refuse_pf(names, node)
    assert caught.value.details == '"ens1f0" = "0000:af:00.0" is not among `allow.pfs`'
    assert "/node" in caught.value.hint


def test_a_pf_without_a_netdev_is_known_by_its_address_alone() -> None:
    node = NodeFile(path="/node", allow=Allow(pfs=("*1f0", "0000:af:00.0")))
    bounds.refuse_pf(("", "0000:af:00.0"), node)
    with pytest.raises(BoundsError, match="does not allow") as caught:
        bounds.refuse_pf(("", "0000:af:00.0"), NOTHING)
    assert caught.value.details == '"0000:af:00.0" is not among `allow.pfs`'


def test_without_allow_every_pf_is_allowed() -> None:
    bounds.refuse_pf(("ens1f0",), NodeFile())


def test_a_listed_path_may_be_named_by_where_its_links_lead(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    node = NodeFile(path="/node", allow=Allow(shared_dirs=(str(link),)))
    for named in (link, real, f"{real}/"):
        bounds.check(parse(base(sharedDir=str(named)), None, node), node)


def test_a_path_inside_or_above_a_listed_one_is_another(tmp_path: Path) -> None:
    (tmp_path / "real" / "pod").mkdir(parents=True)
    node = NodeFile(path="/node", allow=Allow(shared_dirs=(f"{tmp_path}/real",)))
    for other in (tmp_path / "real" / "pod", tmp_path):
        assert "sharedDir" in refusal(base(sharedDir=str(other)), node)


def test_a_link_of_a_tenants_own_leads_to_nothing_that_is_allowed(tmp_path: Path) -> None:
    """It could lead elsewhere by the time that root goes through it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "planted").symlink_to("real")
    allow = Allow(shared_dirs=(f"{tmp_path}/real",), log_files=(f"{tmp_path}/real/log",))
    node = NodeFile(path="/node", allow=allow)
    assert "sharedDir" in refusal(base(sharedDir=f"{tmp_path}/planted"), node)
    assert "logFile" in refusal(base(logFile=f"{tmp_path}/planted/log"), node)
    assert "logFile" in refusal(base(logFile=f"{tmp_path}/planted/../real/log"), node)


def test_a_database_may_be_named_by_where_its_links_lead(tmp_path: Path) -> None:
    (tmp_path / "db").touch()
    (tmp_path / "link").symlink_to("db")
    node = NodeFile(path="/node", allow=Allow(databases=(f"unix:{tmp_path}/link",)))
    bounds.check(parse(base(socket_file=f"{tmp_path}/db"), None, node), node)


def test_a_configuration_file_that_is_not_allowed_is_not_even_read(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"vlan": 7, "unknown": 1}')
    config = base(configuration_path=str(file))
    assert ovs(config, NOTHING).vlan is None
    assert "configuration_path" in refusal(config, NOTHING)
    node = NodeFile(path="/node", allow=Allow(configuration_paths=(str(file),)))
    file.write_text('{"vlan": 7}')
    assert ovs(config, node).vlan == 7


def test_what_a_configuration_file_names_is_bounded_too(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"logFile": "/etc/passwd"}')
    node = NodeFile(path="/node", allow=Allow(configuration_paths=(str(file),)))
    assert "logFile" in refusal(base(configuration_path=str(file)), node)


@pytest.mark.parametrize(
    "text",
    [
        EXEC,
        "users: [{name: u, user: {auth-provider: {name: gcp}}}]",
        '{"users": [{"user": {"exec": {}}}]}',
        '{"users": [{"user": {"\\u0065xec": {}}}]}',
        'users: [{user: {"\\x65xec": {}}}]',
        "users: [{user: {!!binary ZXhlYw==: {}}}]",
        "users: [{user: {Exec: {}}}]",
        f"{EXEC}\nusers: []",
        f"users: []\n---\n{EXEC}",
        "a: &a {exec: {}}\nusers: [{user: {<<: *a}}]",
        "users: [\\ exec",
        EXEC.encode("utf-16"),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_kubeconfig_that_runs_programs_is_always_refused(
    tmp_path: Path, text: str | bytes, *, listed: bool
) -> None:
    file = tmp_path / "kubeconfig"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    node = NodeFile(path="/node", allow=Allow(kubeconfigs=(str(file),))) if listed else NodeFile()
    told = refusal(base(kubeconfig=str(file)), node)
    assert told.startswith("`kubeconfig`: ")
    assert "command" not in told
    assert parse(base(kubeconfig=str(file)), None, node, strict=False).kubeconfig == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "users: [{name: exec, user: {token: abc}}]",
        "users: [{user: {client-key-data: YWV4ZWM=exec}}]",
        "users: [{user: {token: 'a!b'}}]",
        "a: &a [*a]\nb: '!'",
    ],
)
def test_a_kubeconfig_that_runs_nothing_passes(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    bounds.check(parse(base(kubeconfig=str(file))), NodeFile())


def test_a_kubeconfig_that_is_not_there_yet_passes_and_a_pipe_does_not(tmp_path: Path) -> None:
    bounds.check(parse(base(kubeconfig=str(tmp_path / "none"))), NodeFile())
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refusal(base(kubeconfig=str(tmp_path / "pipe")), NodeFile())


def test_an_unallowed_kubeconfig_is_not_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(EXEC)
    assert "program" not in refusal(base(kubeconfig=str(file)), NOTHING)

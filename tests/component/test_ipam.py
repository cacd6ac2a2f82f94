"""IPAM delegation to the real host-local and static, and to plugins that misbehave.

The misbehaving ones are small programs, because no real plugin does that on request.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cni_userspace.cni import ipam
from cni_userspace.cni.request import Request
from cni_userspace.cni.result import IP
from cni_userspace.errors import DelegateError, InvalidConfigError, NotAvailableError
from tests.support.need import missing

PLUGINS = "/usr/lib/cni"  # Debian's containernetworking-plugins, 1.1.1: no GC, no STATUS, up to CNI 1.0.0
NETNS = "/var/run/netns/nowhere"  # IPAM plugins do not enter it


@pytest.fixture(autouse=True)
def _reference_plugins() -> None:
    if not Path(PLUGINS, "host-local").exists():
        missing(f"there is no {PLUGINS}/host-local", "apt-get install containernetworking-plugins")


def request(config: dict[str, Any], path: tuple[str, ...] = ("/nowhere", PLUGINS)) -> Request:
    return Request(
        command="ADD",
        container_id="c1",
        netns=NETNS,
        ifname="net1",
        path=path,
        args={},
        config={"cniVersion": "1.0.0", "name": "lab", "type": "userspace", **config},
    )


@pytest.fixture
def host_local(tmp_path: Path) -> Request:
    return request(
        {
            "ipam": {
                "type": "host-local",
                "dataDir": str(tmp_path / "data"),
                "ranges": [[{"subnet": "10.9.0.0/29"}], [{"subnet": "fd00:9::/64"}]],
                "routes": [{"dst": "0.0.0.0/0"}, {"dst": "fd00:a::/64", "gw": "fd00:9::7"}],
            },
        },
    )


@pytest.fixture
def static() -> Request:
    addresses = [{"address": "10.9.0.5/24", "gateway": "10.9.0.1"}, {"address": "fd00:9::5/64"}]
    return request({"ipam": {"type": "static", "addresses": addresses}})


def in_version(version: str, given: Request) -> Request:
    return given.replace(config={**given.config, "cniVersion": version})


def leases(given: Request) -> set[str]:
    directory = Path(given.config["ipam"]["dataDir"], "lab")
    return {p.name for p in directory.iterdir() if p.name[0].isdigit() or ":" in p.name}


# --- the real ones


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"])
def test_host_local_assigns_ipv4_and_ipv6_in_every_version_it_knows(
    host_local: Request, version: str
) -> None:
    result = ipam.add(in_version(version, host_local), "host-local")
    assert result.ips == (
        IP(address="10.9.0.2/29", gateway="10.9.0.1"),
        IP(address="fd00:9::2/64", gateway="fd00:9::1"),
    )
    assert result.routes == ({"dst": "0.0.0.0/0"}, {"dst": "fd00:a::/64", "gw": "fd00:9::7"})


@pytest.mark.parametrize("version", ["0.2.0", "0.3.1", "1.0.0"])
def test_static_assigns_ipv4_and_ipv6(static: Request, version: str) -> None:
    assert ipam.add(in_version(version, static), "static").ips == (
        IP(address="10.9.0.5/24", gateway="10.9.0.1"),
        IP(address="fd00:9::5/64"),
    )


def test_del_releases_the_addresses_and_a_second_one_finds_nothing_to_do(host_local: Request) -> None:
    ipam.add(host_local, "host-local")
    assert leases(host_local) == {"10.9.0.2", "fd00:9::2"}
    ipam.delete(host_local, "host-local")
    assert leases(host_local) == set()
    ipam.delete(host_local, "host-local")


def test_del_needs_no_netns(host_local: Request) -> None:
    ipam.add(host_local, "host-local")
    ipam.delete(host_local.replace(netns=""), "host-local")
    assert leases(host_local) == set()


def test_the_address_that_cni_args_ask_for_is_given(
    host_local: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CNI_ARGS", raising=False)
    asked = host_local.replace(args={"IgnoreUnknown": "true", "IP": "10.9.0.5"})
    assert ipam.add(asked, "host-local").ips[0].address == "10.9.0.5/29"


def test_check_passes_while_the_lease_lives_and_fails_after(host_local: Request) -> None:
    ipam.add(host_local, "host-local")
    ipam.check(host_local, "host-local")
    ipam.delete(host_local, "host-local")
    with pytest.raises(DelegateError, match="Failed to find address added by container c1") as failed:
        ipam.check(host_local, "host-local")
    assert failed.value.code == 999


def test_check_is_not_passed_on_below_0_4_0(host_local: Request) -> None:
    ipam.check(in_version("0.3.1", host_local), "host-local")


def test_a_full_range_is_told_in_the_delegates_own_words(host_local: Request) -> None:
    for n in range(5):  # a /29 less network, broadcast and gateway
        ipam.add(host_local.replace(container_id=f"c{n}"), "host-local")
    with pytest.raises(DelegateError) as full:
        ipam.add(host_local.replace(container_id="c5"), "host-local")
    assert "no IP addresses available in range set" in full.value.msg
    assert "host-local" in full.value.msg
    assert full.value.code == 999


def test_a_nameless_config_keeps_the_delegates_code(host_local: Request) -> None:
    nameless = {key: value for key, value in host_local.config.items() if key != "name"}
    with pytest.raises(DelegateError, match="missing network name") as refused:
        ipam.add(host_local.replace(config=nameless), "host-local")
    assert refused.value.code == 7


def test_an_old_host_local_refuses_1_1_0_and_the_error_knows_a_way_out(host_local: Request) -> None:
    with pytest.raises(DelegateError, match="incompatible CNI versions") as refused:
        ipam.add(in_version("1.1.0", host_local), "host-local")
    assert refused.value.code == 1
    assert 'config is "1.1.0"' in refused.value.details
    assert "cniVersion" in refused.value.hint


def test_a_delegate_too_old_for_gc_is_left_in_peace(host_local: Request) -> None:
    ipam.gc(in_version("1.1.0", host_local), "host-local")


def test_status_tells_that_a_delegate_is_too_old_for_the_version(host_local: Request) -> None:
    with pytest.raises(NotAvailableError, match=r"host-local does not know CNI 1\.1\.0") as old:
        ipam.status(in_version("1.1.0", host_local), "host-local")
    assert old.value.code == 50
    assert "1.0.0" in old.value.details


@pytest.mark.parametrize("command", [ipam.status, ipam.gc])
def test_below_1_1_0_status_and_gc_do_not_exist(
    command: Callable[[Request, str], None], host_local: Request
) -> None:
    command(host_local.replace(path=()), "host-local")


# --- finding it


@pytest.mark.parametrize("name", ["", "../host-local", "/usr/lib/cni/host-local", "a/b", "a\x00b"])
def test_a_type_that_is_no_plain_name_is_refused(static: Request, name: str) -> None:
    with pytest.raises(InvalidConfigError, match="no plugin's name"):
        ipam.add(static, name)


def test_a_missing_plugin_is_named_with_the_path_that_was_searched(static: Request) -> None:
    with pytest.raises(InvalidConfigError, match="the IPAM plugin whereabouts is not installed") as absent:
        ipam.add(static, "whereabouts")
    assert absent.value.details == "no file whereabouts in CNI_PATH /nowhere:/usr/lib/cni"
    assert absent.value.code == 7


def test_status_with_a_missing_plugin_is_not_available(static: Request) -> None:
    with pytest.raises(NotAvailableError, match="not installed"):
        ipam.status(in_version("1.1.0", static), "whereabouts")


@pytest.mark.parametrize("name", [".", ".."])
def test_a_directory_is_no_plugin(static: Request, name: str) -> None:
    with pytest.raises(InvalidConfigError, match="not installed"):
        ipam.add(static, name)


# --- what it is given


class Planted:
    """A directory with a plugin `odd` that does what a test says."""

    def __init__(self, directory: Path) -> None:
        """Plant nothing yet."""
        self.directory = directory

    def does(self, script: str, **config: object) -> Request:
        """Write the plugin and return a request that leads to it."""
        program = self.directory / "odd"
        program.write_text(f"#!/bin/sh\ncd {self.directory}\n{script}\n")
        program.chmod(0o755)
        return request({"ipam": {"type": "odd"}, **config}, path=(str(self.directory),))


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def test_the_delegate_gets_the_complete_config(planted: Planted) -> None:
    given = planted.does("cat > stdin", unknownKey={"deep": [1, "ü"]})
    ipam.delete(given, "odd")
    assert json.loads((planted.directory / "stdin").read_text()) == given.config


def test_the_delegate_gets_our_environment_with_its_own_command(
    planted: Planted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CNI_COMMAND", "CHECK")
    monkeypatch.setenv("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=a;K8S_POD_NAME=b")
    monkeypatch.setenv("OF_THE_RUNTIME", "kept")
    given = planted.does("env -0 > environ")
    ipam.delete(given.replace(args={"IgnoreUnknown": "1", "K8S_POD_NAME": "b"}), "odd")
    environ = dict(p.split("=", 1) for p in (planted.directory / "environ").read_text().split("\0") if p)
    assert {name: value for name, value in environ.items() if name.startswith("CNI_")} == {
        "CNI_COMMAND": "DEL",
        "CNI_CONTAINERID": "c1",
        "CNI_NETNS": NETNS,
        "CNI_IFNAME": "net1",
        "CNI_PATH": str(planted.directory),
        "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=a;K8S_POD_NAME=b",  # the runtime's, to the letter
    }
    assert environ["OF_THE_RUNTIME"] == "kept"


def test_a_request_from_a_record_takes_nothing_of_another_containers_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CNI_NETNS", "/var/run/netns/of-another")
    monkeypatch.setenv("CNI_ARGS", "K8S_POD_NAME=another")
    environ = ipam.environment(request({}).replace(netns="", args={"K8S_POD_NAME": "mine"}), "DEL")
    assert "CNI_NETNS" not in environ
    assert environ["CNI_ARGS"] == "K8S_POD_NAME=mine"
    assert environ["CNI_CONTAINERID"] == "c1"


def test_the_delegates_stderr_is_ours(planted: Planted, capfd: pytest.CaptureFixture[str]) -> None:
    ipam.delete(planted.does("echo a word of warning >&2"), "odd")
    assert capfd.readouterr().err == "a word of warning\n"


def test_a_new_delegate_gets_status_and_gc(planted: Planted) -> None:
    given = planted.does("echo $CNI_COMMAND >> commands", cniVersion="1.1.0")
    ipam.status(given, "odd")
    ipam.gc(given, "odd")
    assert (planted.directory / "commands").read_text() == "STATUS\nGC\n"


# --- what it answers


def answering(text: str, code: int = 0) -> str:
    return f"cat <<'END'\n{text}\nEND\nexit {code}"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("true", "no JSON"),
        ("echo Hello", "no JSON"),
        (answering('{"ips": ['), "no JSON"),
        (answering("[]"), "is malformed"),
        (answering('{"ips": [{"address": "10.9.0.1"}]}'), "is malformed"),
        (answering('{"ips": []}'), "assigned no address"),
        (answering("null"), "assigned no address"),
        ("exit 3", "failed at ADD without a CNI error"),
        ("echo panic: nil; exit 2", "failed at ADD without a CNI error"),
        (answering('{"code": 7}', 1), "failed at ADD without a CNI error"),
        ("kill -SEGV $$", "was killed at ADD"),
        ("exec cat /dev/zero", "failed"),
        ("exec sleep 1000", "did not answer ADD within"),
    ],
)
def test_an_add_that_went_wrong_is_a_delegate_error(planted: Planted, script: str, words: str) -> None:
    deadline = 0.3 if "sleep" in script else 20.0
    with pytest.raises(DelegateError, match=words) as wrong:
        ipam.add(planted.does(script), "odd", deadline_seconds=deadline)
    assert "odd" in wrong.value.msg
    assert wrong.value.details
    assert wrong.value.code == DelegateError.code


def test_the_delegates_code_words_and_details_are_kept(planted: Planted) -> None:
    script = answering('{"cniVersion": "1.0.0", "code": 11, "msg": "busy", "details": "pool 3"}', 1)
    with pytest.raises(DelegateError) as failed:
        ipam.add(planted.does(script), "odd")
    assert (failed.value.code, failed.value.details) == (11, "pool 3")
    assert failed.value.msg == "the IPAM plugin odd failed at ADD: busy"


@pytest.mark.parametrize("code", ['"7"', "0", "-1", "true", "null", "1e3"])
def test_a_code_that_is_none_becomes_ours(planted: Planted, code: str) -> None:
    script = answering(f'{{"code": {code}, "msg": "no"}}', 1)
    with pytest.raises(DelegateError) as failed:
        ipam.delete(planted.does(script), "odd")
    assert failed.value.code == DelegateError.code


def test_an_index_without_interfaces_is_no_mistake(planted: Planted) -> None:
    given = planted.does(answering('{"ips": [{"address": "10.9.0.5/24", "interface": 2}]}'))
    assert ipam.add(given, "odd").ips == (IP(address="10.9.0.5/24", interface=2),)


def test_a_plugin_that_cannot_be_executed_says_why(planted: Planted) -> None:
    given = planted.does("true")
    os.chmod(planted.directory / "odd", 0o644)
    with pytest.raises(DelegateError, match="calling the IPAM plugin odd failed") as refused:
        ipam.add(given, "odd")
    assert refused.value.details == f"{planted.directory}/odd: Permission denied"


def test_status_passes_a_refusal_on(planted: Planted) -> None:
    script = answering('{"code": 50, "msg": "no server"}', 1)
    with pytest.raises(DelegateError, match="no server") as refused:
        ipam.status(planted.does(script, cniVersion="1.1.0"), "odd")
    assert refused.value.code == 50


def test_status_of_an_old_delegate_that_knows_the_version_is_fine(planted: Planted) -> None:
    versions = answering('{"cniVersion": "1.1.0", "supportedVersions": ["1.0.0", "1.1.0"]}')
    old = answering('{"code": 100, "msg": "unknown CNI_COMMAND: STATUS"}', 1)
    script = f'if [ "$CNI_COMMAND" = VERSION ]; then\n{versions}\nfi\n{old}'
    ipam.status(planted.does(script, cniVersion="1.1.0"), "odd")


def test_a_failing_gc_is_passed_on(planted: Planted) -> None:
    script = answering('{"code": 5, "msg": "disk"}', 1)
    with pytest.raises(DelegateError, match="disk"):
        ipam.gc(planted.does(script, cniVersion="1.1.0"), "odd")

"""The netconf parser: defaults, precedence, engine, mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cni_userspace.cni import netconf
from cni_userspace.cni.nodefile import NodeFile
from cni_userspace.cni.result import VERSIONS
from cni_userspace.errors import IncompatibleVersionError, InvalidConfigError, UnsupportedFieldError
from tests.support.netconfs import BAD, BASE, NESTED, TYPED, UNSAID, base
from tests.support.parsing import mistakes, ovs, parse

if TYPE_CHECKING:
    from pathlib import Path

PCI = "0000:03:00.1"
MACS = [f"02:00:00:00:00:0{i}" for i in range(1, 5)]


def test_what_is_not_said_has_its_default() -> None:
    conf = parse(BASE)
    assert (conf.cni_version, conf.name, conf.type) == ("1.0.0", "net-a", "userspace")
    assert (conf.engine, conf.dialect) == ("ovs-dpdk", "native")
    assert (conf.shared_dir, conf.container_path) == ("/run/cni-userspace", "")
    assert (conf.log_level, conf.log_file, conf.timeout, conf.kubeconfig) == ("warning", "", 10, "")
    assert (conf.ipam_type, conf.prev_result, conf.mac, conf.ips) == ("", None, "", ())
    assert conf.valid_attachments is None
    assert conf.raw == BASE


def test_what_is_not_said_of_the_switch_has_its_default() -> None:
    conf = ovs(BASE)
    assert (conf.bridge, conf.create_bridge, conf.delete_bridge) == ("br0", False, False)
    assert (conf.interface_type, conf.vlan, conf.trunk) == ("dpdkvhostuserclient", None, ())
    assert (conf.mtu, conf.ofport_request) == (None, None)
    assert conf.socket_file == "unix:/var/run/openvswitch/db.sock"
    assert (conf.port_name, conf.socket_name, conf.intel_names) == ("", "", False)
    assert (conf.owner, conf.group, conf.dir_mode, conf.socket_mode) == ("", "", None, None)


def test_all_mistakes_are_told_at_once_each_with_its_path() -> None:
    config = base(vlan="7", trunk=[{"id": 5000}], runtimeConfig={"mac": "x"}, vlna=1, logLevel="loud")
    with pytest.raises(InvalidConfigError) as caught:
        parse(config)
    assert caught.value.code == 7
    assert set(caught.value.mistakes) == {
        '$.vlan: "7" is no whole number',
        "$.trunk[0].id: 5000 is not within 0 and 4094",
        '$.runtimeConfig.mac: "x" is no MAC address (aa:bb:cc:dd:ee:ff)',
        '$.logLevel: "loud" is none of panic, error, warning, info, debug, verbose',
        "$.vlna: unknown key; did you mean `vlan`?",
    }
    assert "5 mistakes" in caught.value.msg
    assert all(mistake in caught.value.details for mistake in caught.value.mistakes)


def test_a_key_that_is_like_none_gets_no_guess() -> None:
    assert mistakes(base(zzzz=1)) == ("$.zzzz: unknown key",)


def test_an_odd_key_has_a_path_too() -> None:
    assert mistakes(base(**{"a b": 1})) == ('$["a b"]: unknown key',)


def test_a_key_of_another_engine_says_whose_it_is() -> None:
    said = "$.spoofchk: is a key of the engine sriov, and this network's engine is ovs-dpdk"
    assert mistakes(base(bridge="br0", spoofchk="on")) == (said,)
    said = "$.trunk: is a key of the engine ovs-dpdk, and this network's engine is sriov"
    assert mistakes(base(master="eth1", trunk=[{"id": 7}])) == (said,)
    said = "$.host: is a key of the engine ovs-dpdk, and this network's engine is sriov"
    assert mistakes(base(engine="sriov", master="eth1", host={})) == (said,)


@pytest.mark.parametrize("config", [*BAD.values(), *TYPED.values(), *NESTED.values(), *UNSAID.values()])
def test_no_mistake_fails_del(config: dict[str, object]) -> None:
    try:
        conf = parse(config, strict=False)
    except IncompatibleVersionError:
        assert config["cniVersion"] not in VERSIONS
    else:
        assert conf.engine in netconf.ENGINES


def test_what_is_wrong_counts_as_absent_for_del() -> None:
    conf = parse(base(sharedDir=5, mac="x", timeout=99, vlna=1, bridge=[]), strict=False)
    assert (conf.shared_dir, conf.mac, conf.timeout) == ("/run/cni-userspace", "", 10)
    assert conf.options.bridge == "br0"  # type: ignore[attr-defined]


def test_multus_calls_del_with_next_to_nothing() -> None:
    conf = parse(
        {"cniVersion": "1.0.0", "name": "n", "type": "userspace", "ipam": {"type": "x"}}, strict=False
    )
    assert (conf.name, conf.ipam_type) == ("n", "x")


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("version", ["0.5.0", "2.0.0", 1, None, [], "1.0"])
def test_an_unknown_version_is_incompatible_for_every_command(version: object, *, strict: bool) -> None:
    with pytest.raises(IncompatibleVersionError) as caught:
        parse(base(cniVersion=version), strict=strict)
    assert caught.value.code == 1


@pytest.mark.parametrize("config", [{}, {"cniVersion": "0.1.0"}, {"cniVersion": "0.2.0"}, {"name": ""}])
@pytest.mark.parametrize("strict", [True, False])
def test_a_nameless_legacy_network_has_the_same_name_every_time(
    config: dict[str, object], *, strict: bool
) -> None:
    conf = parse({"type": "userspace", **config}, strict=strict)
    assert conf.name == netconf.UNNAMED == "userspace-unnamed"
    assert conf.raw["name"] == conf.name


def test_a_nameless_network_of_today_is_never_taken_for_the_nameless_legacy_one() -> None:
    conf = parse({"cniVersion": "1.1.0", "type": "userspace"}, strict=False)
    assert conf.name == ""
    assert "name" not in conf.raw


def test_keys_are_read_without_regard_to_case() -> None:
    conf = parse({"CNIVERSION": "0.3.1", "Name": "n", "TYPE": "userspace", "LogFile": "/l", "MAC": MACS[0]})
    assert (conf.cni_version, conf.name, conf.log_file, conf.mac) == ("0.3.1", "n", "/l", MACS[0])


def test_two_spellings_of_a_key_must_agree() -> None:
    assert mistakes(base(vlan=7, VLAN=8)) == ("$.VLAN: 8 contradicts $.vlan, another spelling of it",)


@pytest.mark.parametrize("first", range(4))
def test_the_runtimes_mac_counts_before_cni_args_before_args_before_the_netconf(first: int) -> None:
    given = [None] * first + MACS[first:]
    runtime, args, theirs, own = given
    config = base(
        **({"runtimeConfig": {"mac": runtime}} if runtime else {}),
        **({"args": {"cni": {"mac": theirs}}} if theirs else {}),
        **({"mac": own} if own else {}),
    )
    assert parse(config, {"MAC": args} if args else {}).mac == MACS[first]


@pytest.mark.parametrize("form", ["02:AB:cd:00:00:01", "02-ab-CD-00-00-01", "02ab.CD00.0001"])
def test_a_mac_is_kept_in_lower_case_with_colons(form: str) -> None:
    assert parse(base(mac=form)).mac == "02:ab:cd:00:00:01"


def test_a_bad_mac_in_cni_args_is_named_as_such() -> None:
    with pytest.raises(InvalidConfigError) as caught:
        parse(BASE, {"MAC": "01:00:00:00:00:01", "K8S_POD_NAME": "p", "IgnoreUnknown": "true"})
    wanted = 'CNI_ARGS: MAC: "01:00:00:00:00:01" is a group address; a station needs a unicast one'
    assert caught.value.mistakes == (wanted,)


def test_the_runtimes_addresses_count_before_those_of_args() -> None:
    both = base(runtimeConfig={"ips": ["10.0.0.1/24"]}, args={"cni": {"ips": ["10.0.0.2/24"]}})
    assert parse(both).ips == ("10.0.0.1/24",)
    assert parse(base(args={"cni": {"ips": ["10.0.0.2/24"]}})).ips == ("10.0.0.2/24",)


def test_the_device_is_the_runtimes_before_the_configs() -> None:
    config = base(runtimeConfig={"deviceID": "a"}, deviceID="b", pciBusID="c")
    assert parse(config).device_id == "a"
    assert parse(base(deviceID="b", pciBusID="c")).device_id == "b"
    assert parse(base(pciBusID="c")).device_id == "c"


def test_gc_reads_the_newer_list_before_the_older() -> None:
    new = [{"containerID": "a", "ifname": "net1"}]
    config = base(**{"cni.dev/valid-attachments": new, "cni.dev/attachments": []})
    assert parse(config).valid_attachments == (("a", "net1"),)
    assert parse(base(**{"cni.dev/attachments": []})).valid_attachments == ()


@pytest.mark.parametrize(
    "value", [None, {}, "a", [None], [{"containerID": "a"}], [{"containerID": 1, "ifname": "b"}]]
)
def test_gc_without_a_list_that_is_wholly_understood_has_none(value: object) -> None:
    """Else an attachment that is still in use would be collected."""
    assert parse(base(**{"cni.dev/valid-attachments": value}), strict=False).valid_attachments is None


@pytest.mark.parametrize(
    ("keys", "engine"),
    [
        ({}, "ovs-dpdk"),
        ({"engine": "ovs-dpdk", "pfOnly": True}, "ovs-dpdk"),
        ({"engine": "sriov"}, "sriov"),
        ({"pfOnly": True}, "sriov"),
        ({"PFOnly": True}, "sriov"),
        ({"master": "eth1"}, "sriov"),
        ({"master": ""}, "ovs-dpdk"),
        ({"if0": "eth1"}, "sriov"),
        ({"type": "sriov"}, "sriov"),
        ({"type": "sriov", "bridge": "br0"}, "sriov"),
        ({"type": "sriov", "engine": "ovs-dpdk"}, "ovs-dpdk"),
        ({"type": "sriov", "ipam": {"type": "host-local"}}, "sriov"),
        ({"spoofchk": "on"}, "sriov"),
        ({"spoofchk": "on", "trunk": []}, "ovs-dpdk"),
        ({"engine": "sriov", "host": {}}, "sriov"),
        ({"deviceID": PCI}, "sriov"),
        ({"deviceID": PCI, "pciBusID": PCI}, "sriov"),
        ({"deviceID": PCI, "pciBusID": PCI, "vlan": 7}, "sriov"),
        ({"deviceID": PCI, "pciBusID": PCI, "bridge": "br0"}, "ovs-dpdk"),
        ({"deviceID": PCI, "pciBusID": PCI, "host": {}}, "ovs-dpdk"),
        ({"deviceID": PCI, "pciBusID": PCI, "engine": "ovs-dpdk"}, "ovs-dpdk"),
        ({"deviceID": "vhost-3"}, "ovs-dpdk"),
        ({"deviceID": "vhost-3", "pciBusID": "vhost-3"}, "ovs-dpdk"),
        ({"runtimeConfig": {"deviceID": PCI}}, "ovs-dpdk"),
        ({"host": {}}, "ovs-dpdk"),
    ],
)
def test_the_engine_is_said_or_follows_from_the_keys(keys: dict[str, object], engine: str) -> None:
    chosen = []

    def options(name: str, _getter: object) -> NodeFile:
        chosen.append(name)
        return NodeFile()  # any value

    netconf.parse(base(**keys), {}, NodeFile(), strict=False, engine_parser=options)
    assert chosen == [engine]


@pytest.mark.parametrize(
    "config", [base(engine="vpp"), base(host={"engine": "vpp"}), base(host={"iftype": "memif"})]
)
def test_vpp_and_memif_are_said_to_be_not_supported(config: dict[str, object]) -> None:
    with pytest.raises(UnsupportedFieldError, match="does not do") as caught:
        parse(config)
    assert caught.value.code == 2
    assert "is not supported" in caught.value.details


def test_dhcp_is_refused_with_the_reason() -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        parse(base(ipam={"type": "dhcp"}))
    assert '$.ipam.type: "dhcp" is not supported with ovs-dpdk' in caught.value.details
    assert "kernel interface" in caught.value.details


def test_what_is_unsupported_and_what_is_wrong_are_told_together() -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        parse(base(ipam={"type": "dhcp"}, vlna=1))
    assert "did you mean `vlan`?" in caught.value.details


def test_a_bridge_together_with_a_pci_device_is_refused() -> None:
    assert "one network has one of them" in mistakes(base(bridge="br0", deviceID=PCI))[0]
    assert "one network has one of them" in mistakes(base(bridge="br0", deviceID=PCI, engine="ovs-dpdk"))[0]


def test_a_trunk_is_expanded_and_sorted() -> None:
    assert ovs(base(trunk=[{"minID": 10, "maxID": 12}, {"id": 4}, {"id": 11}])).trunk == (4, 10, 11, 12)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/a/db.sock", "unix:/a/db.sock"),
        ("unix:/a/db.sock", "unix:/a/db.sock"),
        ("tcp:127.0.0.1:6640", "tcp:127.0.0.1:6640"),
    ],
)
def test_a_database_is_kept_with_its_scheme(given: str, kept: str) -> None:
    assert ovs(base(socket_file=given)).socket_file == kept


def test_ssl_is_refused_with_the_reason() -> None:
    assert "has no TLS" in mistakes(base(socket_file="ssl:127.0.0.1:6640"))[0]


def test_modes_are_octal_and_accounts_are_text() -> None:
    conf = ovs(base(dirMode="2750", owner=107, group="hugetlbfs"))
    assert (conf.dir_mode, conf.owner, conf.group) == (0o2750, "107", "hugetlbfs")


def test_directories_are_kept_without_idle_slashes() -> None:
    assert parse(base(sharedDir="/run//x/")).shared_dir == "/run/x"


def test_configuration_path_stands_behind_the_netconf_and_before_the_node_file(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"bridge": "br-file", "logLevel": "info", "timeout": 5}))
    node = NodeFile(path="/node", defaults={"timeout": 7, "mtu": 9000})
    conf = parse(base(configuration_path=str(file), bridge="br-own"), None, node)
    assert (conf.log_level, conf.timeout) == ("info", 5)
    assert conf.options.bridge == "br-own"  # type: ignore[attr-defined]
    assert conf.options.mtu == 9000  # type: ignore[attr-defined]


def test_mistakes_in_other_files_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"vlan": "x", "brigde": "b", "name": "other", "configuration_path": "/x"}))
    node = NodeFile(path="/node", defaults={"timeout": 0})
    assert set(mistakes(base(configuration_path=str(file)), node)) == {
        f'{file}: $.vlan: "x" is no whole number',
        f"{file}: $.brigde: unknown key; did you mean `bridge`?",
        f"{file}: $.name: counts only in the network configuration itself",
        f'{file}: $.configuration_path: "/x" names another file; one is enough',
        "/node: $.timeout: 0 is not within 1 and 40",
    }


@pytest.mark.parametrize("text", ["", "[]", "{", "root:x:0:0:secret"])
def test_a_configuration_file_that_is_none_is_not_quoted(tmp_path: Path, text: str) -> None:
    file = tmp_path / "c.json"
    file.write_text(text)
    (mistake,) = mistakes(base(configuration_path=str(file)))
    assert mistake.startswith("$.configuration_path: ")
    assert "secret" not in mistake


def test_a_configuration_file_that_is_a_pipe_or_device_holds_nobody_up(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "pipe"), "/dev/zero", str(tmp_path)):
        (mistake,) = mistakes(base(configuration_path=path))
        assert "no regular file" in mistake


def test_del_goes_on_without_its_configuration_file() -> None:
    assert parse(base(configuration_path="/nonexistent", vlan=7), strict=False).options.vlan == 7  # type: ignore[attr-defined]


def test_a_default_of_the_node_is_for_the_networks_that_it_fits() -> None:
    node = NodeFile(path="/node", defaults={"socketMode": "0660"})
    assert ovs(BASE, node).socket_mode is None
    assert ovs(base(interface_type="dpdkvhostuser"), node).socket_mode == 0o660


def test_a_good_netconf_reads_no_schema_and_loads_nothing_dear() -> None:
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from cni_userspace.cni import bounds, netconf, nodefile
from cni_userspace.engines.ovs_dpdk import conf
node = nodefile.NodeFile(path="/n", allow=nodefile.Allow(bridges=("br-*",)), defaults={"timeout": 7})
config = {"cniVersion": "1.0.0", "name": "n", "type": "x", "bridge": "br-a", "host": {}, "trunk": [{"id": 1}]}
parse = lambda _, getter: conf.parse_options(getter)
parsed = netconf.parse(config, {}, node, strict=True, engine_parser=parse)
bounds.check(parsed, node)
dear = "re enum typing dataclasses contextlib logging json pathlib functools collections fnmatch difflib yaml"
print(*[m for m in (*dear.split(), "cni_userspace.schema", "cni_userspace.cni.mistakes") if m in sys.modules])
"""
    root = netconf.__file__.rpartition("/cni_userspace/")[0]
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, root], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == ""

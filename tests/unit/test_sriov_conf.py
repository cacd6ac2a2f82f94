"""What a netconf asks of an SR-IOV device: defaults, the table of tags, sources, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace import plugin, schema
from cni_userspace.attach.store import Store
from cni_userspace.cni import netconf
from cni_userspace.cni.nodefile import Allow, NodeFile
from cni_userspace.cni.request import Request
from cni_userspace.engines.sriov.conf import SriovConf
from cni_userspace.errors import InvalidConfigError, UnsupportedFieldError
from tests.support.netconfs import BASE
from tests.support.parsing import mistakes, parse
from tests.support.sriovconfs import (
    ARM,
    BAD,
    GOOD,
    MAC,
    NESTED,
    TABLE,
    TYPED,
    UNSAID,
    UNSET,
    VF,
    of,
    pf,
    tagged,
    vf,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cni_userspace.cni.netconf import NetConf

EXAMPLES = Path(schema.HERE).parent / "netconf-examples"
PF_KEEPS = "does not go with `pfOnly`: the PF keeps its own MAC and its own settings"


def sriov(
    config: Mapping[str, Any],
    args: Mapping[str, str] | None = None,
    node: NodeFile = NodeFile(),  # noqa: B008  frozen
    *,
    strict: bool = True,
) -> SriovConf:
    options = parse(config, args, node, strict=strict).options
    assert isinstance(options, SriovConf)
    return options


def told(config: Mapping[str, Any], args: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(InvalidConfigError) as caught:
        parse(config, args)
    return caught.value.mistakes


def test_what_is_not_said_has_its_default() -> None:
    assert sriov(vf()) == SriovConf(
        device=VF,
        master="",
        pf_only=False,
        vf=None,
        vlan=None,
        qos=None,
        proto="802.1q",
        min_tx_rate=None,
        max_tx_rate=None,
        spoofchk=None,
        trust=None,
        link_state="",
        mtu=None,
        dpdk=False,
        dpdk_driver="vfio-pci",
        ifname_asked="",
        no_addresses=False,
    )


def test_what_is_said_is_kept() -> None:
    assert sriov(GOOD["every setting"]) == SriovConf(
        device=VF,
        vlan=1000,
        qos=4,
        proto="802.1ad",
        min_tx_rate=100,
        max_tx_rate=200,
        spoofchk=False,
        trust=True,
        link_state="enable",
        mtu=9000,
    )


@pytest.mark.parametrize(("vlan", "qos", "proto", "valid"), TABLE)
def test_the_table_of_vlan_priority_and_protocol(
    vlan: object, qos: object, proto: object, *, valid: bool
) -> None:
    config = tagged(vlan, qos, proto)
    assert (mistakes(config) == ()) is valid
    if valid:
        wanted = "802.1q" if proto is UNSET else str(proto).lower()
        assert (sriov(config).vlan, sriov(config).proto) == (vlan, wanted)


@pytest.mark.parametrize(("vlan", "qos", "proto", "valid"), [row for row in TABLE if isinstance(row[0], int)])
def test_the_table_holds_for_a_vlan_of_cni_args(
    vlan: object, qos: object, proto: object, *, valid: bool
) -> None:
    config = tagged(UNSET, qos, proto)
    if valid:
        assert sriov(config, {"VLAN": str(vlan)}).vlan == vlan
    else:
        assert told(config, {"VLAN": str(vlan)})


def test_a_tag_is_refused_in_words() -> None:
    assert mistakes(tagged(UNSET, 1, "802.1ad")) == (
        "$.vlanQoS: 1 needs `vlan`",
        '$.vlanProto: "802.1ad" needs `vlan`',
    )
    assert mistakes(tagged(0, 1, UNSET)) == ("$.vlanQoS: 1 needs a `vlan` over 0",)
    assert mistakes(tagged(5000, 1, "802.1ad")) == ("$.vlan: 5000 is not within 0 and 4094",)


@pytest.mark.parametrize("given", ["0000:AF:00.0", "0000:af:00.0", "AF:00.0", "af:00.0"])
def test_a_pci_address_is_kept_in_lower_case_with_its_domain(given: str) -> None:
    assert sriov({**vf(), "engine": "sriov", "deviceID": given}).device == "0000:af:00.0"
    assert parse({**vf(), "engine": "sriov", "deviceID": given}).device_id == "0000:af:00.0"
    assert sriov({**of(), "master": given}).master == "0000:af:00.0"


def test_a_pf_by_name_is_kept_as_it_is() -> None:
    assert sriov(of(vf=3)).master == "eth1"
    assert sriov({**of(), "master": "Ens1F0"}).master == "Ens1F0"


def test_a_device_and_its_pf_are_both_kept() -> None:
    conf = sriov(vf(master="eth1"))
    assert (conf.device, conf.master, conf.vf) == (VF, "eth1", None)


def test_the_runtimes_device_counts_first() -> None:
    conf = parse(vf(runtimeConfig={"deviceID": "0000:AF:06.2"}))
    assert conf.device_id == "0000:af:06.2"


def test_cni_args_count_before_the_netconf() -> None:
    conf = sriov(of(vf=1, vlan=7), {"VF": "2", "VLAN": "8", "IP": "10.55.206.46", "IgnoreUnknown": "1"})
    assert (conf.vf, conf.vlan) == (2, 8)
    assert sriov(of(vf=1, vlan=7), {"VF": "", "VLAN": ""}).vf == 1
    assert sriov(of(vf=1), {"VF": "0"}).vf == 0
    assert parse(of(mac=MAC), {"MAC": "02:00:00:00:00:09"}).mac == "02:00:00:00:00:09"


@pytest.mark.parametrize("text", ["-1", "x", "1.0", "65535", "9" * 5000, "\u0663"])
def test_a_vf_of_cni_args_is_an_index(text: str) -> None:
    (mistake,) = told(of(), {"VF": text})
    assert mistake.startswith("CNI_ARGS: VF: ")


def test_all_that_does_not_go_with_the_pf_is_told_at_once() -> None:
    keys = {"vlan": 7, "vf": 1, "vlanQoS": 2, "vlanProto": "802.1q", "max_tx_rate": 5, "min_tx_rate": 1}
    keys |= {"spoofchk": "on", "trust": "off", "link_state": "auto"}
    assert set(mistakes(pf(mac=MAC, **keys))) == {
        f"$.{key}: {json.dumps(value)} {PF_KEEPS}" for key, value in {"mac": MAC, **keys}.items()
    }


@pytest.mark.parametrize(
    ("config", "args", "path"),
    [
        (pf(), {"MAC": MAC}, "CNI_ARGS: MAC"),
        (pf(runtimeConfig={"mac": MAC}), {}, "$.runtimeConfig.mac"),
        (pf(args={"cni": {"mac": MAC}}), {}, "$.args.cni.mac"),
        (pf(mac=MAC), {}, "$.mac"),
    ],
)
def test_a_mac_for_the_pf_is_refused_whoever_says_it(
    config: dict[str, Any], args: dict[str, str], path: str
) -> None:
    assert told(config, args) == (f'{path}: "{MAC}" {PF_KEEPS}',)


def test_vf_and_vlan_of_cni_args_do_not_go_with_the_pf() -> None:
    assert told(pf(), {"VF": "1", "VLAN": "7"}) == (
        f'CNI_ARGS: VF: "1" {PF_KEEPS}',
        f'CNI_ARGS: VLAN: "7" {PF_KEEPS}',
    )


def test_the_nodes_defaults_for_vfs_are_not_the_pfs() -> None:
    node = NodeFile(path="/node", defaults={"vlan": 7, "trust": "on", "max_tx_rate": 5, "mtu": 9000})
    assert sriov(pf(), None, node) == SriovConf(master="eth1", pf_only=True, mtu=9000)
    conf = sriov(of(), None, node)
    assert (conf.vlan, conf.trust, conf.max_tx_rate, conf.mtu) == (7, True, 5, 9000)


def test_a_device_has_to_be_named_once() -> None:
    assert mistakes({**of(), "master": "", "engine": "sriov"})[0].startswith("$.deviceID: missing; ")
    assert mistakes({**pf(), "master": ""}) == ("$.pfOnly: true needs `master`, the PF",)
    assert mistakes(BAD["a VF without a PF"]) == ("$.vf: 1 needs `master`, the PF whose VF it counts",)
    said = f"does not go with a device that is named already: {VF}"
    assert mistakes(vf(master="eth1", vf=1)) == (f"$.vf: 1 {said}",)
    assert told(vf(master="eth1"), {"VF": "1"}) == (f'CNI_ARGS: VF: "1" {said}',)


def test_status_does_not_miss_the_device_that_only_an_add_names(tmp_path: Path) -> None:
    def call(command: str) -> NetConf:
        request = Request(command=command, args={}, config={**BASE, "type": "sriov", "cniVersion": "1.1.0"})
        return plugin.make_call(request, NodeFile(), Store(str(tmp_path))).conf

    assert call("STATUS").options == SriovConf()
    with pytest.raises(InvalidConfigError, match="1 mistake"):
        call("ADD")


def test_a_pf_that_is_wrong_is_not_missing_as_well() -> None:
    (mistake,) = mistakes({**of(), "master": "0000:af"})
    assert mistake == '$.master: "0000:af" is neither the name of a network interface nor a PCI address'


def test_an_auxiliary_device_is_said_to_be_one() -> None:
    (mistake,) = mistakes(BAD["an auxiliary device"])
    assert "an auxiliary device (a scalable function), which is not supported" in mistake


@pytest.mark.parametrize("config", [*BAD.values(), *TYPED.values(), *NESTED.values(), *UNSAID.values()])
def test_no_mistake_fails_del(config: dict[str, Any]) -> None:
    assert parse(config, {"VF": "x", "VLAN": "x"}, strict=False).engine in netconf.ENGINES


def test_what_is_wrong_counts_as_absent_for_del() -> None:
    conf = parse(of(deviceID="mlx5_core.sf.4", vlan=5000, spoofchk="yes", vlna=1), strict=False)
    assert (conf.engine, conf.device_id) == ("sriov", "")
    assert conf.options == SriovConf(master="eth1")


def test_multus_calls_del_with_next_to_nothing_and_the_type_says_the_engine() -> None:
    stripped = {"cniVersion": "1.0.0", "name": "n", "type": "sriov", "ipam": {"type": "host-local"}}
    conf = parse(stripped, strict=False)
    assert (conf.engine, conf.ipam_type, conf.options) == ("sriov", "host-local", SriovConf())


def test_dhcp_is_for_kernel_interfaces() -> None:
    assert parse(vf(ipam={"type": "dhcp"})).ipam_type == "dhcp"
    with pytest.raises(UnsupportedFieldError) as caught:
        parse(vf(dpdk=True, ipam={"type": "dhcp"}))
    assert '$.ipam.type: "dhcp" is not supported with `dpdk`: ' in caught.value.details


def test_arms_document_is_read_as_it_is_written() -> None:
    conf = parse(ARM)
    assert (conf.engine, conf.cni_version, conf.name) == ("sriov", "0.1.0", netconf.UNNAMED)
    assert conf.options == SriovConf(master="eth1", pf_only=True)
    assert conf.raw["ipam"] == ARM["ipam"]
    assert parse({**ARM, "type": "userspace"}).options == conf.options
    assert json.loads((EXAMPLES / "sriov-pf.json").read_text()) == ARM


def test_intels_older_keys_are_read_in_our_words() -> None:
    conf = parse(GOOD["Intel: a VF for DPDK"])
    assert conf.options == SriovConf(master="enp1s0f1", dpdk=True, dpdk_driver="igb_uio")
    assert sriov(GOOD["Intel: a VF"]).ifname_asked == "net0"
    assert sriov(GOOD["Intel: an index for DPDK"]) == SriovConf(master="eth1", vf=3, dpdk=True)
    device = parse(GOOD["Intel: a device for DPDK"])
    assert (device.device_id, device.options) == (VF, SriovConf(device=VF, dpdk=True, dpdk_driver="igb_uio"))
    assert sriov(vf(dpdk={"pci_addr": "0000:03:00.1"})).device == VF


def test_with_l2enable_ipam_is_not_asked() -> None:
    conf = parse(GOOD["Intel: layer 2 only"])
    assert conf.options == SriovConf(master="eth1", no_addresses=True)
    assert conf.ipam_type == ""
    assert parse({**GOOD["Intel: layer 2 only"], "l2enable": False}).ipam_type == "host-local"


def test_an_older_key_that_contradicts_ours_is_a_mistake() -> None:
    assert mistakes(of(if0="eth2")) == ('$.if0: "eth2" contradicts `master`',)
    assert mistakes(of(vf=1, dpdk={"vfid": 2})) == ("$.dpdk.vfid: 2 contradicts `vf`",)


def test_the_nodes_driver_contradicts_nobody() -> None:
    node = NodeFile(path="/node", defaults={"dpdkDriver": "uio_pci_generic"})
    assert sriov(of(dpdk={"dpdk_driver": "igb_uio"}), None, node).dpdk_driver == "igb_uio"
    assert sriov(of(dpdk=True), None, node).dpdk_driver == "uio_pci_generic"


def test_an_unknown_key_in_intels_object_is_one() -> None:
    assert mistakes(of(dpdk={"dpdk_drivr": "igb_uio"})) == (
        "$.dpdk.dpdk_drivr: unknown key; did you mean `dpdk_driver`?",
    )


def test_the_node_files_allow_does_not_judge_a_pf_before_it_is_looked_at() -> None:
    node = NodeFile(path="/node", allow=Allow())
    assert sriov(of(), None, node).master == "eth1"


def test_configuration_path_may_say_the_pf(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"master": "eth1", "dpdk": {"dpdk_driver": "igb_uio"}}))
    conf = parse({"cniVersion": "1.0.0", "name": "n", "type": "userspace", "configuration_path": str(file)})
    assert conf.options == SriovConf(master="eth1", dpdk=True, dpdk_driver="igb_uio")


def test_the_parser_knows_which_keys_are_whose() -> None:
    owned = {name: {key.lower() for key in keys} for name, keys in schema.keys_of_one_engine().items()}
    assert set(netconf.SRIOV_KEYS) | set(netconf.SRIOV_ONLY) == owned["sriov"]
    assert set(netconf.OVS_ONLY) | set(netconf.INTEL_KEYS) == owned["ovs-dpdk"]

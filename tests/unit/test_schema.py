"""The JSON Schema and the reference hold what the parser does."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from cni_userspace import schema
from cni_userspace.cni import netconf, nodefile
from cni_userspace.cni.getter import Getter, Problems, fold
from cni_userspace.engines.ovs_dpdk import conf as ovs_conf
from cni_userspace.engines.sriov import conf as sriov_conf
from cni_userspace.errors import InvalidConfigError
from cni_userspace.node import reference
from tests.support import netconfs, sriovconfs
from tests.support.parsing import mistakes

if TYPE_CHECKING:
    from pathlib import Path

    from cni_userspace.value import Value

NETCONF = schema.netconf()
NODE_FILE = schema.node_file()
ROOT = os.path.dirname(schema.HERE)
PARSERS = {"ovs-dpdk": ovs_conf.parse_options, "sriov": sriov_conf.parse_options}
FIELDS = {"vlanProto": "proto", "l2enable": "no_addresses"}  # of a conf, where its name is not the key's
GOOD, BAD, UNSAID = (
    {**getattr(netconfs, verdict), **{f"sriov: {k}": v for k, v in getattr(sriovconfs, verdict).items()}}
    for verdict in ("GOOD", "BAD", "UNSAID")
)


def verdicts(config: dict[str, Any]) -> tuple[bool, bool]:
    """Return whether the parser, and whether the schema, finds a configuration valid."""
    return not mistakes(config), not schema.mistakes(config, NETCONF)


@pytest.mark.parametrize("config", GOOD.values(), ids=GOOD)
def test_parser_and_schema_accept(config: dict[str, Any]) -> None:
    assert (mistakes(config), schema.mistakes(config, NETCONF)) == ((), [])


@pytest.mark.parametrize("config", BAD.values(), ids=BAD)
def test_parser_and_schema_refuse(config: dict[str, Any]) -> None:
    assert verdicts(config) == (False, False)


@pytest.mark.parametrize("config", UNSAID.values(), ids=UNSAID)
def test_the_parser_refuses_what_json_schema_has_no_words_for(config: dict[str, Any]) -> None:
    assert verdicts(config) == (False, True)


@pytest.mark.parametrize("cases", [netconfs.TYPED, netconfs.NESTED, sriovconfs.TYPED, sriovconfs.NESTED])
def test_parser_and_schema_agree_on_every_key_of_every_type(cases: dict[str, Any]) -> None:
    assert [name for name, config in cases.items() if len(set(verdicts(config))) > 1] == []


@pytest.mark.parametrize("whole", [NETCONF, NODE_FILE])
def test_a_schema_is_a_schema(whole: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(whole)
    json.dumps(whole)


def test_every_key_is_described_and_says_where_it_comes_from() -> None:
    for key, value in NETCONF["properties"].items():
        assert value["description"].endswith("."), key
        assert value["x-origin"] in reference.ORIGINS, key
    assert all(rule["description"] for rule in NETCONF["allOf"])


def test_the_parser_asks_for_the_keys_of_the_schema_and_no_others() -> None:
    asked: set[str] = set()

    def options(engine: str, getter: Getter) -> Value:
        parsed = PARSERS[engine](getter)
        late.append(getter)
        return parsed

    late: list[Getter] = []
    for network in ({"type": "x"}, {"type": "x", "master": "eth1"}):
        netconf.parse(network, {}, nodefile.NodeFile(), strict=True, engine_parser=options)
        asked.update(late[-1].asked.values())
    silent = {"host", "container"}  # asked for only in their dialect
    assert asked | silent == set(NETCONF["properties"])


def test_a_key_of_two_engines_is_described_for_each() -> None:
    words = NETCONF["properties"]["vlan"]["description"]
    assert words.startswith("With ovs-dpdk: ")
    assert "With sriov: " in words


def test_engines_agree_on_the_values_of_a_key_that_they_share() -> None:
    known: dict[str, Any] = {}
    for part in schema.engines().values():
        for key, value in part["properties"].items():
            form = {word: v for word, v in value.items() if word not in ("description", "x-origin")}
            assert known.setdefault(key, form) == form, key


def test_the_defaults_that_are_described_are_the_defaults() -> None:
    for network, engine in ({"type": "x"}, "ovs-dpdk"), ({"type": "x", "master": "eth1"}, "sriov"):
        conf = netconf.parse(
            network, {}, nodefile.NodeFile(), strict=True, engine_parser=lambda name, g: PARSERS[name](g)
        )
        part = schema.engines()[engine]["properties"]
        fields = {
            "cniVersion": conf.cni_version,
            "sharedDir": conf.shared_dir,
            "timeout": conf.timeout,
            "logLevel": conf.log_level,
            "ipMasq": False,
            **{key: getattr(conf.options, FIELDS.get(key, _field(key)), None) for key in part},
        }
        keys = {**{k: v for k, v in NETCONF["properties"].items() if "x-group" in v}, **part}
        described = {key: value["default"] for key, value in keys.items() if "default" in value}
        assert {key: fields[key] for key in described} == described
    own = {"stateDir": nodefile.STATE_DIR, "linkDir": nodefile.LINK_DIR, "kubeletDir": nodefile.KUBELET_DIR}
    assert {key: NODE_FILE["properties"][key]["default"] for key in own} == own


def _field(key: str) -> str:
    """Return a key in snake case."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in key)


def test_common_defaults_of_a_node_are_keys_of_the_schema() -> None:
    assert set(schema.node_keys()) >= nodefile.COMMON


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"stateDir": "/s", "allow": {"bridges": ["br-*"], "databases": ["tcp:[::1]:6640"]}, "bridge": "b"},
        {"stateDir": 5},
        {"linkDir": "../l"},
        {"allow": None},
        {"allow": {"bridges": "br-*"}},
        {"allow": {"bridges": ["a/b"]}},
        {"allow": {"databases": ["ssl:a:1"]}},
        {"allow": {"logFiles": [""]}},
        {"allow": {"sharedDirs": ["/"]}},
        {"allow": {"bridge": []}},
        {"engine": "ovs-dpdk"},
        {"mac": "02:00:00:00:00:01"},
        {"unknown": 1},
    ],
)
def test_node_file_and_schema_agree(tmp_path: Path, config: dict[str, Any]) -> None:
    file = tmp_path / "userspace.conf"
    file.write_text(json.dumps(config))
    file.chmod(0o600)
    try:
        nodefile.load({"USERSPACE_CNI_CONF": str(file)})
        valid = True
    except InvalidConfigError:
        valid = False
    assert valid == (not schema.mistakes(config, NODE_FILE))


def test_a_configuration_is_put_into_the_schemas_spelling() -> None:
    config = {"TYPE": "x", "Host": {"VHOST": {"Mode": ""}}, "LOGLEVEL": "DEBUG", "mac": "", "Odd": ""}
    wanted = {"type": "x", "host": {"vhost": {}}, "logLevel": "debug", "Odd": ""}
    assert schema.canonical(config, NETCONF) == wanted


def test_json_paths_are_those_of_the_parser() -> None:
    problems = Problems()
    fold({"a b": 1, "a": 2}, "$", problems)
    assert Getter([fold({"a": 2}, "$", problems)], problems).find("a")[0] == "$.a"


def test_the_reference_has_an_index_of_every_key() -> None:
    index = reference.netconf().partition("\n## ")[0]
    for part in schema.engines().values():
        assert all(f"[`{key}`](#{key.lower()}" in index for key in part["properties"])
    assert "[`vlan`](#vlan), " in index
    assert "[`vlan`](#vlan-1), " in index


@pytest.mark.parametrize(
    ("page", "text"), [("netconf.md", reference.netconf()), ("node-file.md", reference.node_file())]
)
def test_the_reference_is_what_the_schema_says(page: str, text: str) -> None:
    with open(os.path.join(ROOT, "docs", "reference", page), encoding="utf-8") as file:
        assert file.read() == text

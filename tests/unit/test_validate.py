"""`userspace validate`: what it finds in files, and what it says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cni_userspace import schema
from cni_userspace.cni.nodefile import Allow, NodeFile
from cni_userspace.node import cli, validate

FOLDER = Path(schema.HERE).parent / "netconf-examples"
EXAMPLES = sorted([*FOLDER.glob("*.json"), *FOLDER.glob("*.yaml")])
GOOD = {"cniVersion": "1.0.0", "name": "n", "type": "userspace", "vlan": 7}
BAD = {**GOOD, "vlna": 7}


@pytest.fixture(autouse=True)
def _no_node_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("USERSPACE_CNI_CONF", str(tmp_path / "no-node-file"))


def definition(name: str, config: object) -> dict[str, Any]:
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name},
        "spec": {"config": config if isinstance(config, str) else json.dumps(config)},
    }


def judged(folder: Path, content: object) -> list[validate.Verdict]:
    file = folder / "file"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return validate.judge_file(str(file), NodeFile())


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_each_example_is_valid(file: Path) -> None:
    assert [v.mistakes for v in validate.judge_file(str(file), NodeFile()) if v.network] == [()]


def test_there_are_examples_each_with_its_words() -> None:
    assert len(EXAMPLES) >= 8
    words = (FOLDER / "README.md").read_text()
    assert [file.name for file in FOLDER.iterdir() if f"({file.name})" not in words] == ["README.md"]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("sriov*")), ids=lambda file: file.name)
def test_the_examples_of_sriov_are_sriovs(file: Path) -> None:
    assert [verdict.engine for verdict in validate.judge_file(str(file), NodeFile())] == ["sriov"]


def test_a_netconf_is_judged(tmp_path: Path) -> None:
    (good,) = judged(tmp_path, GOOD)
    assert (good.network, good.engine, good.mistakes) == ("n", "ovs-dpdk", ())
    (bad,) = judged(tmp_path, BAD)
    assert bad.mistakes == ("$.vlna: unknown key; did you mean `vlan`?",)


def test_of_a_list_only_our_plugins_are_judged_with_the_lists_name(tmp_path: Path) -> None:
    plugins = [{"type": "tuning", "x": 1}, {"type": "userspace"}, {"type": "userspace", "vlna": 1}]
    verdicts = judged(tmp_path, {"cniVersion": "1.0.0", "name": "l", "plugins": plugins})
    assert [(v.where, v.network, len(v.mistakes)) for v in verdicts] == [
        ("plugins[1]", "l", 0),
        ("plugins[2]", "l", 1),
    ]


def test_a_definition_lends_its_name_as_multus_does(tmp_path: Path) -> None:
    (verdict,) = judged(tmp_path, definition("net-a", {"cniVersion": "1.0.0", "type": "userspace"}))
    assert (verdict.network, verdict.mistakes) == ("net-a", ())
    plugins = {"cniVersion": "1.0.0", "plugins": [{"type": "userspace"}]}
    (verdict,) = judged(tmp_path, definition("net-b", plugins))
    assert (verdict.network, verdict.mistakes) == ("net-b", ())


def test_a_network_that_declares_the_device_capability_gets_its_device_at_add(tmp_path: Path) -> None:
    network = {"cniVersion": "1.1.0", "name": "n", "type": "userspace", "engine": "sriov", "vlan": 7}
    (verdict,) = judged(tmp_path, {**network, "capabilities": {"deviceID": True}})
    assert verdict.mistakes == ()
    assert "puts in" in verdict.notes[0]
    (verdict,) = judged(tmp_path, network)
    assert "$.deviceID: missing" in verdict.mistakes[0]


def test_a_definition_of_a_resource_gets_its_device_from_multus(tmp_path: Path) -> None:
    config = {"cniVersion": "1.0.0", "type": "userspace", "engine": "sriov", "vlan": 7}
    (alone,) = judged(tmp_path, definition("net-a", config))
    assert alone.mistakes[0].startswith("$.deviceID: missing; ")
    whole = definition("net-a", config)
    whole["metadata"]["annotations"] = {"k8s.v1.cni.cncf.io/resourceName": "example.com/vfs"}
    (verdict,) = judged(tmp_path, whole)
    assert (verdict.engine, verdict.mistakes) == ("sriov", ())
    assert "the resource example.com/vfs" in verdict.notes[0]


def test_sriovs_own_type_is_judged_and_the_link_is_told(tmp_path: Path) -> None:
    plugins = [{"type": "sriov", "master": "eth1"}, {"type": "sriov", "bridge": "br0"}, {"type": "tuning"}]
    good, bad = judged(tmp_path, {"cniVersion": "1.0.0", "name": "l", "plugins": plugins})
    assert (good.engine, good.mistakes) == ("sriov", ())
    assert "is a link to it" in good.notes[0]
    assert "$.bridge: is a key of the engine ovs-dpdk, and this network's engine is sriov" in bad.mistakes


def test_that_add_alone_can_bound_the_pf_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps({**GOOD, "master": "eth1"}))
    bounded, free = (
        validate.judge_file(str(tmp_path / "file"), NodeFile(path="/node", allow=allow))
        for allow in (Allow(), None)
    )
    assert "`allow.pfs`" in bounded[0].notes[0]
    assert free[0].notes == ()


def test_a_device_that_is_bound_during_add_is_told(tmp_path: Path) -> None:
    (verdict,) = judged(tmp_path, {**GOOD, "master": "eth1", "dpdk": True})
    assert "too late for the kubelet" in verdict.notes[0]


def test_every_document_of_a_yaml_file_is_looked_at(tmp_path: Path) -> None:
    documents = [definition("a", GOOD), {"apiVersion": "v1", "kind": "Pod"}, definition("b", BAD)]
    text = "\n---\n".join(f"# comment\n{json.dumps(d)}" for d in documents)
    verdicts = judged(tmp_path, text)
    assert [(v.where, v.network, bool(v.mistakes)) for v in verdicts] == [
        ("document 1 NetworkAttachmentDefinition a", "n", False),
        ("document 2", "", False),
        ("document 3 NetworkAttachmentDefinition b", "n", True),
    ]


def test_every_item_of_a_list_is_looked_at_whatever_the_first_is(tmp_path: Path) -> None:
    items = [{"apiVersion": "v1", "kind": "Pod"}, definition("a", GOOD)]
    verdicts = judged(tmp_path, {"apiVersion": "v1", "kind": "List", "items": items})
    assert [(v.where, v.network) for v in verdicts] == [
        ("items[0]", ""),
        ("items[1] NetworkAttachmentDefinition a", "n"),
    ]


def test_yaml_that_is_no_kubernetes_object_is_a_netconf(tmp_path: Path) -> None:
    (verdict,) = judged(tmp_path, "type: userspace\nname: n\nvlan: 7\nmac: 2020-01-01\n")
    assert verdict.mistakes == ('$.mac: "2020-01-01" is no MAC address (aa:bb:cc:dd:ee:ff)',)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "7",
        '{"a": ',
        "a: [",
        "\0",
        {"plugins": 5},
        {"plugins": [{"type": "tuning"}]},
        definition("a", "{"),
        definition("a", "[]"),
        definition("a", ""),
        {"apiVersion": "v1", "kind": "Pod"},
        {"apiVersion": "v1", "kind": "List", "items": 5},
        "[" * 5000,
        "- " * 5000 + "a",
        {"kind": "NetworkAttachmentDefinition", "apiVersion": "x", "spec": {"config": {"type": "userspace"}}},
    ],
)
def test_what_holds_no_configuration_is_not_valid(tmp_path: Path, content: object) -> None:
    assert any(verdict.mistakes for verdict in judged(tmp_path, content))


def test_unsupported_things_are_mistakes_here(tmp_path: Path) -> None:
    (verdict,) = judged(tmp_path, {**GOOD, "engine": "vpp"})
    assert "VPP" in verdict.mistakes[0]


def test_this_nodes_bounds_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node = tmp_path / "node"
    node.write_text('{"allow": {}}')
    node.chmod(0o600)
    (tmp_path / "n.json").write_text(json.dumps({**GOOD, "sharedDir": "/etc"}))
    monkeypatch.setenv("USERSPACE_CNI_CONF", str(node))
    assert validate.run([str(tmp_path / "n.json")]) == 1
    said = capsys.readouterr().out
    assert '`sharedDir`: "/etc" is not among `allow.sharedDirs`' in said
    assert f"Bounded by `allow` in the node file {node}." in said


@pytest.mark.parametrize(("content", "words"), [(None, "No node file at"), ({}, "has no `allow`")])
def test_it_says_when_nothing_bounds_the_node(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: object,
    words: str,
) -> None:
    if content is not None:
        file = Path(os.environ["USERSPACE_CNI_CONF"])
        file.write_text(json.dumps(content))
        file.chmod(0o600)
    (tmp_path / "n.json").write_text(json.dumps(GOOD))
    assert validate.run([str(tmp_path / "n.json")]) == 0
    assert words in capsys.readouterr().out


def test_a_node_file_that_is_there_and_cannot_be_read_is_not_called_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(os.environ["USERSPACE_CNI_CONF"])
    (tmp_path / "n.json").write_text(json.dumps(GOOD))
    file.symlink_to("nothing")
    assert cli.main(["validate", str(tmp_path / "n.json")]) == 0
    assert f"The node file {file} is a link to nothing" in capsys.readouterr().out
    file.unlink()
    file.mkdir()
    assert cli.main(["validate", str(tmp_path / "n.json")]) == 1
    said = capsys.readouterr()
    assert (said.out, f"{file}: is no regular file" in said.err) == ("", True)


def test_json_output_keeps_its_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "n.json").write_text(json.dumps(BAD))
    assert cli.main(["validate", "-o", "json", str(tmp_path / "n.json"), "/nonexistent"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report == {
        "valid": False,
        "nodeFile": "",
        "bounded": False,
        "results": [
            {
                "file": str(tmp_path / "n.json"),
                "where": "",
                "network": "n",
                "engine": "",
                "mistakes": ["$.vlna: unknown key; did you mean `vlan`?"],
                "notes": [],
                "valid": False,
            },
            {
                "file": "/nonexistent",
                "where": "",
                "network": "",
                "engine": "",
                "mistakes": ["cannot be read: No such file or directory"],
                "notes": [],
                "valid": False,
            },
        ],
    }


def test_the_schemas_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema.netconf()
    assert cli.main(["schema", "--node-file"]) == 0
    assert json.loads(capsys.readouterr().out) == schema.node_file()

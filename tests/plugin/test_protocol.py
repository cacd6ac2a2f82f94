"""The protocol as the executable shows it: variables, stdin, versions, errors, silence.

Source: CNI specification 1.1.0, "Execution Protocol" and "Error"; what the Go
skeleton (containernetworking/cni pkg/skel) answers where the text is silent.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace import schema
from tests.support import caller
from tests.support.plugin import DEADLINE_SECONDS

if TYPE_CHECKING:
    from tests.conftest import MakePlugin
    from tests.support.node import Node
    from tests.support.plugin import Outcome, Plugin

pytestmark = pytest.mark.runtime

VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
CONTAINERID, NETNS, IFNAME, PATH = "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"
NEEDED = {
    "ADD": {CONTAINERID, NETNS, IFNAME, PATH},
    "CHECK": {CONTAINERID, NETNS, IFNAME, PATH},
    "DEL": {CONTAINERID, IFNAME},
    "GC": {PATH},
}
WORDS = {CONTAINERID: "c1", NETNS: "/run/netns/none", IFNAME: "net1", PATH: "/nowhere"}


@pytest.fixture
def lone(make_plugin: MakePlugin) -> Plugin:
    """Give the plugin on a node without a switch: for calls that must not get that far."""
    return make_plugin(socket_file="/nowhere/db.sock")


def is_cni_error(outcome: Outcome, code: int, version: str = "1.1.0") -> bool:
    """Tell whether a call ended as the specification wants an error."""
    answer = outcome.answer
    assert outcome.returncode == 1, outcome
    assert outcome.stdout.count("\n") == 1, outcome
    assert "Traceback" not in outcome.stderr, outcome
    assert set(answer) - {"hint"} == {"cniVersion", "code", "msg", "details"}, answer
    assert all(isinstance(answer[key], str) and answer[key] for key in set(answer) - {"code", "details"})
    assert answer["cniVersion"] == version, answer
    assert answer["code"] == code, answer
    return True


# --- the environment


@pytest.mark.parametrize("command", ["", "add", "ADDD", "UPDATE"])
def test_another_command_is_error_4(lone: Plugin, command: str) -> None:
    assert is_cni_error(lone.run({**WORDS, "CNI_COMMAND": command}, lone.conf()), 4)


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("command", NEEDED)
def test_all_missing_variables_are_named_in_one_error(lone: Plugin, command: str, *, empty: bool) -> None:
    words = dict.fromkeys(WORDS, "") if empty else {}
    failed = lone.run({**words, "CNI_COMMAND": command}, lone.conf())
    assert is_cni_error(failed, 4)
    assert {name for name in WORDS if name in failed.words} == NEEDED[command]


@pytest.mark.parametrize("place", [None, "", "/run/netns/gone"])
def test_del_needs_no_network_namespace(node: Node, place: str | None) -> None:
    node.add().succeeded()
    words = node.words("DEL")
    del words[NETNS]
    node.plugin.run(words if place is None else {**words, NETNS: place}, node.plugin.conf()).succeeded()
    assert node.left() == []


def test_status_needs_no_path(node: Node) -> None:
    node.plugin.run({"CNI_COMMAND": "STATUS"}, node.plugin.conf()).succeeded()


@pytest.mark.parametrize("command", ["ADD", "CHECK", "DEL"])
@pytest.mark.parametrize("name", ["-a", ".a", "_a", "a/b", "a b", "../../etc", "a\n", "ä"])
def test_a_malformed_container_id_is_error_4(lone: Plugin, command: str, name: str) -> None:
    failed = lone.run({**WORDS, "CNI_COMMAND": command, CONTAINERID: name}, lone.conf())
    assert is_cni_error(failed, 4)
    assert CONTAINERID in failed.words


@pytest.mark.parametrize("command", ["ADD", "CHECK", "DEL"])
@pytest.mark.parametrize(
    "name", [".", "..", "a/b", "a:b", "a b", "a\tb", "a\x01", "sixteen-letters-", "ä" * 8]
)
def test_a_malformed_interface_name_is_error_4(lone: Plugin, command: str, name: str) -> None:
    failed = lone.run({**WORDS, "CNI_COMMAND": command, IFNAME: name}, lone.conf())
    assert is_cni_error(failed, 4)
    assert IFNAME in failed.words


@pytest.mark.parametrize("name", ["a", "fifteen-letters", "...", "a@b", "net1.json", "äöü"])
def test_any_other_interface_name_works(node: Node, name: str) -> None:
    answer = node.add(ifname=name).succeeded()
    assert answer["interfaces"][-1]["name"] == name
    node.delete(ifname=name).succeeded()
    assert node.left() == []


@pytest.mark.parametrize("container", ["a", "A.b_c-d", "x" * 250, "x" * 1000])
def test_a_container_id_of_any_length_works(node: Node, container: str) -> None:
    answer = node.add(container=container).succeeded()
    node.check(container=container, prevResult=answer).succeeded()
    node.delete(container=container).succeeded()
    assert node.left() == []


def test_malformed_cni_args_fail_add_and_not_del(node: Node) -> None:
    failed = node.add(cni_args="IgnoreUnknown")
    assert is_cni_error(failed, 4)
    assert "CNI_ARGS" in failed.words
    node.add().succeeded()
    node.delete(cni_args="IgnoreUnknown").succeeded()
    assert node.left() == []


def test_repeated_and_unknown_cni_args_are_no_mistake(node: Node) -> None:
    multus = "IgnoreUnknown=true;K8S_POD_NAME=p;K8S_POD_UID=;IgnoreUnknown=1;K8S_POD_NAME=p;OTHER=a=b;"
    node.add(cni_args=multus).succeeded()
    node.delete(cni_args=multus).succeeded()
    assert node.left() == []


# --- the network namespace


@pytest.mark.parametrize("place", ["/run/netns/missing", "/etc/hostname", "/", "/proc/self/ns/mnt"])
def test_what_is_no_network_namespace_is_error_3(node: Node, place: str) -> None:
    failed = node.add(netns=place)
    assert is_cni_error(failed, 3)
    assert place in failed.words
    assert node.left() == []


def test_a_relative_path_of_the_network_namespace_is_error_4(lone: Plugin) -> None:
    assert is_cni_error(lone.add(lone.conf(), "c1", "netns"), 4)


@pytest.mark.parametrize("command", ["ADD", "CHECK"])
def test_the_plugins_own_network_namespace_is_error_8(node: Node, command: str) -> None:
    conf = node.plugin.conf(prevResult={"cniVersion": "1.1.0"})
    failed = node.plugin.run(node.words(command, netns="/proc/self/ns/net"), conf)
    assert is_cni_error(failed, 8)
    assert "/proc/self/ns/net" in failed.words
    assert node.left() == []


@pytest.mark.parametrize("override", ["1", "true", "TRUE"])
def test_the_override_permits_the_plugins_own_network_namespace(node: Node, override: str) -> None:
    words = node.words("ADD", netns="/proc/self/ns/net", CNI_NETNS_OVERRIDE=override)
    answer = node.plugin.run(words, node.plugin.conf()).succeeded()
    conf = node.plugin.conf(prevResult=answer)
    for command in ("CHECK", "DEL"):
        node.plugin.run({**words, "CNI_COMMAND": command}, conf).succeeded()
    assert node.left() == []


def test_an_interface_name_that_the_container_has_in_its_kernel_is_refused(node: Node) -> None:
    node.netns.run("ip", "tuntap", "add", "net1", "mode", "tap")
    for ifname in ("net1", "lo"):
        failed = node.add(ifname=ifname)
        assert is_cni_error(failed, 103)
        assert ifname in failed.words
    assert node.left() == []


def test_an_interface_name_that_another_network_gave_the_container_is_refused(node: Node) -> None:
    node.add(name="other").succeeded()
    failed = node.add()
    assert is_cni_error(failed, 103)
    assert "other" in failed.words
    node.delete().succeeded()
    assert len(node.switch.ports()) == 1
    node.delete(name="other").succeeded()
    assert node.left() == []


def test_a_repeated_add_is_refused_and_breaks_nothing(node: Node) -> None:
    answer = node.add().succeeded()
    assert is_cni_error(node.add(), 103)
    node.check(prevResult=answer).succeeded()


# --- versions


@pytest.mark.parametrize("version", ["9.9.9", "1.2.0", "1.1", "v1.1.0"])
@pytest.mark.parametrize("command", [*NEEDED, "STATUS"])
def test_an_unsupported_version_is_error_1(lone: Plugin, command: str, version: str) -> None:
    failed = lone.run({**WORDS, "CNI_COMMAND": command}, lone.conf(cniVersion=version))
    assert is_cni_error(failed, 1, version)
    assert all(known in failed.words for known in VERSIONS)


@pytest.mark.parametrize(
    ("command", "version"),
    [("CHECK", "0.3.1"), ("CHECK", None), ("GC", "1.0.0"), ("GC", "0.4.0"), ("STATUS", "1.0.0")],
)
def test_a_command_that_the_version_does_not_know_is_error_1(
    lone: Plugin, command: str, version: str | None
) -> None:
    conf = lone.conf(cniVersion=version, prevResult={}, **{"cni.dev/valid-attachments": []})
    assert is_cni_error(lone.run({**WORDS, "CNI_COMMAND": command}, conf), 1, version or "0.1.0")


@pytest.mark.parametrize("version", ["", None, "0.1.0", "0.2.0"])
def test_a_configuration_without_version_or_name_is_an_old_one(node: Node, version: str | None) -> None:
    answer = node.add(cniVersion=version, name=None).succeeded()
    assert answer["cniVersion"] == (version or "0.1.0")
    node.delete(cniVersion=version, name=None).succeeded()
    assert node.left() == []


@pytest.mark.parametrize("name", [None, "", "-a", "a/b", "a b", "../x"])
def test_a_malformed_network_name_is_error_7(node: Node, name: str | None) -> None:
    failed = node.add(name=name)
    assert is_cni_error(failed, 7)
    assert "name" in failed.words
    assert node.left() == []


def test_all_mistakes_of_a_configuration_come_at_once(node: Node) -> None:
    failed = node.add(vlan=5000, mtu="big", brige="br0")
    assert is_cni_error(failed, 7)
    assert all(words in failed.words for words in ("$.vlan", "$.mtu", "$.brige", "did you mean `bridge`"))
    assert node.left() == []


# --- VERSION


def version_of(lone: Plugin, stdin: bytes, **more: str) -> dict[str, Any]:
    return caller.call(lone, {"CNI_COMMAND": "VERSION", **more}, stdin).succeeded()


def test_version_names_all_supported_versions(lone: Plugin) -> None:
    assert version_of(lone, b"") == {"cniVersion": "1.1.0", "supportedVersions": VERSIONS}


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0"])
def test_version_answers_in_the_version_that_stands_on_stdin(lone: Plugin, version: str) -> None:
    text = json.dumps({"cniVersion": version}).encode()
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)
    with open(reader, "rb") as stdin:
        process = caller.start(lone, {"CNI_COMMAND": "VERSION"}, stdin=stdin.fileno())
    assert caller.finish(process).succeeded()["cniVersion"] == version


@pytest.mark.parametrize(
    "stdin", [b"nonsense", b"[]", b"\xff\xfe", b'{"cniVersion": 5}', b'{"cniVersion": "']
)
def test_version_minds_nothing_on_stdin(lone: Plugin, stdin: bytes) -> None:
    assert version_of(lone, stdin)["cniVersion"] == "1.1.0"


def test_version_does_not_wait_for_stdin(lone: Plugin) -> None:
    process = caller.start(lone, {"CNI_COMMAND": "VERSION"})
    try:
        assert process.wait(DEADLINE_SECONDS) == 0  # its stdin is open all the time
    finally:
        answer = caller.finish(process).succeeded()
    assert answer["supportedVersions"] == VERSIONS


def test_version_needs_no_stdin_at_all(lone: Plugin) -> None:
    command = ["sh", "-c", 'exec "$0" <&-']
    process = caller.start(lone, {"CNI_COMMAND": "VERSION"}, before=command, stdin=subprocess.DEVNULL)
    assert caller.finish(process).succeeded()["supportedVersions"] == VERSIONS


def test_version_minds_no_variable(lone: Plugin) -> None:
    podman = {NETNS: "dummy", IFNAME: "dummy", PATH: "dummy", CONTAINERID: "", "CNI_ARGS": "x"}
    assert version_of(lone, b"", **podman)["supportedVersions"] == VERSIONS


# --- what is said, and what is not


def test_success_of_all_but_add_and_version_is_silent(node: Node) -> None:
    answer = node.add().succeeded()
    valid = [(node.container, "net1")]
    conf = node.plugin.conf()
    for outcome in (
        node.check(prevResult=answer),
        node.plugin.status(conf),
        node.plugin.gc(conf, valid),
        node.delete(),
        node.delete(),
    ):
        assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_add_prints_one_line_on_stdout_and_logs_on_stderr(node: Node) -> None:
    added = node.add(logLevel="verbose")
    assert added.stdout.count("\n") == 1
    assert added.succeeded()["cniVersion"] == "1.1.0"
    silent = node.delete(logLevel="error")
    assert (silent.stdout, silent.stderr) == ("", "")


def deep(levels: int) -> bytes:
    return b'{"cniVersion": "1.1.0", "name": "fast", "x": ' + b"[" * levels + b"]" * levels + b"}"


BROKEN: dict[str, tuple[bytes, int]] = {  # what stands on stdin -> the code of the error
    "nothing": (b"", 6),
    "white space": (b" \n\t", 6),
    "a word": (b"nonsense", 6),
    "half a document": (b'{"cniVersion": "1.1.0", "name": "fa', 6),
    "two documents": (b"{} {}", 6),
    "a list": (b"[]", 6),
    "a string": (b'"text"', 6),
    "a number": (b"17", 6),
    "null": (b"null", 6),
    "NaN": (b'{"vlan": NaN}', 6),
    "single quotes": (b"{'name': 'fast'}", 6),
    "a control character in a string": (b'{"name": "a\x01b"}', 6),
    "no UTF-8": (b'{"name": "\xff\xfe"}', 6),
    "UTF-16": ('{"name": "fast"}'.encode("utf-16"), 6),
    "zero bytes": (b"\0" * 4096, 6),
    "ten megabytes of nothing": (b" " * 10_000_000, 6),
    "a number of five thousand digits": (b'{"name": "fast", "vlan": ' + b"9" * 5000 + b"}", 6),
    "nested a hundred thousand deep": (deep(100_000), 6),
    "an object without end": (b'{"a":' * 100_000, 6),
}


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK", "GC", "STATUS"])
def test_broken_text_on_stdin_is_one_cni_error(lone: Plugin, command: str) -> None:
    for what, (text, code) in BROKEN.items():
        outcome = caller.call(lone, {**WORDS, "CNI_COMMAND": command}, text)
        assert is_cni_error(outcome, code), what
    assert lone.files() == []


HUGE: dict[str, dict[str, Any]] = {
    "ten megabytes of text": {"x": "y" * 10_000_000},
    "a key of a megabyte": {"x" * 1_000_000: 1},
    "fifty thousand unknown keys": {f"brige{n}": 1 for n in range(50_000)},
    "a list of fifty thousand mistakes": {"trunk": [7] * 50_000},
}


@pytest.mark.parametrize("what", HUGE)
def test_a_huge_configuration_gets_an_error_that_a_person_can_read(lone: Plugin, what: str) -> None:
    failed = lone.add(lone.conf(**HUGE[what]), "c1", "/run/netns/none")
    assert is_cni_error(failed, 7)
    assert len(failed.stdout) < 10_000


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_text_that_is_no_utf8_is_refused_in_every_locale(lone: Plugin, locale: str) -> None:
    words = {**WORDS, "CNI_COMMAND": "ADD", "LC_ALL": locale}
    assert is_cni_error(caller.call(lone, words, b'{"name": "\xff\xfe"}'), 6)


ODD: dict[str, Any] = {  # values for every key; tests/unit has all types for the parser
    "null": None,
    "a huge number": 10**300,
    "an object": {"a": {"b": []}},
    "a lone surrogate": "\ud800",
    "a NUL": "a\0b",
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_values_of_any_key_are_a_result_or_one_cni_error(node: Node, odd: str) -> None:
    for key in schema.properties():
        conf = {**node.plugin.conf(), key: ODD[odd]}
        outcome = node.plugin.add(conf, node.container, node.netns.path)
        if outcome.returncode:
            assert outcome.answer["code"] in (1, 2, 3, 5, 7, 103), (key, outcome)
            assert is_cni_error(outcome, outcome.answer["code"], outcome.answer["cniVersion"]), key
            assert node.plugin.files() == [], key
        else:
            node.delete(conf=conf).succeeded()
    assert node.left() == []

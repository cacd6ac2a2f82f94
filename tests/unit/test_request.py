"""The request: what of a runtime's environment and stdin is accepted, and what is said of the rest.

CNI specification 1.1.0, section 2; the codes are those of the Go skeleton.
"""

from __future__ import annotations

import pytest

from cni_userspace.cni.request import COMMANDS, Request, parse_args, parse_config, parse_environment
from cni_userspace.errors import BadEnvironmentError, DecodeError

WHOLE = {
    "CNI_CONTAINERID": "c1",
    "CNI_NETNS": "/run/netns/c1",
    "CNI_IFNAME": "net1",
    "CNI_PATH": "/opt/cni/bin:/usr/lib/cni",
    "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=pod1",
}
MUST = {
    "ADD": {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"},
    "CHECK": {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"},
    "DEL": {"CNI_CONTAINERID", "CNI_IFNAME"},
    "GC": {"CNI_PATH"},
    "STATUS": set(),
    "VERSION": set(),
}
LONG = "e" * 16


def parse(command: str = "ADD", **changed: str | None) -> Request:
    env = {**WHOLE, "CNI_COMMAND": command, **changed}
    return parse_environment({k: v for k, v in env.items() if v is not None})


def words(**changed: str | None) -> str:
    with pytest.raises(BadEnvironmentError) as caught:
        parse(**changed)  # type: ignore[arg-type]
    assert caught.value.code == 4
    return f"{caught.value.msg}: {caught.value.details}"


def test_a_whole_environment_becomes_a_request() -> None:
    assert parse() == Request(
        command="ADD",
        container_id="c1",
        netns="/run/netns/c1",
        ifname="net1",
        path=("/opt/cni/bin", "/usr/lib/cni"),
        args={"IgnoreUnknown": "1", "K8S_POD_NAME": "pod1"},
        config={},
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("variable", sorted(WHOLE))
@pytest.mark.parametrize("value", [None, ""])
def test_each_command_needs_its_own_variables(command: str, variable: str, value: str | None) -> None:
    if variable in MUST[command]:
        assert variable in words(command=command, **{variable: value})
    else:
        assert parse(command, **{variable: value}).command == command


@pytest.mark.parametrize("command", COMMANDS)
def test_all_missing_variables_are_named_at_once(command: str) -> None:
    if not MUST[command]:
        assert parse_environment({"CNI_COMMAND": command}).command == command
        return
    with pytest.raises(BadEnvironmentError) as caught:
        parse_environment({"CNI_COMMAND": command})
    assert all(name in caught.value.details for name in MUST[command])


@pytest.mark.parametrize("command", ["", "add", "UPDATE"])
def test_an_unknown_command_is_refused(command: str) -> None:
    assert words(command=command) == (
        f"unknown CNI_COMMAND: {command}: one of ADD, DEL, CHECK, GC, STATUS, VERSION is wanted"
    )


@pytest.mark.parametrize("name", ["c", "0", "A.b_c-d", "f" * 64, "cnitool-77383ca0a0715733ca6f"])
def test_container_ids_of_the_specified_form_are_accepted(name: str) -> None:
    assert parse(CNI_CONTAINERID=name).container_id == name


@pytest.mark.parametrize("name", ["-a", ".a", "_a", "a/b", "..", "a b", "a\n", "ä", "a:b", "a\udcff"])
@pytest.mark.parametrize("command", ["ADD", "CHECK", "DEL"])
def test_other_container_ids_are_refused(command: str, name: str) -> None:
    assert "CNI_CONTAINERID" in words(command=command, CNI_CONTAINERID=name)


@pytest.mark.parametrize("name", ["e", "eth0", "e" * 15, "a.b", "a-b_c@d", "..."])
def test_interface_names_that_linux_takes_are_accepted(name: str) -> None:
    assert parse(CNI_IFNAME=name).ifname == name


@pytest.mark.parametrize("name", [LONG, ".", "..", "a/b", "a:b", "a b", "a\tb", "a\n", "\x7f", "é" * 8])
@pytest.mark.parametrize("command", ["ADD", "CHECK", "DEL"])
def test_other_interface_names_are_refused(command: str, name: str) -> None:
    assert "CNI_IFNAME" in words(command=command, CNI_IFNAME=name)


def test_all_malformed_variables_are_named_at_once() -> None:
    said = words(CNI_CONTAINERID="a b", CNI_IFNAME=LONG, CNI_NETNS="netns")
    assert all(name in said for name in ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"))


def test_a_netns_is_an_absolute_path() -> None:
    assert (
        words(CNI_NETNS="run/netns/c1")
        == "malformed env variables: CNI_NETNS 'run/netns/c1' is no absolute path"
    )


@pytest.mark.parametrize("value", [None, "", "gone"])
def test_del_needs_no_netns(value: str | None) -> None:
    assert parse("DEL", CNI_NETNS=value).netns == (value or "")


def test_empty_pieces_of_the_path_are_no_directories() -> None:
    assert parse(CNI_PATH=":/a::/b:").path == ("/a", "/b")


@pytest.mark.parametrize(
    ("value", "meant"), [("1", True), ("true", True), ("TRUE", True), ("0", False), ("", False)]
)
def test_the_own_netns_can_be_permitted(value: str, meant: bool) -> None:  # noqa: FBT001  a column
    assert parse(CNI_NETNS_OVERRIDE=value).netns_override is meant


# --- CNI_ARGS


def test_of_a_repeated_argument_the_last_one_counts() -> None:
    assert parse_args("A=1;B=2;A=3") == {"A": "3", "B": "2"}


def test_arguments_may_be_empty_and_hold_equals_signs() -> None:
    assert parse_args(";A=;B=x=y;") == {"A": "", "B": "x=y"}


@pytest.mark.parametrize("command", ["ADD", "CHECK"])
def test_an_argument_without_a_value_is_refused(command: str) -> None:
    assert words(command=command, CNI_ARGS="A=1;B") == "CNI_ARGS is malformed: 'B' is no K=V pair"


def test_del_does_not_stop_at_malformed_arguments() -> None:
    assert parse("DEL", CNI_ARGS="A=1;B").args == {}


@pytest.mark.parametrize("command", ["GC", "STATUS", "VERSION"])
def test_commands_without_an_attachment_read_no_arguments(command: str) -> None:
    assert parse(command, CNI_ARGS="B").args == {}


# --- stdin


def test_the_configuration_is_one_object() -> None:
    assert parse_config(' {"name": "fast"}\n') == {"name": "fast"}


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '"{}"', "null", "{} {}", "\x00"])
def test_anything_else_cannot_be_decoded(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_config(text)
    assert caught.value.code == 6

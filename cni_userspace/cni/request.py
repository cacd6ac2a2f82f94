"""The request: one call of a runtime, validated, before anyone reads the netconf.

Owns the rules about the environment and the outer form of stdin (CNI
specification 1.1.0, section 2 "Execution Protocol"). Touches nothing: the
environment and the text are handed in. All missing or malformed variables are
named in one error, because a person with a shell fixes them all at once.
"""

from __future__ import annotations

from cni_userspace.errors import BadEnvironmentError, DecodeError
from cni_userspace.jsontext import JsonError, loads
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION")
NEEDS = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
    "GC": ("CNI_PATH",),
    "STATUS": (),
    "VERSION": (),
}
ALNUM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
IDENTIFIER = ALNUM | frozenset("_.-")
POD_ARGS = {"K8S_POD_NAMESPACE": "namespace", "K8S_POD_NAME": "name", "K8S_POD_UID": "uid"}
IFNAME_BYTES = 15  # IFNAMSIZ of linux/if.h less the NUL


class Request(Value):
    """What the runtime asked, in the protocol's own words."""

    command: str
    container_id: str = ""
    netns: str = ""
    ifname: str = ""
    path: tuple[str, ...] = ()
    args: Mapping[str, str]
    config: Mapping[str, Any]
    netns_override: bool = False  # CNI_NETNS may be the plugin's own

    @property
    def pod(self) -> dict[str, str]:
        """Return the pod that CNI_ARGS name, {} outside Kubernetes."""
        return {name: self.args[key] for key, name in POD_ARGS.items() if self.args.get(key)}


def is_identifier(text: str) -> bool:
    """Tell whether a containerID or network name has the form that the spec asks for."""
    return bool(text) and text[0] in ALNUM and IDENTIFIER.issuperset(text)


def ifname_mistake(name: str) -> str:
    """Return what is wrong with an interface name, or an empty string."""
    if len(name.encode("utf-8", "surrogateescape")) > IFNAME_BYTES:
        return f"is longer than {IFNAME_BYTES} bytes"
    if name in (".", ".."):
        return "is a directory's name"
    if any(c in "/:" or c.isspace() for c in name):
        return "holds '/', ':' or white space"
    if not name.isprintable():
        return "holds a control character"
    return ""


def parse_args(text: str) -> dict[str, str]:
    """Read CNI_ARGS (`K=V;K=V`); of a repeated key the last value counts.

    Raises BadEnvironmentError for a piece without "=".
    """
    pairs: dict[str, str] = {}
    for piece in text.split(";"):
        key, equals, value = piece.partition("=")
        if piece and not equals:
            raise BadEnvironmentError("CNI_ARGS is malformed", details=f"{piece!r} is no K=V pair")
        if piece:
            pairs[key.strip()] = value.strip()
    return pairs


def parse_config(text: str) -> dict[str, Any]:
    """Read stdin; raise DecodeError unless it is one JSON object."""
    try:
        config = loads(text)
    except JsonError as error:
        raise DecodeError("the network configuration on stdin is no JSON", details=str(error)) from None
    if not isinstance(config, dict):
        raise DecodeError("the network configuration on stdin is no JSON object", details=text[:80])
    return config


def parse_environment(environ: Mapping[str, str]) -> Request:
    """Validate the CNI_ variables that the command needs; `config` stays empty.

    Raises BadEnvironmentError (every mistake at once) or, for a malformed
    containerID alone, what the Go skeleton answers: code 4.
    """
    command = environ.get("CNI_COMMAND", "")
    if command not in COMMANDS:
        raise BadEnvironmentError(
            f"unknown CNI_COMMAND: {command}",
            details=f"one of {', '.join(COMMANDS)} is wanted",
        )
    needed = NEEDS[command]
    missing = [name for name in needed if not environ.get(name)]
    if missing:
        raise BadEnvironmentError(
            "required env variables missing",
            details=f"{command} needs {', '.join(missing)}",
            hint="a container runtime sets them; by hand, cnitool does",
        )
    wrong = _mistakes(environ, needed)
    if wrong:
        raise BadEnvironmentError("malformed env variables", details="; ".join(wrong))
    return Request(
        command=command,
        container_id=environ.get("CNI_CONTAINERID", ""),
        netns=environ.get("CNI_NETNS", ""),
        ifname=environ.get("CNI_IFNAME", ""),
        path=tuple(p for p in environ.get("CNI_PATH", "").split(":") if p),
        args=_args(command, environ.get("CNI_ARGS", "")) if "CNI_IFNAME" in needed else {},
        config={},
        netns_override=environ.get("CNI_NETNS_OVERRIDE", "").upper() in ("TRUE", "1"),
    )


def _args(command: str, text: str) -> dict[str, str]:
    try:
        return parse_args(text)
    except BadEnvironmentError:
        if command == "DEL":  # needs none, and must not fail for what does not matter to it
            return {}
        raise


def _mistakes(environ: Mapping[str, str], needed: tuple[str, ...]) -> list[str]:
    wrong = []
    if "CNI_CONTAINERID" in needed and not is_identifier(environ["CNI_CONTAINERID"]):
        wrong.append(
            f"CNI_CONTAINERID {environ['CNI_CONTAINERID']!r} does not match ^[a-zA-Z0-9][a-zA-Z0-9_.\\-]*$",
        )
    if "CNI_IFNAME" in needed and (mistake := ifname_mistake(environ["CNI_IFNAME"])):
        wrong.append(f"CNI_IFNAME {environ['CNI_IFNAME']!r} {mistake}")
    netns = environ.get("CNI_NETNS", "")
    if "CNI_NETNS" in needed and not netns.startswith("/"):
        wrong.append(f"CNI_NETNS {netns!r} is no absolute path")
    return wrong

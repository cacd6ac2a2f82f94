"""IPAM delegation: addresses come from another plugin, called as a runtime would call it.

Owns the delegate's call and the reading of its answer. Never decides what a
failure means for the attachment: it raises, and the verbs undo. Found through
CNI_PATH alone, because a netconf may be written by a tenant.
Source: CNI specification 1.1.0, section 4 "Plugin Delegation"; the words of
old plugins as Debian 12's reference plugins (1.1.1) say them.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from cni_userspace.cni.request import parse_args
from cni_userspace.cni.result import at_least, parse
from cni_userspace.errors import (
    DecodeError,
    DelegateError,
    InvalidConfigError,
    NotAvailableError,
    PluginError,
)
from cni_userspace.host.processes import given_environment, run
from cni_userspace.jsontext import JsonError, dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

    from cni_userspace.cni.request import Request
    from cni_userspace.cni.result import Result
    from cni_userspace.host.processes import Finished

DEADLINE_SECONDS = 20.0  # a dhcp server's answer takes seconds; CRI-O kills us after 60
_SHOWN = 200  # characters of an answer that is no CNI error
_INCOMPATIBLE = 1  # the specification's code for it
_OLD_PLUGIN = "install newer CNI reference plugins (v1.3 and later know 1.1.0), or set cniVersion to 1.0.0"


def add(request: Request, ipam_type: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> Result:
    """Have addresses assigned and return the delegate's result, in whatever version it came.

    `request.config` goes to the delegate whole. When this raises, the CALLER
    calls `delete` before it reports the error: the delegate may have assigned
    something (specification, section 4). Raises InvalidConfigError for a
    delegate that CNI_PATH does not have, DelegateError for everything else.
    """
    finished = _call(request, "ADD", ipam_type, deadline_seconds)
    try:
        answer = loads(finished.stdout)
        result = parse({} if answer is None else answer, f"what the IPAM plugin {ipam_type} answered to ADD")
    except JsonError as error:
        raise DelegateError(
            f"the IPAM plugin {ipam_type} answered ADD with something that is no JSON",
            details=f"{error}: {finished.stdout[:_SHOWN]!r}",
        ) from None
    except DecodeError as error:
        raise DelegateError(error.msg, details=error.details) from None
    if not result.ips:
        raise DelegateError(
            f"the IPAM plugin {ipam_type} assigned no address",
            details=finished.stdout[:_SHOWN],
            hint="leave `ipam` out of the configuration where no address is wanted",
        )
    return result


def delete(request: Request, ipam_type: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Have the attachment's addresses released; any number of times, with or without a netns.

    Raises like `add`.
    """
    _call(request, "DEL", ipam_type, deadline_seconds)


def check(request: Request, ipam_type: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Have the addresses checked; nothing below 0.4.0, where CHECK does not exist. Raises like `add`."""
    if at_least(_version(request), "0.4.0"):
        _call(request, "CHECK", ipam_type, deadline_seconds)


def status(request: Request, ipam_type: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Ask whether the delegate could serve an ADD; nothing below 1.1.0, where STATUS does not exist.

    A delegate that is too old to know STATUS is asked for its versions instead,
    because it refuses an ADD in this one. Raises NotAvailableError for a
    delegate that is missing or too old, DelegateError otherwise.
    """
    version = _version(request)
    if not at_least(version, "1.1.0"):
        return
    try:
        _call(request, "STATUS", ipam_type, deadline_seconds)
    except InvalidConfigError as missing:
        raise NotAvailableError(missing.msg, details=missing.details, hint=missing.hint) from None
    except DelegateError as error:
        if not _is_unknown_command(error):
            raise
        _require_version(request, ipam_type, version, deadline_seconds)


def gc(request: Request, ipam_type: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Have the delegate sweep; nothing below 1.1.0, nor where it is too old to know GC. Raises like `add`.

    The list of valid attachments is in `request.config`. Callers release the
    addresses of what they sweep themselves by `delete`: most IPAM plugins have
    no GC of their own (the reference host-local 1.9.1 has none).
    """
    if not at_least(_version(request), "1.1.0"):
        return
    try:
        _call(request, "GC", ipam_type, deadline_seconds)
    except DelegateError as error:
        if not _is_unknown_command(error):
            raise


def find(ipam_type: str, path: Sequence[str]) -> str:
    """Return the delegate's executable: the first regular file of that name in CNI_PATH.

    Raises InvalidConfigError.
    """
    if not ipam_type or "/" in ipam_type or not ipam_type.isprintable():
        raise InvalidConfigError(
            "ipam.type is no plugin's name",
            details=f"{ipam_type!r}: the name of an executable in CNI_PATH is wanted",
        )
    for directory in path:
        candidate = os.path.join(directory, ipam_type)
        try:
            if S_ISREG(os.stat(candidate).st_mode):
                return candidate
        except (OSError, ValueError):  # not in this one; ValueError: a NUL in CNI_PATH
            continue
    raise InvalidConfigError(
        f"the IPAM plugin {ipam_type} is not installed",
        details=f"no file {ipam_type} in CNI_PATH {':'.join(path)}",
        hint="install it there (the CNI reference plugins bring host-local and static), or correct ipam.type",
    )


def environment(request: Request, command: str) -> dict[str, str]:
    """Return the environment for a delegate: the one given to us, with the request's own words.

    The request may have been made from a record, in a process that was started
    for another container or by a person: what it leaves empty is not passed on.
    """
    environ = given_environment()
    try:
        same_args = parse_args(environ.get("CNI_ARGS", "")) == request.args
    except PluginError:  # malformed, and not this request's
        same_args = False
    words = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": request.container_id,
        "CNI_NETNS": request.netns,
        "CNI_IFNAME": request.ifname,
        "CNI_PATH": ":".join(request.path),
    }
    if not same_args:
        words["CNI_ARGS"] = ";".join(f"{key}={value}" for key, value in request.args.items())
    for name, value in words.items():
        environ.pop(name, None)
        if value:
            environ[name] = value
    return environ


def _version(request: Request) -> str:
    return request.config.get("cniVersion") or "0.1.0"


def _call(
    request: Request,
    command: str,
    ipam_type: str,
    deadline_seconds: float,
    config: Mapping[str, Any] | None = None,
) -> Finished:
    executable = find(ipam_type, request.path)
    try:
        finished = run(
            (executable,),
            env=environment(request, command),
            stdin=dumps(request.config if config is None else config),
            deadline_seconds=deadline_seconds,
        )
    except TimeoutError:
        raise DelegateError(
            f"the IPAM plugin {ipam_type} did not answer {command} within {deadline_seconds:g} s",
            details=f"{executable} was killed",
        ) from None
    except OSError as error:
        raise DelegateError(
            f"calling the IPAM plugin {ipam_type} failed",
            details=f"{executable}: {error.strerror}",
        ) from None
    if finished.returncode:
        _fail(finished, f"the IPAM plugin {ipam_type}", command)
    return finished


def _fail(finished: Finished, who: str, command: str) -> NoReturn:
    """Raise the delegate's own error, or what can be told of its end."""
    if finished.returncode < 0:
        from signal import strsignal

        killer = -finished.returncode
        raise DelegateError(f"{who} was killed at {command}", details=f"signal {killer}: {strsignal(killer)}")
    try:
        words = loads(finished.stdout)
    except JsonError:
        words = None
    if not isinstance(words, dict) or not words.get("msg"):
        raise DelegateError(
            f"{who} failed at {command} without a CNI error",
            details=f"exit code {finished.returncode}; on stdout: {finished.stdout[:_SHOWN]!r}",
            hint="what it wrote on stderr is in the runtime's log",
        )
    code = words.get("code")
    error = DelegateError(
        f"{who} failed at {command}: {words['msg']}", details=str(words.get("details") or "")
    )
    if type(code) is int and code > 0:
        error.code = code
    if error.code == _INCOMPATIBLE:
        error.hint = _OLD_PLUGIN
    raise error


def _is_unknown_command(error: DelegateError) -> bool:
    # Code 4 today, 100 before libcni 0.8; the words have always been these.
    return "unknown CNI_COMMAND" in error.msg


def _require_version(request: Request, ipam_type: str, version: str, deadline_seconds: float) -> None:
    finished = _call(request, "VERSION", ipam_type, deadline_seconds, {"cniVersion": version})
    try:
        answer = loads(finished.stdout)
    except JsonError:
        answer = None
    known = answer.get("supportedVersions") if isinstance(answer, dict) else None
    if not isinstance(known, list) or version not in known:
        raise NotAvailableError(
            f"the IPAM plugin {ipam_type} does not know CNI {version}",
            details=f"it answered VERSION with {finished.stdout.strip()[:_SHOWN]}",
            hint=_OLD_PLUGIN,
        )

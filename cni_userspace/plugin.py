"""The plugin's one walk: environment and stdin in, one JSON document and an exit code out.

Owns the composition of protocol, verbs and engines, and the one place where
an error becomes output: CNI's error JSON goes to STDOUT with a non-zero exit
(CNI specification 1.1.0, "Error"). No traceback ever reaches the runtime.
"""

from __future__ import annotations

import os

from cni_userspace.cni import request as requests
from cni_userspace.cni.result import NEWEST, VERSIONS, at_least
from cni_userspace.errors import (
    DecodeError,
    IncompatibleVersionError,
    InputOutputError,
    InternalError,
    PluginError,
    TryAgainError,
)
from cni_userspace.jsontext import JsonError, dumps, scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cni_userspace.attach.call import Call
    from cni_userspace.cni.getter import Getter
    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.cni.request import Request
    from cni_userspace.value import Value

SINCE = {"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}
STRICT = ("ADD", "STATUS")
CALL_SECONDS = 45  # CRI-O kills a plugin after 60, and a failed ADD's way back takes up to 13


def main() -> int:
    """Serve one call of a runtime; return the exit code."""
    version: object = ""
    try:
        request = requests.parse_environment(os.environ)
        if request.command == "VERSION":
            answer: dict[str, Any] | None = _versions()
        else:
            request = request.replace(config=requests.parse_config(_stdin()))
            version = request.config.get("cniVersion") or "0.1.0"
            answer = _serve(request)
        text = "" if answer is None else dumps(answer)
    except Exception as error:  # noqa: BLE001  the boundary: no traceback reaches the runtime
        answer = _error_json(_as_plugin_error(error), version)
        text = dumps(answer)
    if answer is None:
        return 0
    try:
        os.write(1, text.encode() + b"\n")
    except OSError:  # the runtime has gone: it will call DEL
        return 1
    return 1 if "code" in answer else 0


def _stdin() -> str:
    """Read stdin to its end; raise UnicodeDecodeError in every locale (sys.stdin does not in C's)."""
    with open(0, "rb", closefd=False) as stdin:
        return stdin.read().decode()


def _serve(request: Request) -> dict[str, Any] | None:
    """Parse what was asked, settle old debts, do it, and log how it went."""
    from cni_userspace.attach.store import Store
    from cni_userspace.cni import nodefile
    from cni_userspace.host import signals

    node = nodefile.load(os.environ, strict=request.command in STRICT)
    call = make_call(request, node, Store(node.state_dir))
    if request.command in ("ADD", "DEL", "GC"):
        _settle(call)
        signals.as_errors()
    try:
        answer = _do(call)
    except Exception as error:
        _log_failure(call, _as_plugin_error(error))
        raise
    call.log.info("done", command=request.command)
    return answer


def _log_failure(call: Call, error: PluginError) -> None:
    record = call.log.panic if isinstance(error, InternalError) else call.log.error
    record(error.msg, command=call.request.command, code=error.code, details=error.details)


def _do(call: Call) -> dict[str, Any] | None:
    """Run the verb; load no other."""
    command = call.request.command
    if command == "ADD":
        from cni_userspace.attach.add import add

        return add(call)
    if command == "DEL":
        from cni_userspace.attach.delete import delete

        delete(call)
    elif command == "CHECK":
        from cni_userspace.attach.check import check

        check(call)
    elif command == "GC":
        from cni_userspace.attach.gc import gc

        gc(call)
    else:
        from cni_userspace.attach.status import status

        status(call)
    return None


def make_call(request: Request, node: NodeFile, store: Any) -> Call:  # noqa: ANN401  attach.store.Store
    """Turn a request into a call: the netconf parsed, bounded, and its engine loaded."""
    from cni_userspace import engines
    from cni_userspace.attach.call import Call
    from cni_userspace.cni import bounds, netconf
    from cni_userspace.cni.log import Log
    from cni_userspace.host.deadline import Deadline

    deadline = Deadline(CALL_SECONDS)

    def options(engine: str, getter: Getter) -> Value:
        getter.device_later = request.command == "STATUS"  # a runtime names it only when it calls ADD
        return engines.load(engine).parse_options(getter)

    strict = request.command in STRICT
    conf = netconf.parse(request.config, request.args, node, strict=strict, engine_parser=options)
    wanted = SINCE.get(request.command)
    if wanted and not at_least(conf.cni_version, wanted):
        raise IncompatibleVersionError(
            f"{request.command} needs cniVersion {wanted} or newer",
            details=f"the configuration says {conf.cni_version}",
        )
    if strict:
        bounds.check(conf, node)
    log = Log(conf.log_level, conf.log_file).about(request.container_id, request.ifname)
    return Call(
        request=request,
        conf=conf,
        node=node,
        engine=engines.load(conf.engine),
        engines=engines,
        store=store,
        log=log,
        deadline=deadline,
    )


def _settle(call: Call) -> None:
    if call.store.has_debts():
        from cni_userspace import engines
        from cni_userspace.attach import gc

        gc.settle(call.store, engines.load, call.log)


def _versions() -> dict[str, Any]:
    """Answer VERSION: the caller's own version where stdin holds it at once, without waiting for it."""
    return {"cniVersion": _asked_version() or NEWEST, "supportedVersions": list(VERSIONS)}


def _asked_version() -> str:
    import select

    try:
        ready, _, _ = select.select([0], [], [], 0)
        text = os.read(0, 65536).decode() if ready and not os.isatty(0) else ""
        found = scan(text)[0] if text else None
    except (OSError, UnicodeDecodeError, JsonError):
        return ""
    version = found.get("cniVersion") if isinstance(found, dict) else None
    return version if isinstance(version, str) else ""


def _as_plugin_error(error: Exception) -> PluginError:
    """Say in CNI's terms what went wrong where no step below has said it."""
    if isinstance(error, PluginError):
        return error
    if isinstance(error, UnicodeDecodeError):
        return DecodeError("the network configuration on stdin is no UTF-8", details=str(error))
    if isinstance(error, TimeoutError):
        return TryAgainError("something did not answer in time", details=str(error))
    if isinstance(error, OSError):
        return InputOutputError(error.strerror or str(error), details=str(error))
    return _defect(error)


def _error_json(error: PluginError, version: object) -> dict[str, Any]:
    """Return an error as CNI wants it. The hint stands in `details` too: runtimes show no other key."""
    details = error.details
    if error.hint:
        details = f"{details}. Hint: {error.hint}" if details else f"Hint: {error.hint}"
    words = {
        "cniVersion": version if isinstance(version, str) and version else NEWEST,
        "code": error.code,
        "msg": error.msg,
        "details": details,
    }
    return {**words, **({"hint": error.hint} if error.hint else {})}


def _defect(error: Exception) -> InternalError:
    """Tell of a defect by its kind and place: enough for a report, and no traceback."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
    return InternalError(
        "a defect of the plugin",
        details=f"{type(error).__name__}: {error} at {place}",
        hint="please report it with the configuration; DEL cleans up",
    )

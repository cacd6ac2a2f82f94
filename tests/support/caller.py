"""A call of the plugin that a test holds in its hands: raw bytes, open pipes, signals, strace.

Owns the process between its start and its end. tests/support/plugin.py has
the calls that need none of this.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from tests.support.plugin import DEADLINE_SECONDS, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.plugin import Plugin


def start(
    plugin: Plugin,
    cni: Mapping[str, str],
    *,
    before: Sequence[str] = (),
    stdin: int = subprocess.PIPE,
    **more: Any,  # noqa: ANN401  Popen's own
) -> subprocess.Popen[bytes]:
    """Start the executable with just these CNI_ variables; `before` is a command that runs it."""
    return subprocess.Popen(
        [*before, plugin.executable],
        env={**plugin.env, **cni},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        **more,
    )


def begin(
    plugin: Plugin, cni: Mapping[str, str], conf: Mapping[str, Any], *, before: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start it and feed it this configuration: it is at work when this returns. End it by `finish`."""
    process = start(plugin, cni, before=before)
    if process.stdin is None:
        raise ValueError("started without a pipe")
    process.stdin.write(json.dumps(conf).encode())
    process.stdin.close()
    process.stdin = None
    return process


def finish(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Outcome:
    """Feed it, wait for its end and return how it ended. Raises TimeoutExpired, the process killed."""
    try:
        stdout, stderr = process.communicate(stdin, timeout=DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    return Outcome(
        returncode=process.returncode,
        stdout=stdout.decode(),
        stderr=stderr.decode(errors="replace"),
    )


def call(plugin: Plugin, cni: Mapping[str, str], stdin: bytes, *, before: Sequence[str] = ()) -> Outcome:
    """Start and finish in one."""
    return finish(start(plugin, cni, before=before), stdin)

"""The command `userspace`: the plugin for a runtime, the operator's command for a person.

Owns the choice between the two, by CNI_COMMAND, and how the plugin's process
starts and ends: it lives for milliseconds, so it neither collects garbage nor
takes the interpreter down in good order, which cost 3 ms together (see
docs/explanation/performance.md).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> int:
    """Run the program; return its exit code. As a plugin, end the process with it instead."""
    import gc

    if "CNI_COMMAND" in os.environ:
        if None in (sys.stdin, sys.stdout, sys.stderr):
            _occupy()
        gc.disable()
        from cni_userspace import plugin

        _end(plugin.main())
    gc.enable()  # the executable starts without it (tools/freeze), and some commands run for long
    from cni_userspace.node import cli

    return cli.main(sys.argv[1:])


def _occupy() -> None:
    """Take the numbers 0 to 2 that the caller left closed.

    Else a record, a socket or another program's input would get one of them, and
    the log. Nothing can be written there: an answer that gets lost is no success.
    """
    while True:
        descriptor = os.open(os.devnull, os.O_RDONLY)
        if descriptor > 2:  # noqa: PLR2004  stderr
            os.close(descriptor)
            return


def _end(code: int) -> NoReturn:
    try:
        if sys.stdout is not None:  # it is where the caller closed it, and DEL says nothing
            sys.stdout.flush()
    except OSError:  # nobody reads the answer any more: that is no success
        code = code or 1
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())

"""The operator's command line: what a person runs as `userspace`.

Owns the choice of the command, and the one place where an error becomes text
for a person: one line on stderr with details and hint, exit code 1. Never a
traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING

from cni_userspace import __version__
from cni_userspace.cni import nodefile
from cni_userspace.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

DESCRIPTION = """\
A CNI plugin for userspace networks. Container runtimes call it with
CNI_COMMAND set; the commands below are for people."""
EPILOG = """\
By hand, an attachment is made with cnitool: see docs/tutorial.
Exit codes: 0 success, 1 the command failed, 2 wrong usage."""
NODE_COMMANDS = {  # the module in cni_userspace.node, and what is said of it
    "list": ("listing", "list every attachment of this node"),
    "show": ("show", "show everything about one attachment"),
    "topology": ("topology", "draw bridges, ports, wires and attachments"),
    "reconcile": ("reconcile", "restore flows that the switch lost"),
    "gc": ("gc", "list (and with --yes remove) what no runtime asks for any more"),
}


def main(argv: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    _prepare_streams()
    try:
        try:
            return _run(_parser().parse_args(argv or ["--help"]))
        finally:
            sys.stdout.flush()  # here, where it can still be told that it failed
    except PluginError as error:
        lines = [f"userspace: {error.msg}", error.details, f"hint: {error.hint}" if error.hint else ""]
        print("\n  ".join(line for line in lines if line), file=sys.stderr)
    except BrokenPipeError:
        _drop_output()  # a reader such as head has enough
    except OSError as error:
        print(f"userspace: {error}", file=sys.stderr)
        _drop_output()
    except KeyboardInterrupt:
        print("userspace: interrupted", file=sys.stderr)
    except Exception as error:  # noqa: BLE001  the boundary: no traceback reaches a person
        print(f"userspace: a defect of this program\n  {_place(error)}: {error!r}", file=sys.stderr)
    return 1


def _prepare_streams() -> None:
    """Have all three, and let any text through: a path need not be text in this locale."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115  till the program's end
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _place(error: Exception) -> str:
    """Return where an error was raised, for a report of it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"


def _drop_output() -> None:
    """Let what could not be written go, before the interpreter tries once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _run(options: argparse.Namespace) -> int:
    if options.command in NODE_COMMANDS:
        return _module(options.command).run(options, nodefile.load(os.environ))  # type: ignore[no-any-return]
    from cni_userspace.node import validate

    if options.command == "schema":
        return validate.print_schema("nodefile" if options.node_file else "netconf")
    return validate.run(options.files, output=options.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="userspace",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"userspace {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    checker = commands.add_parser("validate", help="check network configurations before they are used")
    checker.add_argument("files", nargs="+", metavar="FILE", help="netconf, conflist or NAD, JSON or YAML")
    checker.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    printer = commands.add_parser("schema", help="print the JSON Schema of the network configuration")
    printer.add_argument("--node-file", action="store_true", help="that of the node file instead")
    for name, (_, told) in NODE_COMMANDS.items():
        _module(name).arguments(commands.add_parser(name, help=told))
    return parser


def _module(command: str) -> ModuleType:
    """Return the module of a command about this node: it declares `arguments` and does `run`."""
    return import_module(f"cni_userspace.node.{NODE_COMMANDS[command][0]}")

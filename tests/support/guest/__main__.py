"""The command line: see the package."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from tests.support import gotools
from tests.support.child import RigError
from tests.support.guest import initramfs, run
from tests.support.need import find

SECONDS = 900.0
TESTS, API_TESTS = "tests/sriov", "test_arm.py"
FAILED = 70  # none of pytest's exit codes


def main(arguments: list[str]) -> int:
    """Run the tests, or any command; return its exit code, or 70 where the guest itself failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.guest", description=run.__doc__)
    parser.add_argument("--deadline", type=float, default=SECONDS, metavar="SECONDS")
    parser.add_argument("--shell", action="store_true", help="run a command instead of pytest")
    parser.add_argument("--api", action="store_true", help="with a Kubernetes API, as the tests have it")
    options, rest = parser.parse_known_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    env = {name: os.environ[name] for name in run.PASSED_ON if name in os.environ}
    try:
        if options.shell:
            return run.run(rest, options.deadline, env, api=options.api)
        paths = [a for a in rest if os.path.exists(a.split("::")[0])] or [TESTS]
        api = options.api or (_want_api(paths) and _has_api())
        return run.run(_pytest(rest, paths), options.deadline, env, api=api)
    except (run.GuestError, RigError, initramfs.NoKernelError) as error:
        print(error, file=sys.stderr)  # noqa: T201  a person reads it
        return FAILED


def _want_api(paths: list[str]) -> bool:
    """Tell whether tests that use a Kubernetes API may be among these."""
    return any(os.path.isdir(path) or API_TESTS in path for path in paths)


def _has_api() -> bool:
    """Tell whether all is there that an API needs: its build takes minutes, and is not waited for here."""
    built = os.path.isdir(gotools.directory(gotools.KUBERNETES))
    return built and find("etcd") is not None and find("openssl") is not None


def _pytest(arguments: list[str], paths: list[str]) -> list[str]:
    """Return the command line, with the paths where they are not among the arguments."""
    colour = ["--color=yes"] if sys.stdout.isatty() else []
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *colour]
    return [*command, *(path for path in paths if path not in arguments), *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

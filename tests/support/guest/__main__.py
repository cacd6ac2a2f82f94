"""The command line: see the package."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from tests.support import gotools, guest
from tests.support.child import RigError
from tests.support.guest import initramfs, run, shares
from tests.support.need import find

SECONDS = 1800.0
GUESTS = 2  # each is one busy processor
TESTS = "tests/sriov"
FAILED = 70  # none of pytest's exit codes


def main(arguments: list[str]) -> int:
    """Run the tests, or any command; return its exit code, or 70 where the guest itself failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.guest", description=run.__doc__)
    parser.add_argument("--deadline", type=float, default=SECONDS, metavar="SECONDS")
    parser.add_argument("--shell", action="store_true", help="run a command instead of pytest")
    parser.add_argument("--api", action="store_true", help="with a Kubernetes API, as the tests have it")
    parser.add_argument("--guests", type=int, default=0, metavar="N", help="share the tests between so many")
    options, rest = parser.parse_known_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    env = {name: os.environ[name] for name in run.PASSED_ON if name in os.environ}
    try:
        if options.shell:
            return run.run(rest, options.deadline, env, api=options.api)
        paths = [a for a in rest if os.path.exists(a.split("::")[0])]
        whole = not paths and "-k" not in rest
        guests = options.guests or (min(GUESTS, os.cpu_count() or 1) if whole else 1)
        api = options.api or (_want_api(paths or [TESTS]) and _has_api())
        return _tests(_pytest(rest, paths or [TESTS]), env, guests, options.deadline, api=api)
    except (run.GuestError, RigError, initramfs.NoKernelError) as error:
        print(error, file=sys.stderr)  # noqa: T201  a person reads it
        return FAILED


def _tests(command: list[str], env: dict[str, str], guests: int, seconds: float, *, api: bool) -> int:
    """Share the tests between guests; only the first one has the API, and shows its output as it comes."""
    jobs = [
        run.Job(command=command, env={**env, guest.SHARE: f"{n}/{guests}"}, api=api and n == 0, live=n == 0)
        for n in range(guests)
    ]
    results = run.run_all(jobs, seconds)
    if guests > 1:
        print(shares.closing([output for _, output in results]), flush=True)  # noqa: T201
    return shares.code([code for code, _ in results])


def _want_api(paths: list[str]) -> bool:
    """Tell whether tests that use a Kubernetes API may be among these."""
    return any(os.path.isdir(path) or guest.API_TESTS in path for path in paths)


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

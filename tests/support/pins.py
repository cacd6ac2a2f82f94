"""The exact packages that the executable is made with: tools/executable/requirements.txt.

`python -m tests.support.pins` writes that file anew, with the newest packages that
pip finds for what pyproject.toml asks for, and the digests of both architectures'
files. Run it with the Python that the executable has (3.11): what a package needs
depends on that. Then `./dev build`, and look at what has changed.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from tests.support.repository import ROOT

FILE = ROOT / "tools" / "executable" / "requirements.txt"
HEAD = """\
# What the executable is made with and of, besides CPython: exact, so that the same
# source gives the same executable. `python -m tests.support.pins` writes this file.
"""
TOOLS = ("pip", "pyinstaller", "setuptools")
MACHINES = ("x86_64", "aarch64")
GLIBCS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE | re.IGNORECASE)


def normal(name: str) -> str:
    """Return a package's name as all its spellings are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted() -> list[str]:
    """Return what the package asks for."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        found: list[str] = tomllib.load(file)["project"]["dependencies"]
    return found


def pinned() -> dict[str, str]:
    """Return the packages of the file, and their versions."""
    return {normal(name): version for name, version in PIN.findall(FILE.read_text(encoding="utf-8"))}


def main() -> None:
    """Write the file."""
    versions = _resolve([*wanted(), *TOOLS])
    digests: dict[str, set[str]] = {name: set() for name in versions}
    for machine in MACHINES:
        for name, digest in _digests(versions, machine):
            digests[name].add(digest)
    lines = [
        " \\\n".join(
            [f"{name}=={versions[name]}", *(f"    --hash=sha256:{d}" for d in sorted(digests[name]))]
        )
        for name in sorted(versions)
    ]
    FILE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def _resolve(requirements: list[str]) -> dict[str, str]:
    options = ["--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    report = json.loads(_pip("install", *options, *requirements))
    told = [item["metadata"] for item in report["install"]]
    return {normal(item["name"]): item["version"] for item in told}


def _digests(versions: dict[str, str], machine: str) -> list[tuple[str, str]]:
    platforms = [f"--platform={glibc}_{machine}" for glibc in GLIBCS]
    options = ["--no-deps", "--python-version=3.11", "--implementation=cp", *platforms]
    options += [f"--abi={abi}" for abi in ("cp311", "abi3", "none")]
    with tempfile.TemporaryDirectory() as place:
        pins = [f"{name}=={version}" for name, version in versions.items()]
        _pip("download", "--quiet", *options, f"--dest={place}", *pins)
        return [
            (_package(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in Path(place).iterdir()
        ]


def _package(path: Path) -> str:
    return normal(path.name.split("-")[0] if path.suffix == ".whl" else path.name.rpartition("-")[0])


def _pip(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout


if __name__ == "__main__":
    main()

"""The source archive and the wheel as `python -m build` makes them: the wheel from the archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

import cni_userspace
from tests.support.repository import PACKAGE, ROOT, files, shown

if TYPE_CHECKING:
    from pathlib import Path

NAME = f"cni_userspace-{cni_userspace.__version__}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory with both, made from what git knows: a build leaves files where it works."""
    source = tmp_path_factory.mktemp("source")
    for path in files("*"):
        target = source / shown(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    run(sys.executable, "-P", "-m", "build", "--outdir", "dist", ".", cwd=source)
    return source / "dist"


@pytest.fixture(scope="module")
def command(made: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the command `userspace` of an environment in which the wheel was installed."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    (wheel,) = made.glob("*.whl")
    run(sys.executable, "-m", "pip", "--python", f"{place}/bin/python", "install", "--quiet", str(wheel))
    return f"{place}/bin/userspace"


def run(*command: str, **options: Any) -> str:  # noqa: ANN401  of subprocess.run
    """Run a program; return what it says, or fail with all of that."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, check=False, capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_both_are_made(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {f"{NAME}.tar.gz", f"{NAME}-py3-none-any.whl"}


def test_the_wheel_holds_the_package_and_nothing_else(made: Path) -> None:
    (wheel,) = made.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == {shown(path) for path in files("cni_userspace/*")}


def test_the_source_archive_holds_what_the_wheel_is_made_of(made: Path) -> None:
    with tarfile.open(made / f"{NAME}.tar.gz") as archive:
        inside = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    package = {shown(path) for path in files("cni_userspace/*")}
    assert inside >= {*package, "pyproject.toml", "README.md", "LICENSE"}


def test_the_installed_command_answers_a_runtime(command: str) -> None:
    assert '"1.1.0"' in run(command, env={"CNI_COMMAND": "VERSION"}, stdin=subprocess.DEVNULL)


def test_the_installed_command_has_its_schemas(command: str) -> None:
    network = ROOT / "netconf-examples" / "access-vlan.json"
    assert ": valid" in run(command, "validate", str(network))
    assert run(command, "--version") == f"userspace {cni_userspace.__version__}\n"


def test_the_installed_package_is_no_link_to_this_checkout(command: str) -> None:
    python = os.path.join(os.path.dirname(command), "python")
    place = run(python, "-I", "-c", "import cni_userspace; print(cni_userspace.__file__)")
    assert not place.startswith(str(PACKAGE))

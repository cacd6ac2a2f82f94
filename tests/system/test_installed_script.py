"""What install.sh leaves, replaces, refuses and takes away."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import built
from tests.support.installation import Installation

pytestmark = pytest.mark.built


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Give a directory of plugins, and two versions to install there."""
    return Installation(tmp_path)


def test_the_link_is_relative_and_leads_into_the_same_directory(installation: Installation) -> None:
    installation.install("a")
    target = os.readlink(installation.plugin)
    assert target == f".userspace/{installation.version('a')}/userspace"
    assert installation.answers()


def test_it_works_where_only_that_directory_is_mounted_elsewhere(
    installation: Installation, tmp_path: Path
) -> None:
    installation.install("a")
    place = tmp_path / "host" / "cni"
    place.mkdir(parents=True)
    seen = subprocess.run(
        [
            *("unshare", "--mount", "--propagation", "private", "sh", "-ec"),
            'mount --bind "$1" "$2" && mount -t tmpfs hidden "$1" && exec "$2/userspace" --version',
            *("sh", installation.bin, place),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert seen.stdout.startswith("userspace ")


def test_a_new_version_replaces_the_old_one(installation: Installation) -> None:
    installation.install("a")
    installation.install("b")
    assert installation.current() == installation.version("b")
    assert installation.versions() == {installation.version("b")}


def test_the_same_version_again_changes_nothing(installation: Installation) -> None:
    installation.install("a")
    before = os.stat(installation.plugin).st_ino
    installation.install("a")
    assert os.stat(installation.plugin).st_ino == before
    assert installation.versions() == {installation.version("a")}


def test_a_version_that_runs_stays_until_it_has_ended(installation: Installation) -> None:
    installation.install("a")
    with installation.running():
        said = installation.install("b")
        assert installation.versions() == {installation.version("a"), installation.version("b")}
        assert "still running" in said
    installation.install("b")
    assert installation.versions() == {installation.version("b")}


def test_a_version_that_runs_in_another_process_namespace_stays(installation: Installation) -> None:
    """An installer in a container does not see the processes of its node."""
    installation.install("a")
    with installation.running():
        said = installation.install("b", "unshare", "--pid", "--fork", "--mount-proc")
    assert "still running" in said
    assert installation.versions() == {installation.version("a"), installation.version("b")}


def test_another_name_is_made_only_when_asked(installation: Installation) -> None:
    installation.install("a")
    assert not (Path(installation.bin) / "sriov").exists()
    installation.install("a", "--also-as", "sriov")
    assert os.readlink(f"{installation.bin}/sriov") == "userspace"
    assert installation.answers("sriov")


def test_another_name_follows_the_next_version(installation: Installation) -> None:
    installation.install("a", "--also-as", "sriov")
    installation.install("b")
    assert os.path.realpath(f"{installation.bin}/sriov") == os.path.realpath(installation.plugin)


@pytest.mark.parametrize("name", ["sriov", "dangling"])
def test_another_name_never_covers_what_is_there(installation: Installation, name: str) -> None:
    Path(installation.bin, "sriov").write_text("the real one", encoding="utf-8")
    Path(installation.bin, "dangling").symlink_to("nowhere")
    assert "is another program" in installation.refused("a", "--also-as", name)
    assert Path(installation.bin, "sriov").read_text(encoding="utf-8") == "the real one"
    assert os.readlink(f"{installation.bin}/dangling") == "nowhere"
    assert not os.path.lexists(installation.plugin)


@pytest.mark.parametrize("name", ["../sriov", ".hidden", "-x", "userspace"])
def test_a_name_that_is_none_is_refused(installation: Installation, name: str) -> None:
    assert "is no name" in installation.refused("a", "--also-as", name)


def test_another_program_of_the_same_name_is_replaced_only_when_told(installation: Installation) -> None:
    """Intel's plugin has the same name."""
    Path(installation.plugin).write_text("another", encoding="utf-8")
    assert "--take-over" in installation.refused("a")
    assert Path(installation.plugin).read_text(encoding="utf-8") == "another"
    installation.install("a", "--take-over")
    assert installation.answers()
    assert Path(f"{installation.plugin}.replaced").read_text(encoding="utf-8") == "another"


def test_an_executable_that_does_not_start_is_not_installed(installation: Installation) -> None:
    installation.install("a")
    program = installation.unpacked("b") / "userspace"
    program.write_text("#!/bin/false\n", encoding="utf-8")
    assert "does not start" in installation.refused("b")
    assert installation.versions() == {installation.version("a")}
    assert installation.answers()


def test_uninstalling_takes_everything_of_it_and_nothing_else(installation: Installation) -> None:
    installation.install("a", "--also-as", "sriov")
    Path(installation.bin, "bridge").write_text("another plugin", encoding="utf-8")
    installation.uninstall()
    assert os.listdir(installation.bin) == ["bridge"]


def test_the_installed_script_uninstalls_itself(installation: Installation) -> None:
    installation.install("a")
    script = f"{os.path.dirname(os.path.realpath(installation.plugin))}/install.sh"
    subprocess.run([script, "--bin", installation.bin, "--uninstall"], check=True, capture_output=True)
    assert os.listdir(installation.bin) == []


def test_the_executable_is_the_same_under_every_name(installation: Installation) -> None:
    installation.install("a", "--also-as", "sriov")
    asked = [installation.call(name) for name in ("userspace", "sriov")]
    assert asked[0] == asked[1]
    assert built.FOLDER.exists()

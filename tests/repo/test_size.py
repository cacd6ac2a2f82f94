"""Files that a person can hold in mind."""

from __future__ import annotations

from tests.support.repository import files, shown

MOST_LINES = 400


def test_no_file_is_over_400_lines() -> None:
    written = files("*.py", "*.sh", "dev", ".ci/run", "build.spec")
    lines = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in written}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}

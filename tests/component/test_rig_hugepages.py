"""The pool of hugepages is shared: what is there before us is there after us."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support import hugepages
from tests.support.need import HUGEPAGES, ROOT, need


@pytest.fixture
def pool(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give files that stand for the kernel's pool: 10 pages, 4 of them in use."""
    folder = tmp_path_factory.mktemp("pool")
    for name, pages in (("nr_hugepages", 10), ("free_hugepages", 6), ("resv_hugepages", 0)):
        (folder / name).write_text(str(pages))
    monkeypatch.setattr(hugepages, "POOL", str(folder))
    monkeypatch.setattr(hugepages, "STATE", str(tmp_path_factory.mktemp("state")))
    return str(folder)


def _set(pool: str, **pages: int) -> None:
    for name, count in pages.items():
        with open(f"{pool}/{name}", "w", encoding="ascii") as file:
            file.write(str(count))


def _total(pool: str) -> int:
    with open(f"{pool}/nr_hugepages", encoding="ascii") as file:
        return int(file.read())


def _dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_enough_free_pages_change_nothing(pool: str) -> None:
    hugepages.ensure(6)

    assert _total(pool) == 10


def test_a_kernel_without_memory_is_reported(pool: str) -> None:
    with pytest.raises(hugepages.NoHugepagesError, match="20 free hugepages"):
        hugepages.ensure(20)  # the file that stands for free_hugepages does not follow
    assert _total(pool) == 24


def test_the_old_number_comes_back_at_the_end(pool: str) -> None:
    hugepages.take(os.getpid(), 6)
    _set(pool, nr_hugepages=100, free_hugepages=96)

    assert hugepages.give_back(os.getpid()) == 10


def test_pages_in_use_stay(pool: str) -> None:
    hugepages.take(os.getpid(), 6)
    _set(pool, nr_hugepages=100, free_hugepages=50)

    assert hugepages.give_back(os.getpid()) == 50


def test_another_run_that_lives_keeps_the_pages(pool: str) -> None:
    hugepages.take(os.getppid(), 6)
    hugepages.take(os.getpid(), 6)
    _set(pool, nr_hugepages=100, free_hugepages=96)

    assert hugepages.give_back(os.getpid()) == 100
    assert hugepages.give_back(os.getppid()) == 10


def test_a_run_that_died_is_settled_by_the_next(pool: str) -> None:
    hugepages.take(_dead_pid(), 6)
    _set(pool, nr_hugepages=100, free_hugepages=96)
    hugepages.take(os.getpid(), 6)

    assert hugepages.give_back(os.getpid()) == 10


def test_the_real_pool_gives_pages() -> None:
    need(ROOT, HUGEPAGES)

    hugepages.ensure(1)

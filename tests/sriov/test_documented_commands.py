"""Every command of the pages about SR-IOV does what the page says, on real devices."""

from __future__ import annotations

import pytest

from tests.support import gotools, pagerig, pages
from tests.support.need import ROOT, need

PAGES = [page for page in pages.runnable() if pages.rig(page) == pagerig.GUEST]


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work(page: str) -> None:
    need(ROOT, "ip", "unshare")
    gotools.needed()

    done = pagerig.run(page)

    assert done.returncode == 0, done.stdout + done.stderr

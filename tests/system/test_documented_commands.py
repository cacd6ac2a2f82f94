"""Every command in the documents does what the page says, on a machine of the page's own.

Those of pages about SR-IOV devices run in tests/sriov.
"""

from __future__ import annotations

import pytest

from tests.support import gotools, pagerig, pages
from tests.support.need import DPDK_SWITCH, ROOT, missing, need

PAGES = [
    pytest.param(page, marks=[pytest.mark.built] if "$ tar xf dist/" in pages.read(page) else [])
    for page in pages.runnable()
    if pages.rig(page) != pagerig.GUEST
]
PROGRAMS = {"podman": ("podman", "runc"), "dpdk-testpmd": ("dpdk-testpmd",)}


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work(page: str) -> None:
    need(ROOT, "ip", "unshare", *DPDK_SWITCH)
    text = pages.read(page)
    need(*(program for name, programs in PROGRAMS.items() if f"$ {name}" in text for program in programs))
    try:
        gotools.build()
    except gotools.GoToolsMissingError as error:
        missing(str(error))

    done = pagerig.run(page)

    assert done.returncode == 0, done.stdout + done.stderr

"""What these tests share: the run's Kubernetes API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import gotools
from tests.support.apiserver import ApiServer
from tests.support.need import need

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def session_api() -> Iterator[ApiServer]:
    """Give the one Kubernetes API of this run; use `api`, which cleans it."""
    need("etcd", "openssl")
    gotools.needed(gotools.KUBERNETES)
    with ApiServer() as api:
        yield api


@pytest.fixture
def api(session_api: ApiServer) -> Iterator[ApiServer]:
    """Give the run's Kubernetes API, without pods, networks or granted rights."""
    session_api.clean()
    yield session_api
    session_api.clean()

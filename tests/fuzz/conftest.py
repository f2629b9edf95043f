"""The cluster of recorded answers, as the replay has it; a case makes a cluster of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.replay.conftest import ready, server, site, world
from tests.replay.site import Server, Site

__all__ = ["ready", "server", "site", "sites", "world"]


@pytest.fixture
def sites(tmp_path: Path, world: Path, server: Server) -> Callable[[str], Site]:
    """Makes a cluster whose Hub can be reached."""

    def make(name: str) -> Site:
        site = Site(tmp_path / name, world, server)
        site.reach_hub([])
        return site

    return make

"""The cluster of recorded answers, as the replay has it, a case makes one of its own; and the built site in a browser."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import browser, desktop, open_context, origin, site_folder
from tests.replay.conftest import ready, server, site, world
from tests.replay.site import Server, Site

__all__ = ["browser", "desktop", "open_context", "origin", "ready", "server", "site", "site_folder", "sites", "world"]


@pytest.fixture
def sites(tmp_path: Path, world: Path, server: Server) -> Callable[[str], Site]:
    """Makes a cluster whose Hub can be reached."""

    def make(name: str) -> Site:
        site = Site(tmp_path / name, world, server)
        site.reach_hub([])
        return site

    return make

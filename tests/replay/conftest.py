"""One Hub for all cases, and projects after setup that are made once."""

from pathlib import Path

import pytest

from tests.replay.site import Server, Site, build_world


@pytest.fixture(scope="session")
def server() -> Server:
    """The Hub of all cases."""
    return Server()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Repositories and weights of all cases."""
    return build_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def ready(world: Path, server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Projects after setup, by version; made when one is asked for."""

    class Ready(dict[str, Path]):
        def __missing__(self, version: str) -> Path:
            site = Site(tmp_path_factory.mktemp("ready"), world, server)
            site.set_up(version)
            self[version] = site.project
            return site.project

    return Ready()


@pytest.fixture
def site(tmp_path: Path, world: Path, server: Server) -> Site:
    """A cluster for one case."""
    server.rules = []
    return Site(tmp_path, world, server)

"""The files that curl fetches because hf does not resume them: across outages, odd servers and odd partial files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.lab import wait_for
from tests.cluster.project import Project
from tests.cluster.setup import CODE, assert_complete, finished, on_login_node, size, started

Record = Callable[[str, object], None]
Without = Callable[..., Project]
NAME = f"{CODE}/YTBV.tar"
PART = 9_000_000


@pytest.fixture
def project(without: Without) -> Project:
    """A folder that needs a large file, and takes no other file for large."""
    project = without(CODE)
    project.large_from(20_000_000)
    return project


def parts(project: Project) -> list[Path]:
    """Files of which a part is downloaded."""
    return list((project.folder / "DiffuEraser_downloads" / ".partial").glob("*"))


@pytest.fixture
def interrupted(project: Project) -> Project:
    """A folder in which a part of the large file is downloaded."""
    project.hub.set_faults({"match": "/cdn/.*YTBV.tar", "kind": "drop", "value": PART})
    on_login_node(project, DOWNLOAD_ATTEMPTS="1").refused("hub-incomplete")
    assert [part.stat().st_size for part in parts(project)] == [PART]
    project.hub.set_faults()
    project.hub.reset()
    return project


def assert_the_file_is_right(project: Project) -> None:
    """The large file is that of the Hub, and no part is left."""
    assert_complete(project)
    assert (project.folder / "DiffuEraser_downloads" / NAME.split("/", 1)[1]).read_bytes() == (
        project.hub.root / NAME
    ).read_bytes()
    assert parts(project) == []


@pytest.mark.fault("outage", "download", "survived")
def test_large_file_outage(project: Project, record_property: Record) -> None:
    """The Hub goes away in the middle of the file and comes back: not a byte is sent twice."""
    project.hub.set_faults({"match": "/cdn/.*YTBV.tar", "kind": "throttle", "value": 8_000_000})
    process = started(project, DOWNLOAD_ATTEMPTS="5")
    wait_for(lambda: any(part.stat().st_size > PART for part in parts(project)), "a part is here", 60)
    project.hub.stop()
    try:
        before = (project.folder / "setup.out").stat().st_size
        wait_for(lambda: (project.folder / "setup.out").stat().st_size > before, "the outage is noticed", 60)
        have = parts(project)[0].stat().st_size
    finally:
        project.hub.start()
    finished(project, process).completed()
    assert_the_file_is_right(project)
    asked = [
        (ranges, status) for method, path, ranges, status in project.hub.requests() if path == f"/cdn/{NAME}" and method == "GET"
    ]
    assert asked == [(f"bytes={have}-", 206)]
    assert project.hub.payload()[NAME] == size(project, CODE, "YTBV.tar") - have
    record_property("repeated_bytes", 0)


@pytest.mark.fault("dropped", "download", "survived")
def test_large_file_resumed_by_the_next_start(interrupted: Project) -> None:
    on_login_node(interrupted).completed()
    assert_the_file_is_right(interrupted)
    assert interrupted.hub.payload()[NAME] == size(interrupted, CODE, "YTBV.tar") - PART


@pytest.mark.fault("no ranges", "download", "survived")
def test_large_file_server_without_ranges(interrupted: Project) -> None:
    interrupted.hub.set_faults({"match": "YTBV.tar", "kind": "no-ranges"})
    on_login_node(interrupted).completed()
    assert_the_file_is_right(interrupted)


@pytest.mark.fault("other content", "download", "survived")
def test_large_file_part_of_other_content(interrupted: Project) -> None:
    parts(interrupted)[0].write_bytes(b"x" * PART)
    on_login_node(interrupted).completed()
    assert_the_file_is_right(interrupted)


@pytest.mark.fault("longer", "download", "clear error")
def test_large_file_longer_than_listed(interrupted: Project) -> None:
    interrupted.hub.set_faults({"match": "/cdn/.*YTBV.tar", "kind": "longer", "value": 5000})
    assert "YTBV.tar" in on_login_node(interrupted).refused("hub-size")
    interrupted.hub.set_faults()
    on_login_node(interrupted).completed()
    assert_the_file_is_right(interrupted)

"""For each release of Slurm one lab, with a Hub and a package index on its network, and one project that is set up there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.cluster.lab import Lab, Partition
from tests.cluster.project import Project
from tests.hub import Hub
from tests.matrix.root_lab import RootLab
from tests.matrix.roots import SUITES, is_native
from tests.matrix.services import LabHub, LabIndex, serve_index
from tests.matrix.tested_with import TestedWith
from tests.matrix.upstream import build_repositories

PARTITIONS = (
    Partition("compute", "c1", "Default=YES"),
    Partition("gpu", "g1,g2", "PriorityTier=1 PreemptMode=REQUEUE"),
    Partition("polite", "g1,g2", "PriorityTier=1 PreemptMode=REQUEUE GraceTime=20"),
    Partition("urgent", "g1,g2", "PriorityTier=10 PreemptMode=OFF"),
    Partition("closed", "g1,g2", "AllowAccounts=nobody"),
    Partition("small", "g1,g2", "MaxNodes=1"),
)
EXTRA = "PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\nEnforcePartLimits=ALL"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tested-with", metavar="FOLDER", help="write the tables of the page Tested with into a folder")


def pytest_configure(config: pytest.Config) -> None:
    if folder := config.getoption("--tested-with", default=None):
        config.pluginmanager.register(TestedWith(Path(folder)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder runs on each release; what is marked as a scenario becomes a row of the page Tested with."""
    rows: dict[str, int] = {}
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.matrix)
        if (marker := item.get_closest_marker("scenario")) and isinstance(item, pytest.Function):
            title, chinese = marker.args
            scenario = {"row": rows.setdefault(title, len(rows)), "release": item.callspec.params["release"]}
            item.user_properties.append(("scenario", {**scenario, "en": title, "zh": chinese}))


class ReleasesTogether(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """One worker runs all that belongs to a release."""

    def _split_scope(self, nodeid: str) -> str:
        return next(release for release in SUITES if f"[{release}" in nodeid)


@pytest.hookimpl(optionalhook=True)  # a run without xdist does not know it
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """With --dist=loadgroup the groups are the releases."""
    return ReleasesTogether(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.fixture(scope="session", params=SUITES)
def release(request: pytest.FixtureRequest) -> str:
    """A release of Slurm."""
    return str(request.param)


@dataclass
class Site:
    """A cluster of one release, and what is on its network."""

    lab: Lab
    hub: Hub
    index: LabIndex
    folder: Path


@pytest.fixture(scope="session")
def site(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The cluster, for all tests of the release."""
    share = tmp_path_factory.mktemp(release)
    repositories = tmp_path_factory.mktemp("hub")
    build_repositories(repositories)
    native = is_native(release)
    lab = Lab(share / "lab", partitions=PARTITIONS, extra=EXTRA) if native else RootLab(release, share, PARTITIONS, EXTRA)
    with lab, LabHub(repositories, lab) as hub:
        yield Site(lab, hub, serve_index(lab, share / "uv"), share)


@pytest.fixture(scope="session")
def project_set_up(site: Site) -> Project:
    """A folder in which setup is done, as the launcher submits it."""
    project = Project(site.folder / "project", site.lab, site.hub, site.index)
    project.copy_scripts()
    project.two_edits("non-prompt")
    project.edit(DPO_DATASET="no")
    assert project.run("01_setup.sbatch", "training") == "COMPLETED", project.log()
    return project


@pytest.fixture
def project(project_set_up: Project) -> Iterator[Project]:
    """The folder after setup and before training, on an idle cluster."""
    project_set_up.forget_training()
    yield project_set_up
    project_set_up.lab.clear()

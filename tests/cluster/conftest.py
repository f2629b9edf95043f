"""One lab, one Hub and one package index for all cluster tests; one project that is set up, for training tests."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from diffueraser_docs.render import READMES
from diffueraser_docs.schema.base import VERSIONS
from tests.cluster.lab import Lab
from tests.cluster.pages import block_commands, page_texts
from tests.cluster.project import Project
from tests.cluster.secrets import SecretWatch, files_with, jobs_with
from tests.cluster.walk import Step, walk
from tests.hub import TOKEN, Hub
from tests.pypi import PackageIndex
from tests.trainer import build_repositories


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder runs on the lab."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def index(shared: Path) -> PackageIndex:
    """The package index, and uv's cache of it: one for all workers, as long as the process lives that started them."""
    return PackageIndex(shared / "index", os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid())


@pytest.fixture(scope="session")
def hub_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The Hub, for all tests."""
    root = tmp_path_factory.mktemp("hub")
    build_repositories(root)
    with Hub(root) as running:
        yield running


@pytest.fixture
def hub(hub_server: Hub) -> Hub:
    """The Hub without faults and with counters at zero."""
    hub_server.set_faults()
    hub_server.reset()
    return hub_server


@pytest.fixture(scope="session")
def lab_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab, for all tests."""
    with Lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def watch(lab_running: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretWatch]:
    """Looks for the token while the tests run and, after the last one, in all that they left but config.env."""
    root = tmp_path_factory.getbasetemp()
    with SecretWatch(root, TOKEN) as running:
        yield running
    spilt = [*running.seen, *map(str, files_with(TOKEN, [root])), *jobs_with(TOKEN, lab_running)]
    assert spilt == [], "tests have spilt the token"


@pytest.fixture(autouse=True)
def nothing_spilt(tmp_path: Path) -> Iterator[None]:
    """Looks for the token in what a test has left, before pytest removes it."""
    yield
    spilt = files_with(TOKEN, [tmp_path])
    assert spilt == [], "the test has spilt the token"


@pytest.fixture
def lab(lab_running: Lab) -> Iterator[Lab]:
    """The lab with every node idle and without a job of another test."""
    yield lab_running
    lab_running.clear()


@pytest.fixture
def new_project(lab: Lab, hub: Hub, index: PackageIndex, tmp_path: Path) -> Callable[..., Project]:
    """Makes a collaborator's folder with the two edits done."""

    def make(version: str = "non-prompt", *, readme: str | None = None, folder: str = "project") -> Project:
        project = Project(tmp_path / folder, lab, hub, index)
        project.copy_scripts(readme)
        project.two_edits(version)
        return project

    return make


@pytest.fixture(scope="session")
def environment_built(
    lab_running: Lab, hub_server: Hub, index: PackageIndex, tmp_path_factory: pytest.TempPathFactory, shared: Path
) -> Project:
    """A folder after setup, for all tests and both versions. The first worker makes it, the others copy what it has made."""
    hub_server.set_faults()
    project = Project(tmp_path_factory.mktemp("setup") / "project", lab_running, hub_server, index)
    kept = shared / "set-up"
    with FileLock(shared / "set-up.lock"):
        if not kept.exists():
            project.copy_scripts()
            project.two_edits("non-prompt")
            assert project.run("01_setup.sbatch", "training") == "COMPLETED", project.log()
            index.keep_bytecode(project.environment, project.folder / "environments" / "tools" / "hub")
            project.copy_to(kept)
            return project
    Project(kept, lab_running, hub_server, index).copy_to(project.folder)
    return project


@pytest.fixture
def set_up(lab: Lab, hub: Hub, environment_built: Project) -> Callable[[str], Project]:
    """A folder after setup, with config.env as the two edits left it, and with what was trained in it."""

    def get(version: str = "non-prompt") -> Project:
        project = environment_built
        project.ask(hub)
        project.copy_scripts()
        project.two_edits(version)
        if not (project.folder / ".state" / f"setup-{version}").exists():
            assert project.run("01_setup.sbatch", "training") == "COMPLETED", project.log()
        return project

    return get


@pytest.fixture
def ready(set_up: Callable[[str], Project]) -> Callable[[str], Project]:
    """A folder after setup and before training, with config.env as the two edits left it."""

    def get(version: str = "non-prompt") -> Project:
        project = set_up(version)
        project.forget_training()
        return project

    return get


@pytest.fixture
def unprepared(lab: Lab, hub: Hub, environment_built: Project) -> Project:
    """A folder in which nothing is downloaded yet; tools and environment are there."""
    project = environment_built
    project.ask(hub)
    project.forget_setup()
    project.copy_scripts()
    project.two_edits("non-prompt")
    return project


@pytest.fixture
def without(ready: Callable[[], Project], environment_built: Project) -> Callable[..., Project]:
    """A folder in which only these repositories are not downloaded yet, and nothing is unpacked."""

    def get(*repositories: str) -> Project:
        if not environment_built.state("setup-non-prompt").exists():
            environment_built.forget_setup()  # the test before has failed: it may have left anything
        project = ready()
        project.forget_setup(*(name.split("/")[-1] for name in repositories))
        project.hub.reset()
        return project

    return get


@dataclass
class Walked:
    """A README, walked from top to bottom in an empty folder."""

    project: Project
    readme: str
    steps: list[Step]


class Finished(dict[str, Walked]):
    """The end-to-end run of each version, made on first use: the commands of a README, typed.

    The first README is walked in an empty folder, the other one where the environments are that the first has made.
    """

    def __init__(self, lab: Lab, hub: Hub, index: PackageIndex, folders: pytest.TempPathFactory) -> None:
        super().__init__()
        self.parts = (lab, hub, index)
        self.folders = folders

    def __missing__(self, version: str) -> Walked:
        lab, hub, index = self.parts
        hub.set_faults()
        project = Project(self.folders.mktemp(f"walked-{version}") / "smoke_test", lab, hub, index)
        if version != VERSIONS[0]:
            self[VERSIONS[0]].project.copy_to(project.folder)
            project.keep_environments()
        readme = list(READMES)[VERSIONS.index(version)]
        commands = block_commands(page_texts()[READMES[readme]], READMES[readme])
        self[version] = Walked(project, readme, walk(project, commands, version, readme))
        return self[version]


@pytest.fixture(scope="session")
def finished(lab_running: Lab, hub_server: Hub, index: PackageIndex, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Folders in which everything is done, with what was typed; not to be changed."""
    return Finished(lab_running, hub_server, index, tmp_path_factory)

"""01_setup dies at each of its steps, by each kind of death; the last start finishes, and takes no half for a whole."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diffueraser_docs.facts import facts
from tests.cluster.lab import ENDED, wait_for
from tests.cluster.project import Project
from tests.cluster.setup import (
    CODE,
    QUICK,
    assert_complete,
    kill_hard,
    on_login_node,
    setup,
    size,
)
from tests.cluster.training import ids
from tests.hub import Hub
from tests.trainer import build_repositories

Record = Callable[[str, object], None]
PADDING = 6000
LARGE = 20_000_000
STEPS = ("environment", "download", "unpacking", "code")
DEATHS = {"kill -9": STEPS, "scancel": ("environment", "unpacking"), "node failure": ("download", "code")}
"""The steps at which setup dies by each kind of death: each step twice, each kind early and late."""


@pytest.fixture(scope="session")
def padded_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub whose archives take a while to unpack and whose code takes a while to rewrite."""
    root = tmp_path_factory.mktemp("padded")
    build_repositories(root, padding=PADDING)
    with Hub(root) as running:
        yield running


@pytest.fixture
def slow(unprepared: Project, padded_hub: Hub) -> Iterator[Project]:
    """A folder that downloads from that Hub."""
    padded_hub.set_faults()
    padded_hub.reset()
    unprepared.ask(padded_hub)
    unprepared.large_from(LARGE)
    yield unprepared
    unprepared.forget_setup()  # the next test wants the other Hub's files


def end(project: Project, job: int, death: str) -> str:
    """Let a job die so; its end as Slurm tells it."""
    if death == "scancel":
        project.lab.run(["scancel", str(job)], project.folder)
    elif death == "kill -9":
        kill_hard(project.lab, job)
    else:
        node = project.lab.job(job)["NodeList"]
        project.lab.kill_node(node)
        project.lab.run(["scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test"], project.folder)
        wait_for(lambda: project.lab.job(job)["JobState"] in (*ENDED, "PENDING"), "the job is requeued", 60, costly=True)
        project.lab.run(["scancel", str(job)], project.folder)
        project.lab.start_node(node)
        project.lab.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], project.folder)
    return project.lab.wait(job, 60)


def is_at(project: Project, step: str) -> bool:
    """Whether setup is in the middle of a step."""
    data, new = project.root("non-prompt"), project.root("non-prompt") / ".tmp-code"
    return {
        "environment": lambda: any(project.environment.glob("lib/*/site-packages/numpy")),
        "download": lambda: project.hub.payload().get(f"{CODE}/YTBV.tar", 0) > 9_000_000,
        "unpacking": lambda: any(data.glob(".tmp-*/dataset/YTBV/padding/*")),
        "code": lambda: any(new.glob("libs/padding/*")),
    }[step]()


def assert_nothing_half(project: Project, step: str) -> None:
    """What stands at its place after a death is whole, or has no mark."""
    assert not project.state("setup-non-prompt").exists(), "the case came too late"
    assert project.state("environment").exists() == (step != "environment")
    padding = project.root("non-prompt") / "dataset" / "YTBV" / "padding"
    if padding.exists():
        assert len(list(padding.iterdir())) == PADDING, "a half stands at the place of the whole"


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.fault("{death}", "setup", "survived")
def test_death_at_each_step(slow: Project, death: str, record_property: Record) -> None:
    """The starts die one after the other, each at a later step."""
    record_property("cases", len(DEATHS[death]))
    if "environment" in DEATHS[death]:
        slow.state("environment").unlink()
        shutil.rmtree(slow.environment)
    for step in DEATHS[death]:
        if step == "download":
            slow.hub.set_faults({"match": "/cdn/.*YTBV.tar", "kind": "throttle", "value": 8_000_000})
        job = slow.sbatch("01_setup.sbatch", "training", **QUICK)
        wait_for(lambda step=step: is_at(slow, step), f"setup is at {step}", 120, slow.log)  # type: ignore[misc]
        assert end(slow, job, death) in ("CANCELLED", "FAILED", "NODE_FAIL"), slow.log()
        assert_nothing_half(slow, step)
        if death == "scancel":
            assert ids(slow.last_line()) == ["ended"], slow.log()
        slow.hub.set_faults()
    assert setup(slow) == "COMPLETED", slow.log()
    assert_complete(slow)
    assert len(list((slow.root("non-prompt") / "dataset" / "YTBV" / "padding").iterdir())) == PADDING
    left = subprocess.run(["grep", "-rl", "/home/hj/", str(slow.root("non-prompt") / "libs")], capture_output=True, check=False)
    assert left.returncode == 1, left.stdout
    imports = f"import {', '.join(facts().environment.imports)}"
    subprocess.run([slow.environment / "bin" / "python", "-c", imports], check=True)
    record_property("repeated_bytes", slow.downloaded_twice())
    sent = slow.hub.payload()
    assert sent[f"{CODE}/YTBV.tar"] <= size(slow, CODE, "YTBV.tar") + 4_000_000, "begun again instead of resumed"
    assert sent[f"{CODE}/DAVIS.tar"] == size(slow, CODE, "DAVIS.tar")


@pytest.mark.fault("time limit", "download", "survived")
def test_death_by_time_limit(without: Callable[..., Project]) -> None:
    project = without(CODE)
    project.hub.set_faults({"match": "/cdn/.*YTBV.tar", "kind": "throttle", "value": 100_000})
    job = project.sbatch("--time=1", "01_setup.sbatch", "training", **QUICK)
    project.lab.run(["scontrol", "update", f"JobId={job}", "TimeLimit=00:00:10"], project.folder)
    assert project.lab.wait(job, 150) == "TIMEOUT", project.log()
    assert ids(project.last_line()) == ["ended"], project.log()
    project.hub.set_faults()
    on_login_node(project).completed()
    assert_complete(project)


# --- disk full: a small file system under one folder, bigger afterwards -------------------------------------------


class Disks:
    """Small file systems under folders."""

    def __init__(self) -> None:
        self.mounted: list[Path] = []

    def __call__(self, folder: Path, size: str) -> None:
        """Put one of this size there, or make the one there so big."""
        if folder in self.mounted:
            subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
        self.mounted.append(folder)

    def used(self, folder: Path) -> int:
        """Bytes that are used on it."""
        status = os.statvfs(folder)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def remove(self, folder: Path) -> None:
        """Take it away with all that is on it."""
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        self.mounted.remove(folder)


@pytest.fixture
def small_disk() -> Iterator[Disks]:
    """Small file systems, gone afterwards."""
    disks = Disks()
    yield disks
    for folder in reversed(list(disks.mounted)):
        disks.remove(folder)


@pytest.mark.fault("full disk", "setup", "clear error")
def test_full_disk_at_each_step(without: Callable[..., Project], small_disk: Disks, record_property: Record) -> None:
    """In the download, in the unpacking, in moving into place, in the code: said, and after each more room is enough."""
    record_property("cases", 4)
    project = without(CODE)
    downloads, data = project.folder / "DiffuEraser_downloads" / CODE.split("/")[1], project.root("non-prompt")
    small_disk(downloads, "12m")
    on_login_node(project).refused("disk-full")
    small_disk(downloads, "100m")
    small_disk(data, "8m")
    on_login_node(project).refused("disk-full")
    small_disk(data, "400m")
    small_disk(data / "dataset", "1m")
    on_login_node(project).refused("disk-full")
    small_disk(data / "dataset", "400m")
    on_login_node(project).completed()
    assert_complete(project)
    small_disk(data, str(small_disk.used(data) + 16384))
    on_login_node(project, SKIP_PATCHES="trackers").refused("disk-full")
    small_disk(data, "400m")
    on_login_node(project, SKIP_PATCHES="trackers").completed()
    assert_complete(project)
    for folder in (data / "dataset", data, downloads):
        small_disk.remove(folder)
    project.forget_setup()


@pytest.mark.fault("full disk", "environment", "clear error")
def test_full_disk_while_the_environment_is_built(unprepared: Project, small_disk: Disks) -> None:
    kept = unprepared.folder / "environments"
    aside = unprepared.folder / "environments-aside"
    before = unprepared.state("environment").read_text()
    kept.rename(aside)
    try:
        unprepared.state("environment").unlink()
        small_disk(kept, "600m")
        shutil.copytree(aside / "tools", kept / "tools", symlinks=True)
        on_login_node(unprepared).refused("disk-full")
        assert not unprepared.state("environment").exists(), "half an environment is taken for a whole"
        assert unprepared.hub.payload() == {}
    finally:
        small_disk.remove(kept)
        kept.rmdir()
        aside.rename(kept)
        unprepared.state("environment").write_text(before)


@pytest.mark.fault("little space", "setup", "refused")
def test_little_space_is_known_beforehand(new_project: Callable[[], Project], small_disk: Disks) -> None:
    project = new_project()
    here = project.folder / "small"
    small_disk(here, "250m")
    line = on_login_node(project, PROJECT_HOME=str(here)).refused("disk-space")
    assert "DPO_DATASET=no" in line
    assert "KEEP_DOWNLOADS=no" in line
    assert project.hub.payload() == {}
    assert not list(here.glob("environments/diffueraser")), "the environment was built before the space was looked at"

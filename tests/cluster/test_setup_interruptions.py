"""01_setup dies at each of its steps, by each kind of death; a second start finishes, and takes no half for a whole."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from diffueraser_docs.facts import facts
from tests.cluster.lab import ENDED, Lab, wait_for
from tests.cluster.project import Project
from tests.cluster.test_setup_faults import CODE, Record, assert_complete, setup, size
from tests.hub import Hub
from tests.trainer import build_repositories

PADDING = 10000
STEPS = {
    "download": "download YTBV.tar: ",
    "unpacking": "unpack YTBV.tar: begins",
    "environment": "environment: installs",
    "path rewriting": "unpack weights_extras.tar: complete",
}
DEATHS = ("scancel", "kill -9", "node failure")


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
    yield unprepared
    unprepared.forget_setup()  # the next test wants the other Hub's files


def wait_for_text(project: Project, text: str) -> None:
    """Wait, finely, until the log holds a text."""
    end = time.monotonic() + 60
    while text not in project.log("diffueraser-setup*"):
        assert time.monotonic() < end, f"{text!r} never came:\n{project.log()}"
        time.sleep(0.005)


def kill_hard(lab: Lab, job: int) -> None:
    """kill -9 to every process of a job of this lab, as a node out of memory does it."""
    while left := [process for process in psutil.process_iter() if of_job(process, lab, job)]:
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)


def of_job(process: psutil.Process, lab: Lab, job: int) -> bool:
    """Whether a living process belongs to a job of this lab."""
    try:
        environment = process.environ()
        alive = process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return alive and environment.get("SLURM_JOB_ID") == str(job) and environment.get("SLURM_CONF") == lab.env["SLURM_CONF"]


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


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.fault("{death}", "{step}", "survived")
def test_setup_dies_and_goes_on_from_there(slow: Project, step: str, death: str, record_property: Record) -> None:
    if step == "download":
        slow.hub.set_faults({"match": "/cdn/.*YTBV.tar", "kind": "throttle", "value": 8_000_000})
    if step == "environment":
        (slow.folder / ".state" / "environment").unlink()
    job = slow.sbatch("01_setup.sbatch", "training")
    wait_for_text(slow, STEPS[step])
    if step == "download":
        wait_for(lambda: slow.hub.payload().get(f"{CODE}/YTBV.tar", 0) > 12_000_000, "a part is down", 30)
    assert end(slow, job, death) in ("CANCELLED", "FAILED", "NODE_FAIL"), slow.log()
    state = slow.folder / ".state"
    assert not (state / "setup-non-prompt").exists(), "the case came too late"
    assert (state / "environment").exists() == (step != "environment"), "half an environment is taken for a whole"
    if death == "scancel":
        assert re.search("ERROR  Setup was ended from outside.* Submit again", slow.last_line()), slow.last_line()
    if not (state / "unpack-YTBV.tar").exists() and (slow.root("non-prompt") / "dataset" / "YTBV").exists():
        frames = len(list((slow.root("non-prompt") / "dataset" / "YTBV" / "padding").iterdir()))
        assert frames == PADDING, "a half stands at the place of the whole"
    slow.hub.set_faults()
    assert setup(slow) == "COMPLETED", slow.log()
    assert_complete(slow)
    if step == "environment":
        subprocess.run(
            [slow.environment / "bin" / "python", "-c", f"import {', '.join(facts().environment.imports)}"], check=True
        )
    assert len(list((slow.root("non-prompt") / "dataset" / "YTBV" / "padding").iterdir())) == PADDING
    left = subprocess.run(["grep", "-rl", "/home/hj/", str(slow.root("non-prompt") / "libs")], capture_output=True, check=False)
    assert left.returncode == 1, left.stdout
    record_property("repeated_bytes", slow.downloaded_twice())
    sent = slow.hub.payload()
    assert sent[f"{CODE}/YTBV.tar"] <= size(slow, CODE, "YTBV.tar") + 11_000_000, "begun again instead of resumed"
    assert sent[f"{CODE}/DAVIS.tar"] == size(slow, CODE, "DAVIS.tar")


@pytest.mark.fault("time limit", "download", "survived")
def test_the_time_limit_leaves_its_word(slow: Project) -> None:
    slow.hub.set_faults({"match": "/cdn/.*YTBV.tar", "kind": "throttle", "value": 100_000})
    job = slow.sbatch("--time=1", "01_setup.sbatch", "training")
    slow.lab.run(["scontrol", "update", f"JobId={job}", "TimeLimit=00:00:10"], slow.folder)
    assert slow.lab.wait(job, 150) == "TIMEOUT", slow.log()
    assert "Setup was ended from outside: time limit" in slow.last_line()
    slow.hub.set_faults()
    assert setup(slow) == "COMPLETED", slow.log()
    assert_complete(slow)


# --- disk full: a small file system under one folder, bigger afterwards ----------------------------------------


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

    def remove(self, folder: Path) -> None:
        """Take it away with all that is on it."""
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        self.mounted.remove(folder)


@pytest.fixture
def small_disk() -> Iterator[Disks]:
    """Small file systems, gone afterwards."""
    disks = Disks()
    yield disks
    for folder in list(disks.mounted):
        disks.remove(folder)


@pytest.mark.parametrize(
    ("folder", "small", "said"),
    [
        ("DiffuEraser_downloads", "12m", "The disk is full"),
        ("DiffuEraser_finetune", "8m", "could not be unpacked"),
        ("DiffuEraser_finetune/dataset", "1m", ""),
    ],
    ids=["download", "unpacking", "moving"],
)
@pytest.mark.fault("full disk", "{id}", "clear error")
def test_a_full_disk_is_said_and_nothing_is_lost(
    unprepared: Project, small_disk: Disks, folder: str, small: str, said: str
) -> None:
    small_disk(unprepared.folder / folder, small)
    assert setup(unprepared) == "FAILED"
    assert "ERROR" in unprepared.last_line(), unprepared.log()
    assert said in unprepared.log()
    assert "free on" in unprepared.log()
    small_disk(unprepared.folder / folder, "400m")
    assert setup(unprepared) == "COMPLETED", unprepared.log()
    assert_complete(unprepared)


@pytest.mark.fault("full disk", "path rewriting", "clear error")
def test_a_full_disk_while_the_code_is_put_in_place(slow: Project, small_disk: Disks) -> None:
    libs = slow.root("non-prompt") / "libs"
    small_disk(libs, "1m")
    assert setup(slow) == "FAILED"
    assert re.search("ERROR .*free on", slow.last_line()), slow.log()
    small_disk(libs, "100m")
    assert setup(slow) == "COMPLETED", slow.log()
    assert_complete(slow)
    assert len(list((libs / "padding").iterdir())) == PADDING // 10


@pytest.mark.fault("full disk", "environment", "clear error")
def test_a_full_disk_while_the_environment_is_built(unprepared: Project, small_disk: Disks) -> None:
    kept = unprepared.folder / "environments"
    aside = unprepared.folder / "environments-aside"
    kept.rename(aside)
    markers = {name: (unprepared.folder / ".state" / name).read_text() for name in ("tools", "environment")}
    try:
        for name in markers:
            (unprepared.folder / ".state" / name).unlink()
        small_disk(kept, "600m")
        assert setup(unprepared) == "FAILED"
        assert re.search("ERROR .*(could not be installed|could not be made)", unprepared.log()), unprepared.log()
        assert not (unprepared.folder / ".state" / "environment").exists(), "half an environment is taken for a whole"
        small_disk(kept, "6g")
        assert setup(unprepared) == "COMPLETED", unprepared.log()
        assert_complete(unprepared)
    finally:
        small_disk.remove(kept)
        shutil.rmtree(kept, ignore_errors=True)
        aside.rename(kept)
        for name, text in markers.items():
            (unprepared.folder / ".state" / name).write_text(text)


@pytest.mark.fault("little space", "setup", "refused")
def test_too_little_space_is_known_beforehand(unprepared: Project, small_disk: Disks) -> None:
    here = unprepared.folder / "small"
    small_disk(here, "900m")
    assert setup(unprepared, PROJECT_HOME=str(here)) == "FAILED"
    said = (next((here / "logs").glob("diffueraser-setup*"))).read_text()
    assert re.search(r"has room for 0\.[89] GB, but 27\.2 GB are needed. Make space, set PROJECT_HOME", said), said
    assert unprepared.hub.payload() == {}

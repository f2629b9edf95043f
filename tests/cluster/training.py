"""What the tests of 02_train.sbatch share: submitting, holding the stand-in at a step, and keeping what a run left."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.cluster.lab import Lab, wait_for
from tests.cluster.project import RECORDS, TRAINING_OUTPUT, Project

__all__ = ["Hold", "hold", "project", "undisturbed"]
Ready = Callable[..., Project]
Weights = dict[str, bytes]
Env = dict[str, Any]
"""Variables beside arguments of other types."""
INTERVAL = 5
HELD_AT = INTERVAL + 2
NO_VALIDATION: Env = {f"STAGE{stage}_VALIDATION_{name}": "[]" for stage in (1, 2) for name in ("IMAGE", "MASK", "PROMPT")}


def submit(project: Project, *options: str, gpus: int = 1, **env: str) -> int:
    """Submit training."""
    request = (f"--gres=gpu:{gpus}", f"--cpus-per-task={gpus * 3}", "--mem=8G")
    return project.sbatch(*request, *options, "02_train.sbatch", **{"NUM_GPUS": str(gpus), **env})


def train(project: Project, *options: str, gpus: int = 1, timeout: float = 240, **env: str) -> str:
    """Submit training and give its end."""
    return project.lab.wait(submit(project, *options, gpus=gpus, **env), timeout)


def log(project: Project) -> str:
    """The job's own log."""
    return project.log("diffueraser-train*")


def job_log(project: Project, job: int) -> str:
    """What one job wrote, before and after it knew its log."""
    return "\n".join(
        path.read_text() for place in (project.folder, project.folder / "logs") for path in place.glob(f"*-{job}.log")
    )


def ids(text: str) -> list[str]:
    """The ids of the errors in a text, in order."""
    return re.findall(r"ERROR\[([a-z0-9-]+)\] ", text)


def error(text: str, name: str) -> str:
    """The line of the last error of that id."""
    lines = [line for line in text.splitlines() if f"ERROR[{name}] " in line]
    assert lines, f"no ERROR[{name}] in\n{text}"
    assert " Fix: " in lines[-1], f"says no fix: {lines[-1]}"
    return lines[-1]


def notes(text: str) -> list[str]:
    """What is said beside the errors."""
    return [line for line in text.splitlines() if "  NOTE  " in line]


def checkpoints(project: Project, version: str = "non-prompt", stage: int = 1) -> list[str]:
    """Names in the output folder of a stage that the trainer would read."""
    return sorted(path.name for path in (project.root(version) / f"finetune-stage{stage}").glob("checkpoint*"))


def trainer_log(project: Project, stage: int | str = "*") -> str:
    """What the trainer said, with its progress bars as lines."""
    return project.log(f"trainer-*-stage{stage}-*").replace("\r", "\n")


def steps(project: Project, stage: int = 1) -> list[int]:
    """The steps that the trainer's own bar has shown."""
    return [int(step) for step in re.findall(r"Steps:.* (\d+)/\d+ \[", trainer_log(project, stage))]


def starts(project: Project, stage: int = 1) -> list[int]:
    """Steps at which the trainer of a stage was started."""
    return [int(step) for step in re.findall(rf"stage {stage}: trainer starts at step (\d+)", log(project))]


def ends(project: Project, stage: int = 1) -> list[str]:
    """Why each start of the trainer of a stage has ended."""
    return re.findall(rf"(?m)^end {stage} \d+ \d+ \S+ (.+)", project.state("history-non-prompt").read_text())


def is_requeued(lab: Lab, job: int, times: int = 1) -> None:
    """Wait until the job was put back into the queue."""
    wait_for(
        lambda: int(lab.job(job)["Restarts"]) >= times, f"job {job} is requeued", 150, lambda: str(lab.job(job)), costly=True
    )


def comes_back(project: Project, job: int) -> None:
    """The job is queued again by itself, runs, and ends well."""
    is_requeued(project.lab, job)
    assert project.lab.wait(job, 400) == "COMPLETED", log(project) + trainer_log(project)[-2000:]


class Hold:
    """Holds the stand-in at one place, so that a test can do there what it wants."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.file = project.folder.parent / "hold"
        self.reached = self.file.with_name("hold-reached")
        self.env: Env = {"STANDIN_HOLD": str(self.file)}

    def at(self, place: str) -> None:
        """Hold at "stage 1, step 7" or "conversion 1"."""
        self.reached.unlink(missing_ok=True)
        part = self.file.with_suffix(".part")
        part.write_text(place)
        part.replace(self.file)

    def wait(self, timeout: float = 120) -> None:
        """Wait until the run is there."""
        wait_for(self.reached.exists, f"the run is at {self.file.read_text()}", timeout, lambda: log(self.project))

    def release(self) -> None:
        """Let it run on."""
        self.file.unlink(missing_ok=True)
        self.reached.unlink(missing_ok=True)


def clean(project: Project) -> Project:
    """A folder after setup, as if nothing was ever trained."""
    project.forget_training()
    return project


@pytest.fixture
def project(ready: Ready) -> Project:
    """A folder after setup."""
    return clean(ready())


@pytest.fixture
def hold(project: Project) -> Iterator[Hold]:
    """Holds the stand-in of that folder."""
    holding = Hold(project)
    yield holding
    holding.release()


class KeptRun:
    """What a run left that nobody disturbed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.weights = weights_in(folder / "output" / "converted_weights")

    def restore(self, project: Project, *names: str) -> Path:
        """Put some of its folders back, or all and the marks; gives the root of the code."""
        root = project.root("non-prompt")
        for path in (self.folder / "output").iterdir():
            if not names or path.name in names:
                shutil.copytree(path, root / path.name, dirs_exist_ok=True)
        for mark in [] if names else (self.folder / "state").iterdir():
            shutil.copy(mark, project.folder / ".state")
        return root

    def of_stage_1(self) -> Weights:
        """The weights of stage 1."""
        return {name: content for name, content in self.weights.items() if "stage1" in name}


def weights_in(folder: Path) -> Weights:
    """Every converted file and its bytes, records left out: they hold parameters and times of their own."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in RECORDS]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def keep(project: Project, folder: Path) -> None:
    """Copy what a run left."""
    for name in TRAINING_OUTPUT:
        if (project.root("non-prompt") / name).exists():
            shutil.copytree(project.root("non-prompt") / name, folder / "output" / name)
    (folder / "state").mkdir()
    for mark in (project.folder / ".state").glob("training-*"):
        shutil.copy(mark, folder / "state")


@pytest.fixture
def undisturbed(project: Project, shared: Path) -> Callable[..., KeptRun]:
    """Tells what a run leaves that nobody disturbs; to be asked before the run that is disturbed.

    The first test that asks makes the run, for all files.
    """

    def get(processes: int = 1) -> KeptRun:
        folder = shared / f"undisturbed-{processes}"
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                assert train(project, gpus=processes, STAGE="all" if processes == 1 else "1") == "COMPLETED", log(project)
                part = folder.with_suffix(".part")
                keep(project, part)
                part.rename(folder)
                clean(project)
        return KeptRun(folder)

    return get

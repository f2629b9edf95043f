"""What the tests of 01_setup.sbatch share: running it, and looking at what it made."""

import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from diffueraser_docs.facts import facts
from tests.cluster.lab import Lab
from tests.cluster.project import Project
from tests.cluster.training import error, ids
from tests.cluster.waiting import BUSY

ORG = facts().hub.organisation
CODE, PROMPT, WEIGHTS, DPO = (f"{ORG}/{repository.name}" for repository in facts().hub.repositories)
UNET = "stable-diffusion-v1-5/unet/diffusion_pytorch_model.safetensors"
QUICK = {"DOWNLOAD_ATTEMPTS": "2", "HF_HUB_DOWNLOAD_TIMEOUT": "3"}
TRAINING_REFUSES = ["not-in-a-job"]
"""What training says on the login node when nothing else is wrong."""


@dataclass
class Ended:
    """What became of a setup on the login node."""

    status: int
    said: str

    def refused(self, *expected: str) -> str:
        """It failed with these ids and no others; gives the line of the last one."""
        assert self.status == 1, self.said
        assert ids(self.said) == list(expected), self.said
        line = error(self.said, expected[-1])
        assert self.said.strip().splitlines()[-1] == line, f"the error is not the last line:\n{self.said}"
        return line

    def completed(self) -> str:
        """It came to its end; gives all that it said."""
        assert self.status == 0, self.said
        assert ids(self.said) == [], self.said
        return self.said


def on_login_node(project: Project, *command: str, **env: str) -> Ended:
    """Run setup where its user types, which costs no time of Slurm's."""
    result = project.bash("01_setup.sbatch", *(command or ("training",)), **{**QUICK, **env})
    return Ended(result.returncode, result.stdout + result.stderr)


def started(project: Project, **env: str) -> subprocess.Popen[str]:
    """A setup on the login node that runs now, with what it says in `setup.out`."""
    with (project.folder / "setup.out").open("w") as out:
        return subprocess.Popen(
            ["bash", "01_setup.sbatch", "training"],
            cwd=project.folder, env={**project.lab.env, **project.env, **QUICK, **env},
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, text=True, start_new_session=True,
        )  # fmt: skip


def finished(project: Project, process: subprocess.Popen[str]) -> Ended:
    """The end of a setup that was started."""
    status = process.wait(600)
    return Ended(status, (project.folder / "setup.out").read_text())


def setup(project: Project, **env: str) -> str:
    """Submit setup for training and give its end."""
    return project.lab.wait(project.sbatch("01_setup.sbatch", "training", **{**QUICK, **env}))


def what_training_says(project: Project) -> list[str]:
    """The ids with which training refuses on the login node."""
    result = project.bash("02_train.sbatch")
    assert result.returncode == 1, result.stdout
    return ids(result.stderr)


def size(project: Project, repository: str, path: str) -> int:
    """Bytes of a file on the Hub."""
    return (project.hub.root / repository / path).stat().st_size


def assert_complete(project: Project) -> None:
    """What the Hub holds is on disk, whole, training would begin, and nothing partial is left."""
    root = project.root("non-prompt")
    for path in (project.hub.root / WEIGHTS / "stable-diffusion-v1-5").rglob("*.*"):
        below = path.relative_to(project.hub.root / WEIGHTS)
        assert (root / "weights" / below).read_bytes() == path.read_bytes(), below
    for name in ("dataset/DAVIS/JPEGImages", "dataset/YTBV/JPEGImages", "weights/diffuEraser/brushnet"):
        assert any((root / name).iterdir()), name
    assert what_training_says(project) == TRAINING_REFUSES
    left = [path for folder in (root, project.folder / ".state") for path in folder.glob("*tmp*")]
    assert left == [], "something temporary is left"


def wait_for_text(project: Project, text: str, timeout: float = 120) -> None:
    """Wait, finely, until the log of a setup holds a text."""
    end = time.monotonic() + timeout * BUSY
    while text not in project.log("*setup*"):
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


def stand_in(folder: Path, name: str, body: str) -> Path:
    """A program of this name in a folder for PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)
    return path

"""What a training of the matrix has done, read from the files that it wrote, not from what the scripts say."""

from pathlib import Path

from tests.cluster.lab import Lab, wait_for
from tests.cluster.project import Project

EVERY = 5
STEPS = 12
"""As tests.cluster.project.SHORT sets them."""


def output(project: Project, stage: int = 1) -> Path:
    """The folder of a stage."""
    return project.root("non-prompt") / f"finetune-stage{stage}"


def starts(project: Project, stage: int = 1) -> list[int]:
    """At which step each start of the trainer began."""
    record = output(project, stage) / "starts.txt"
    return [int(line) for line in record.read_text().split()] if record.exists() else []


def begin(project: Project, *options: str, step_seconds: float = 1) -> int:
    """Submit a training of stage 1, and wait for its first checkpoint."""
    options = ("--gres=gpu:2", "--cpus-per-task=4", "--mem=8G", *options)
    job = project.sbatch(*options, "02_train.sbatch", STAGE="1", STANDIN_STEP_SECONDS=str(step_seconds))
    wait_for((output(project) / f"checkpoint-{EVERY}").exists, "the first checkpoint", 120, project.log)
    return job


def has_come_back(project: Project, job: int) -> None:
    """The job was requeued by itself or by Slurm, resumed from a checkpoint, and ended with the weights."""
    lab = project.lab
    wait_for(lambda: restarts(lab, job) >= 1, f"job {job} is requeued", 180, lambda: str(lab.job(job)), costly=True)
    assert lab.wait(job, 300) == "COMPLETED", project.log()
    assert starts(project)[0] == 0
    assert starts(project)[-1] >= EVERY, "it began anew"
    assert len(starts(project)) == 2, "the trainer was started once more than needed"
    assert project.record("non-prompt", 1)["step"] == STEPS


def restarts(lab: Lab, job: int) -> int:
    """How often Slurm has put a job back into the queue."""
    return int(lab.job(job).get("Restarts", "0"))


def held(lab: Lab) -> dict[int, str]:
    """Jobs that are queued or running."""
    return {job: state for job, state in lab.jobs().items() if state in ("PENDING", "RUNNING", "CONFIGURING", "SUSPENDED")}

"""02_train's trainer dies, hangs or gets nowhere, or its user ends it: started again where that helps, and nowhere else."""

import re
import signal

import psutil
import pytest

from tests.cluster.lab import wait_for
from tests.cluster.project import Project
from tests.cluster.test_training import log, submit, train
from tests.cluster.test_training_interruptions import (
    INTERVAL,
    SLOW,
    Undisturbed,
    is_requeued,
    project,
    starts,
    undisturbed,
    wait_for_step,
    weights_known,
)

__all__ = ["project", "undisturbed", "weights_known"]


def trainers(project: Project) -> list[psutil.Process]:
    """The ranks that train now."""
    found = []
    for process in psutil.process_iter():
        try:
            if "train_DiffuEraser" in " ".join(process.cmdline()) and process.cwd() == str(project.root("non-prompt")):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    ranks = [process for process in found if "accelerate" not in " ".join(process.cmdline())]
    return [process for process in ranks if process.ppid() not in {rank.pid for rank in ranks}]  # no loader's worker


@pytest.mark.parametrize("how", ["killed", "hanging"])
@pytest.mark.fault("{how} rank", "stage 1", "survived")
def test_a_rank_is_killed_or_hangs(project: Project, undisturbed: Undisturbed, how: str) -> None:
    whole = undisturbed(2)
    job = submit(project, gpus=2, STALL_MINUTES="1", **SLOW)
    wait_for_step(project, INTERVAL + 1)
    rank = trainers(project)[-1]
    rank.send_signal(signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    assert project.lab.wait(job, 240) == "COMPLETED", log(project)
    assert len(starts(project)) == 2
    assert starts(project)[1] >= INTERVAL
    assert ("no new step for 1 minutes; the trainer is started again" in log(project)) == (how == "hanging")
    assert project.weights("non-prompt") == whole


@pytest.mark.fault("scancel", "stage 1", "survived")
def test_scancel_is_the_end_until_it_is_submitted_again(project: Project, undisturbed: Undisturbed) -> None:
    whole = undisturbed(2)
    job = submit(project, gpus=2, **SLOW)
    wait_for_step(project, INTERVAL + 1)
    project.lab.run(["scancel", str(job)], project.folder)
    assert project.lab.wait(job, 60) == "CANCELLED"
    wait_for(lambda: not trainers(project), "no trainer is left", 30)
    assert len(starts(project)) == 1, "it was started again"
    assert train(project, gpus=2, STAGE="1") == "COMPLETED", log(project)
    assert starts(project)[-1] >= INTERVAL
    assert project.weights("non-prompt") == whole


@pytest.mark.fault("fruitless", "stage 1", "clear error")
def test_time_limits_that_bring_no_checkpoint_do_not_go_on_for_ever(project: Project) -> None:
    (project.folder / ".state" / "fruitless-non-prompt").write_text("1\n")  # another job's start, long ago, does not count
    job = submit(project, STANDIN_STEP_SECONDS="1", STAGE1_CHECKPOINTING_STEPS="1000", STAGE1_MAX_TRAIN_STEPS="2000")
    for start in (1, 2):
        wait_for(lambda start=start: len(starts(project)) == start, "the trainer starts", 120)  # type: ignore[misc]
        project.lab.run(["scancel", "--batch", "--signal=USR1", str(job)], project.folder)
        if start == 1:
            is_requeued(project.lab, job)
    assert project.lab.wait(job, 90) == "FAILED"
    assert re.search("two starts of this job brought no new checkpoint. Raise TRAIN_TIME or lower", log(project)), log(project)

"""02_train's trainer dies, hangs or gets nowhere, or its user ends it: started again where that helps, and nowhere else."""

import re
import signal
from collections.abc import Callable

import psutil
import pytest

from tests.cluster.lab import wait_for
from tests.cluster.project import Project
from tests.cluster.training import (
    HELD_AT,
    INTERVAL,
    NO_VALIDATION,
    Hold,
    KeptRun,
    error,
    hold,
    ids,
    is_requeued,
    log,
    project,
    starts,
    submit,
    train,
    trainer_log,
    undisturbed,
)

__all__ = ["hold", "project", "undisturbed"]
Undisturbed = Callable[..., KeptRun]


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


@pytest.mark.fault("killed rank", "stage 1", "survived")
def test_stops_killed_rank(project: Project, undisturbed: Undisturbed, hold: Hold) -> None:
    whole = undisturbed(2)
    hold.at(f"stage 1, step {HELD_AT}")
    job = submit(project, gpus=2, STAGE="1", **hold.env)
    hold.wait()
    trainers(project)[-1].send_signal(signal.SIGKILL)
    wait_for(lambda: len(starts(project)) == 2, "the trainer is started again", 90, lambda: log(project))
    hold.release()
    assert project.lab.wait(job) == "COMPLETED", log(project)
    assert starts(project) == [0, INTERVAL]
    assert project.weights("non-prompt") == whole.of_stage_1()


@pytest.mark.fault("hanging rank", "stage 1", "survived")
def test_stops_hanging_rank(project: Project, undisturbed: Undisturbed, hold: Hold) -> None:
    """Meanwhile `status` says how far it is, by the trainer's own bar and not by that of a validation."""
    whole = undisturbed(2)
    project.look_every(2)
    hold.at(f"stage 1, step {HELD_AT}")
    job = submit(project, gpus=2, STAGE="1", STALL_MINUTES="30", **hold.env)  # looks, each after two seconds
    hold.wait()
    assert "50/50 [" in trainer_log(project), "the case needs a validation's bar"
    trainers(project)[-1].send_signal(signal.SIGSTOP)
    hold.release()
    progress = project.folder / ".state" / "progress-non-prompt-stage1"
    wait_for(progress.exists, "progress is reported", 90, lambda: log(project))
    before = progress.read_text().strip()
    reported = re.match(rf"step (\d+)/12, .* left,.* last checkpoint (0|{INTERVAL})$", before)
    assert reported, before
    assert int(reported[1]) <= HELD_AT  # Slurm passes a bar on in pieces of a kilobyte: it may lag
    status = project.bash("setup_and_train.sbatch", "status").stdout
    assert re.search(rf"diffueraser-train: job {job}, running", status, re.IGNORECASE), status
    assert before in status or progress.read_text().strip() in status, "status shows neither progress"
    assert project.lab.wait(job) == "COMPLETED", log(project)
    assert starts(project) == [0, INTERVAL], log(project)
    assert ids(log(project)) == []
    assert project.weights("non-prompt") == whole.of_stage_1()


@pytest.mark.fault("scancel", "stage 1", "survived")
def test_stops_scancel(project: Project, undisturbed: Undisturbed, hold: Hold) -> None:
    whole = undisturbed(2)
    hold.at(f"stage 1, step {HELD_AT}")
    job = submit(project, gpus=2, STAGE="1", **hold.env)
    hold.wait()
    project.lab.run(["scancel", str(job)], project.folder)
    assert project.lab.wait(job, 60) == "CANCELLED"
    hold.release()
    wait_for(lambda: not trainers(project), "no trainer is left", 30)
    assert (starts(project), project.lab.job(job)["Restarts"], ids(log(project))) == ([0], "0", []), log(project)
    assert train(project, gpus=2, STAGE="1") == "COMPLETED", log(project)
    assert (starts(project), project.lab.job(job)["JobState"]) == ([0, INTERVAL], "CANCELLED")
    assert project.weights("non-prompt") == whole.of_stage_1()


@pytest.mark.fault("fruitless", "stage 1", "clear error")
def test_stops_time_limits_without_a_checkpoint(project: Project, hold: Hold) -> None:
    (project.folder / ".state" / "no-progress-non-prompt").write_text("1\n")  # another job's start, long ago, does not count
    place = "stage 1, step 3"
    hold.at(place)
    job = submit(project, STAGE1_CHECKPOINTING_STEPS="1000", STAGE1_MAX_TRAIN_STEPS="2000", **hold.env)
    for start in (1, 2):
        wait_for(lambda start=start: len(starts(project)) == start, "the trainer starts", 120)  # type: ignore[misc]
        hold.at(place)
        hold.wait()
        project.lab.run(["scancel", "--batch", "--signal=USR1", str(job)], project.folder)
        if start == 1:
            is_requeued(project.lab, job)
    assert project.lab.wait(job, 90) == "FAILED"
    assert ids(log(project)) == ["no-progress"]
    assert "TRAIN_TIME" in error(log(project), "no-progress")
    assert "STAGE1_CHECKPOINTING_STEPS" in error(log(project), "no-progress")


def test_stops_skipped_data_set(project: Project, hold: Hold) -> None:
    """As many files as ever, elsewhere: the trainer says so and would train for days on half of the data."""
    frames = project.root("non-prompt") / "dataset" / "DAVIS" / "JPEGImages" / "480p"
    frames.rename(frames.with_name("full"))
    project.look_every(2)
    hold.at("stage 1, step 3")
    try:
        job = submit(project, STAGE="1", **NO_VALIDATION, **hold.env)
        assert project.lab.wait(job, 150) == "FAILED", log(project)
    finally:
        frames.with_name("full").rename(frames)
    assert ids(log(project)) == ["data-skipped"], log(project)
    assert "DAVIS" in error(log(project), "data-skipped")
    assert not (project.root("non-prompt") / "converted_weights" / "finetuned-stage1").exists()


def test_stops_fewer_videos(project: Project, hold: Hold) -> None:
    """The trainer counts fewer videos of enough frames than setup unpacked."""
    code = project.root("non-prompt") / "dataset" / "finetune.py"
    before = code.read_text()
    code.write_text(before.replace("self.clips += clips", "self.clips += clips[:2]").replace("{len(clips)}", "{len(clips[:2])}"))
    hold.at("stage 1, step 3")
    try:
        job = submit(project, STAGE="1", STAGE1_NFRAMES="2", **NO_VALIDATION, **hold.env)
        assert project.lab.wait(job, 150) == "FAILED", log(project)
    finally:
        code.write_text(before)
    assert ids(log(project)) == ["data-skipped"], log(project)
    assert re.search(r"2[0-9] of 2[0-9] videos", error(log(project), "data-skipped"))

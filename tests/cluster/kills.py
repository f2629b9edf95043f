"""Setup and training are killed at random moments, again and again, and still end with the weights of an undisturbed run."""

import os
import random
import time

from tests.cluster.lab import ENDED, wait_for
from tests.cluster.project import Project
from tests.cluster.setup import kill_hard

KILLS = int(os.environ.get("KILLS", "2"))
"""`make kills` asks for thirty; every test run for a few."""
SEED = int(os.environ.get("KILL_SEED", "1"))
SETUP = ("01_setup.sbatch", "training")
TRAINING = ("--gres=gpu:1", "--cpus-per-task=3", "--mem=8G", "02_train.sbatch")
IN_A_ROW = 3
"""Kills of setup before it may end, then as many of training; after that all begins with nothing."""


def seconds_of(project: Project, *arguments: str) -> float:
    """Run a job to its end; gives the time that it took."""
    begun = time.monotonic()
    assert project.run(*arguments, timeout=600, NUM_GPUS="1") == "COMPLETED", project.log()
    return time.monotonic() - begun


def is_killed(project: Project, arguments: tuple[str, ...], after: float) -> bool:
    """kill -9 to every process of a new job so many seconds after its start; false if it has ended before."""
    job = project.sbatch(*arguments, NUM_GPUS="1")
    wait_for(lambda: project.lab.job(job).get("JobState") != "PENDING", "the job starts", 120, project.log, costly=True)
    begun = time.monotonic()
    wait_for(
        lambda: time.monotonic() - begun > after or project.lab.job(job).get("JobState") in ENDED,
        "the moment of the kill",
        600,
        costly=True,
    )
    if project.lab.job(job).get("JobState") in ENDED:
        assert project.lab.wait(job) == "COMPLETED", project.log()
        return False
    kill_hard(project.lab, job)
    project.lab.wait(job, 120)
    return True


def kill_again_and_again(project: Project) -> None:
    """Kill it KILLS times, half of them in setup, and compare the weights."""
    moments = random.Random(SEED)
    project.forget_setup()
    limits = {SETUP: seconds_of(project, *SETUP), TRAINING: seconds_of(project, *TRAINING)}
    whole = project.weights("non-prompt")
    assert len(whole) == 8, sorted(whole)
    kills = 0
    while kills < KILLS:
        project.forget_setup()
        for arguments, limit in limits.items():
            wanted = kills + min(IN_A_ROW, (KILLS - kills + 1) // 2)
            while kills < wanted:
                if is_killed(project, arguments, moments.uniform(0, limit)):
                    kills += 1
                elif arguments == SETUP:  # it resumed and ended before its moment: begin with nothing
                    project.forget_setup()
                else:
                    project.forget_training()
                for name, content in project.weights("non-prompt").items():
                    assert name.startswith(".") or content == whole[name], f"{name} is a half after {kills} kills"
            seconds_of(project, *arguments)
        assert project.weights("non-prompt") == whole, f"seed {SEED}: other weights than undisturbed after {kills} kills"

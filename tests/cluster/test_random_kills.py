"""The pipeline is killed at random moments, again and again, and still ends with the weights of an undisturbed run."""

import os
import random
import time
from collections.abc import Callable

import pytest

from tests.cluster.lab import ENDED, wait_for
from tests.cluster.project import Project
from tests.cluster.setup import kill_hard
from tests.cluster.training import KeptRun, project, undisturbed

__all__ = ["project", "undisturbed"]
Record = Callable[[str, object], None]
SEED = int(os.environ.get("KILL_SEED", "1"))
# `make kills` asks for thirty; every test run for a few.
KILLS = int(os.environ.get("KILLS", "2"))
HALF = 20
"""Seconds that about half of a pipeline takes on an idle machine."""


def pipeline(project: Project) -> list[int]:
    """Submit both jobs by hand, training after setup."""
    setup = project.sbatch("01_setup.sbatch", "training", DOWNLOAD_ATTEMPTS="3")
    train = project.sbatch(
        f"--dependency=afterok:{setup}",
        "--kill-on-invalid-dep=yes",
        "--gres=gpu:1",
        "--cpus-per-task=3",
        "--mem=8G",
        "02_train.sbatch",
        NUM_GPUS="1",
    )
    return [setup, train]


def kill_what_runs(project: Project, jobs: list[int]) -> str:
    """kill -9 to every process of the job that runs now, and the state in which that leaves the project."""
    for job in jobs:
        if project.lab.job(job).get("JobState") == "RUNNING":
            kill_hard(project.lab, job)
            project.lab.wait(job, 120)
    project.lab.run(["scancel", *map(str, jobs)], project.folder)
    wait_for(lambda: all(project.lab.job(job).get("JobState") in ENDED for job in jobs), "both jobs ended", 120, costly=True)
    return project.log()


def assert_no_half_is_taken_for_a_whole(project: Project, undisturbed: dict[str, bytes]) -> None:
    """Weights that stand at their place are whole, and are those of the undisturbed run."""
    for name, content in project.weights("non-prompt").items():
        if not name.startswith("."):
            assert content == undisturbed[name], f"{name} is a half"


@pytest.mark.timeout(3600)
@pytest.mark.fault("random kills", "pipeline", "survived")
def test_killed_at_random_moments_it_still_ends_with_the_same_weights(
    project: Project, undisturbed: Callable[[], KeptRun], record_property: Record
) -> None:
    record_property("cases", KILLS)
    whole = undisturbed().weights
    assert len(whole) == 8, sorted(whole)
    project.forget_setup()
    moments = random.Random(SEED)
    for number in range(KILLS):
        jobs = pipeline(project)
        begun = time.monotonic()
        after = moments.uniform(0.5, HALF)
        wait_for(
            lambda begun=begun, after=after, jobs=jobs: (  # type: ignore[misc]
                time.monotonic() - begun > after or project.lab.job(jobs[1]).get("JobState") in ENDED
            ),
            "the moment of the kill",
            600,
            costly=True,
        )
        kill_what_runs(project, jobs)
        assert_no_half_is_taken_for_a_whole(project, whole)
        if number % 6 == 5:  # begin again from nothing now and then, so that early steps are hit too
            project.forget_setup()
    jobs = pipeline(project)
    assert [project.lab.wait(job, 300) for job in jobs] == ["COMPLETED", "COMPLETED"], project.log()
    assert project.weights("non-prompt") == whole, f"seed {SEED}: other weights than undisturbed"

"""02_train is interrupted in every way a cluster knows; it comes back where it should, and ends with the same weights."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cluster.lab import NODES, Lab, Partition, wait_for
from tests.cluster.project import Project
from tests.cluster.test_setup_faults import Record
from tests.cluster.test_training import Ready, log, submit, train, trainer_log

SLOW: dict[str, Any] = {"STANDIN_STEP_SECONDS": "0.7", "gpus": 2}
INTERVAL = 5
Lost = Callable[[int], None]


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, bytes]:
    """Weights of a run that nobody disturbed; filled by the first test that needs them."""
    return {}


@pytest.fixture
def project(ready: Ready, undisturbed: dict[str, bytes]) -> Project:
    """A folder after setup, when it is known what weights an undisturbed run gives."""
    project = ready()
    if not undisturbed:
        assert train(project, gpus=2) == "COMPLETED", log(project)
        undisturbed.update(project.weights("non-prompt"))
        project.forget_training()
    return project


def step_now(project: Project, stage: int = 1) -> int:
    """The last step that the trainer of a stage has done."""
    text = project.log(f"trainer-*-stage{stage}-*").replace("\r", "\n")
    return max((int(step) for step in re.findall(r" (\d+)/\d+ \[", text)), default=0)


def wait_for_step(project: Project, step: int, stage: int = 1) -> None:
    """Wait until the trainer has done that step."""
    wait_for(lambda: step_now(project, stage) >= step, f"stage {stage} is at step {step}", 240, lambda: log(project))


def comes_back(project: Project, job: int, *, lab: Lab | None = None) -> None:
    """The job is queued again by itself; let it run now and wait for its end."""
    lab = lab or project.lab
    is_requeued(lab, job)
    assert lab.wait(job, 400) == "COMPLETED", log(project) + trainer_log(project)[-2000:]


def is_requeued(lab: Lab, job: int, times: int = 1) -> None:
    """Wait until the job was put back into the queue so often, and let it start now."""
    wait_for(lambda: int(lab.job(job)["Restarts"]) >= times, f"job {job} is requeued", 150, lambda: str(lab.job(job)))
    lab.start_requeued(job)


def starts(project: Project, stage: int = 1) -> list[int]:
    """Steps at which the trainer of a stage was started."""
    return [int(step) for step in re.findall(rf"stage {stage}: trainer starts at step (\d+)", log(project))]


@pytest.fixture
def assert_little_is_lost(project: Project, record_property: Record) -> Callable[[int], None]:
    """The next start of stage 1 is at most one checkpoint interval back."""

    def check(before: int) -> None:
        lost = before - starts(project)[-1]
        record_property("repeated_steps", lost)
        assert lost <= INTERVAL, log(project)

    return check


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


# --- comes back by itself, in the same log, with the same weights -----------------------------------------------


@pytest.mark.fault("time limit", "stage 1", "comes back")
def test_the_time_limit_in_stage_1(project: Project, undisturbed: dict[str, bytes], assert_little_is_lost: Lost) -> None:
    job = submit(project, "--time=30", "--signal=B:USR1@60", gpus=2, STAGE="1", STANDIN_STEP_SECONDS="4")
    wait_for_step(project, INTERVAL + 1)
    hours, minutes, _ = (int(part) for part in project.lab.job(job)["RunTime"].split(":"))
    project.lab.run(["scontrol", "update", f"JobId={job}", f"TimeLimit={hours * 60 + minutes + 2}"], project.folder)
    wait_for(lambda: "The time limit is near: the job goes back to the queue" in log(project), "the warning", 120)
    before = step_now(project)
    project.lab.run(["scontrol", "update", f"JobId={job}", "TimeLimit=30"], project.folder)
    comes_back(project, job)
    assert_little_is_lost(before)
    assert project.weights("non-prompt") == {name: content for name, content in undisturbed.items() if "stage1" in name}
    assert len(list((project.folder / "logs").glob(f"diffueraser-train-{job}.log"))) == 1
    assert [f"(start {number})" in log(project) for number in (1, 2)] == [True, True]


@pytest.mark.parametrize("where", ["conversion", "stage 2"])
@pytest.mark.fault("time limit", "{where}", "comes back")
def test_the_warning_before_the_time_limit_later_on(project: Project, undisturbed: dict[str, bytes], where: str) -> None:
    job = submit(project, **SLOW)
    if where == "conversion":
        wait_for(lambda: list((project.folder / "logs").glob("converter-*-stage1-*")), "conversion begins", 240)
    else:
        wait_for_step(project, INTERVAL + 1, 2)
    project.lab.run(["scancel", "--batch", "--signal=USR1", str(job)], project.folder)
    comes_back(project, job)
    assert len(starts(project)) == 1, "stage 1 was trained again"
    if where == "stage 2":
        assert starts(project, 2) == [0, INTERVAL]
    assert project.weights("non-prompt") == undisturbed


@pytest.mark.fault("requeue", "stage 1", "comes back")
def test_requeued_by_hand(project: Project, undisturbed: dict[str, bytes], assert_little_is_lost: Lost) -> None:
    job = submit(project, **SLOW)
    wait_for_step(project, INTERVAL + 1)
    before = step_now(project)
    assert project.lab.run(["scontrol", "requeue", str(job)], project.folder).returncode == 0
    comes_back(project, job)
    assert_little_is_lost(before)
    assert project.weights("non-prompt") == undisturbed


@pytest.mark.parametrize(("nodes", "fault"), [(1, "node failure"), (2, "two nodes, one fails")])
@pytest.mark.fault("{fault}", "stage 1", "comes back")
def test_a_node_fails(
    project: Project, undisturbed: dict[str, bytes], nodes: int, fault: str, assert_little_is_lost: Lost
) -> None:
    job = submit(project, f"--nodes={nodes}", NUM_NODES=str(nodes), **{**SLOW, "gpus": 2 // nodes})
    wait_for_step(project, INTERVAL + 1)
    before = step_now(project)
    victim = "g1" if nodes == 1 else "g2"
    assert victim in project.lab.job(job)["NodeList"].replace("g[1-2]", "g1,g2")
    project.lab.kill_node(victim)
    project.lab.run(["scontrol", "update", f"NodeName={victim}", "State=DOWN", "Reason=test"], project.folder)
    is_requeued(project.lab, job)
    project.lab.start_node(victim)
    project.lab.run(["scontrol", "update", f"NodeName={victim}", "State=RESUME"], project.folder)
    comes_back(project, job)
    assert_little_is_lost(before)
    assert project.weights("non-prompt") == undisturbed


@pytest.fixture
def priorities(tmp_path: Path) -> Iterator[Lab]:
    """A cluster on which a job in `urgent` sends those in `gpu` and, after a grace time, in `polite` back to the queue."""
    partitions = (
        Partition("compute", "c1", "Default=YES"),
        Partition("gpu", "g1,g2", "PriorityTier=1 PreemptMode=REQUEUE"),
        Partition("polite", "g1,g2", "PriorityTier=1 PreemptMode=REQUEUE GraceTime=15"),
        Partition("urgent", "g1,g2", "PriorityTier=10"),
    )
    with Lab(
        tmp_path / "lab", nodes=NODES, partitions=partitions, extra="PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE"
    ) as lab:
        yield lab


@pytest.mark.parametrize(("partition", "fault"), [("gpu", "preemption"), ("polite", "preemption with grace")])
@pytest.mark.fault("{fault}", "stage 1", "comes back")
def test_a_job_of_higher_priority_takes_the_nodes(
    project: Project, undisturbed: dict[str, bytes], priorities: Lab, partition: str, fault: str, assert_little_is_lost: Lost
) -> None:
    project.lab = priorities
    try:
        job = submit(project, f"--partition={partition}", **{**SLOW, "STANDIN_STEP_SECONDS": "2"})
        wait_for_step(project, INTERVAL + 1)
        before = step_now(project)
        urgent = priorities.sbatch("--partition=urgent", "--nodes=2", "--exclusive", "--wrap=sleep 1", cwd=project.folder)
        assert priorities.wait(urgent, 90) == "COMPLETED"
        comes_back(project, job, lab=priorities)
        assert_little_is_lost(before)
        assert project.weights("non-prompt") == undisturbed
    finally:
        project.lab = project.home_lab


@pytest.mark.parametrize("how", ["killed", "hanging"])
@pytest.mark.fault("{how} rank", "stage 1", "survived")
def test_a_rank_is_killed_or_hangs(project: Project, undisturbed: dict[str, bytes], how: str) -> None:
    job = submit(project, STALL_MINUTES="1", **SLOW)
    wait_for_step(project, INTERVAL + 1)
    rank = trainers(project)[-1]
    rank.send_signal(signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    assert project.lab.wait(job, 240) == "COMPLETED", log(project)
    assert len(starts(project)) == 2
    assert starts(project)[1] >= INTERVAL
    assert ("no new step for 1 minutes; the trainer is started again" in log(project)) == (how == "hanging")
    assert project.weights("non-prompt") == undisturbed


# --- and does not come back where it should not ------------------------------------------------------------------


@pytest.mark.fault("scancel", "stage 1", "survived")
def test_scancel_is_the_end_until_it_is_submitted_again(project: Project, undisturbed: dict[str, bytes]) -> None:
    job = submit(project, **SLOW)
    wait_for_step(project, INTERVAL + 1)
    project.lab.run(["scancel", str(job)], project.folder)
    assert project.lab.wait(job, 60) == "CANCELLED"
    wait_for(lambda: not trainers(project), "no trainer is left", 30)
    assert len(starts(project)) == 1, "it was started again"
    assert train(project, gpus=2) == "COMPLETED", log(project)
    assert starts(project)[-1] >= INTERVAL
    assert project.weights("non-prompt") == undisturbed


@pytest.mark.fault("fruitless", "stage 1", "clear error")
def test_time_limits_that_bring_no_checkpoint_do_not_go_on_for_ever(project: Project) -> None:
    job = submit(project, STANDIN_STEP_SECONDS="1", STAGE1_CHECKPOINTING_STEPS="1000", STAGE1_MAX_TRAIN_STEPS="2000")
    for start in (1, 2):
        wait_for(lambda start=start: len(starts(project)) == start, "the trainer starts", 120)  # type: ignore[misc]
        project.lab.run(["scancel", "--batch", "--signal=USR1", str(job)], project.folder)
        if start == 1:
            is_requeued(project.lab, job)
    assert project.lab.wait(job, 90) == "FAILED"
    assert re.search("two starts of this job brought no new checkpoint. Raise TRAIN_TIME or lower", log(project)), log(project)

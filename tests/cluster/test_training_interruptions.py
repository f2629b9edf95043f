"""02_train is interrupted in every way a cluster knows; it comes back where it should, and ends with the same weights."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.lab import NODES, Lab, Partition, wait_for
from tests.cluster.project import Project
from tests.cluster.test_setup_faults import Record
from tests.cluster.test_training import Ready, log, submit, train, trainer_log

# Stage 1 alone, slow enough to be caught in the middle; the fault decides what else a case needs.
SLOW: dict[str, Any] = {"STANDIN_STEP_SECONDS": "0.5", "STAGE": "1"}
INTERVAL = 5
Lost = Callable[[int], None]
Weights = dict[str, bytes]
Undisturbed = Callable[..., Weights]


@pytest.fixture(scope="module")
def weights_known() -> dict[int, Weights]:
    """Weights of runs that nobody disturbed, by number of processes."""
    return {}


@pytest.fixture
def project(ready: Ready) -> Project:
    """A folder after setup."""
    return ready()


@pytest.fixture
def undisturbed(project: Project, weights_known: dict[int, Weights]) -> Undisturbed:
    """Tells what weights a run gives that nobody disturbs; to be asked before the run that is disturbed."""

    def get(processes: int = 1, *, stages: int = 1) -> Weights:
        if processes not in weights_known:
            assert train(project, gpus=processes, STAGE="all" if processes == 1 else "1") == "COMPLETED", log(project)
            weights_known[processes] = project.weights("non-prompt")
            project.forget_training()
        return {name: content for name, content in weights_known[processes].items() if stages == 2 or "stage1" in name}

    return get


def step_now(project: Project, stage: int = 1) -> int:
    """The last step that the trainer of a stage has done."""
    text = project.log(f"trainer-*-stage{stage}-*").replace("\r", "\n")
    return max((int(step) for step in re.findall(r" (\d+)/\d+ \[", text)), default=0)


def wait_for_step(project: Project, step: int, stage: int = 1) -> None:
    """Wait until the trainer has done that step."""
    wait_for(lambda: step_now(project, stage) >= step, f"stage {stage} is at step {step}", 240, lambda: log(project))


def comes_back(project: Project, job: int, *, lab: Lab | None = None) -> None:
    """The job is queued again by itself, runs, and ends well."""
    lab = lab or project.lab
    is_requeued(lab, job)
    assert lab.wait(job, 400) == "COMPLETED", log(project) + trainer_log(project)[-2000:]


def is_requeued(lab: Lab, job: int) -> None:
    """Wait until the job was put back into the queue."""
    wait_for(lambda: int(lab.job(job)["Restarts"]) >= 1, f"job {job} is requeued", 150, lambda: str(lab.job(job)), costly=True)


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


@pytest.mark.fault("time limit", "stage 1", "comes back")
def test_the_time_limit_in_stage_1(project: Project, undisturbed: Undisturbed, assert_little_is_lost: Lost) -> None:
    whole = undisturbed()
    # The warning comes a minute after the start, when the last step is still ahead even if the start took no time.
    job = submit(project, "--time=2", "--signal=B:USR1@60", STAGE="1", STANDIN_STEP_SECONDS="6")
    wait_for(lambda: "The time limit is near: the job goes back to the queue" in log(project), "the warning", 120)
    before = step_now(project)
    project.lab.run(["scontrol", "update", f"JobId={job}", "TimeLimit=30"], project.folder)
    comes_back(project, job)
    assert_little_is_lost(before)
    assert project.weights("non-prompt") == whole
    assert len(list((project.folder / "logs").glob(f"diffueraser-train-{job}.log"))) == 1
    assert [f"(start {number})" in log(project) for number in (1, 2)] == [True, True]


@pytest.mark.parametrize("where", ["conversion", "stage 2"])
@pytest.mark.fault("time limit", "{where}", "comes back")
def test_the_warning_before_the_time_limit_later_on(project: Project, undisturbed: Undisturbed, where: str) -> None:
    whole = undisturbed(stages=2)
    job = submit(project, STANDIN_STEP_SECONDS="0.5")
    if where == "conversion":
        wait_for(lambda: list((project.folder / "logs").glob("converter-*-stage1-*")), "conversion begins", 240)
    else:
        wait_for_step(project, INTERVAL + 1, 2)
    project.lab.run(["scancel", "--batch", "--signal=USR1", str(job)], project.folder)
    comes_back(project, job)
    assert len(starts(project)) == 1, "stage 1 was trained again"
    if where == "stage 2":
        assert starts(project, 2) == [0, INTERVAL]
    assert project.weights("non-prompt") == whole


@pytest.mark.fault("requeue", "stage 1", "comes back")
def test_requeued_by_hand(project: Project, undisturbed: Undisturbed, assert_little_is_lost: Lost) -> None:
    whole = undisturbed()
    job = submit(project, **SLOW)
    wait_for_step(project, INTERVAL + 1)
    before = step_now(project)
    assert project.lab.run(["scontrol", "requeue", str(job)], project.folder).returncode == 0
    comes_back(project, job)
    assert_little_is_lost(before)
    assert project.weights("non-prompt") == whole


@pytest.mark.parametrize(("nodes", "fault"), [(1, "node failure"), (2, "two nodes, one fails")])
@pytest.mark.fault("{fault}", "stage 1", "comes back")
def test_a_node_fails(project: Project, undisturbed: Undisturbed, nodes: int, fault: str, assert_little_is_lost: Lost) -> None:
    whole = undisturbed(nodes)
    job = submit(project, f"--nodes={nodes}", NUM_NODES=str(nodes), **SLOW)
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
    assert project.weights("non-prompt") == whole


@pytest.fixture(scope="module")
def priorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A cluster on which a job in `urgent` sends those in `gpu` and, after a grace time, in `polite` back to the queue."""
    partitions = (
        Partition("compute", "c1", "Default=YES"),
        Partition("gpu", "g1,g2", "PriorityTier=1 PreemptMode=REQUEUE"),
        Partition("polite", "g1,g2", "PriorityTier=1 PreemptMode=REQUEUE GraceTime=15"),
        Partition("urgent", "g1,g2", "PriorityTier=10"),
    )
    with Lab(
        tmp_path_factory.mktemp("priorities"),
        nodes=NODES,
        partitions=partitions,
        extra="PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE",
    ) as lab:
        yield lab


@pytest.mark.parametrize(("partition", "fault"), [("gpu", "preemption"), ("polite", "preemption with grace")])
@pytest.mark.fault("{fault}", "stage 1", "comes back")
def test_a_job_of_higher_priority_takes_the_nodes(
    project: Project, undisturbed: Undisturbed, priorities: Lab, partition: str, fault: str, assert_little_is_lost: Lost
) -> None:
    whole = undisturbed()
    project.lab = priorities
    try:
        job = submit(project, f"--partition={partition}", **{**SLOW, "STANDIN_STEP_SECONDS": "1.5"})
        wait_for_step(project, INTERVAL + 1)
        before = step_now(project)
        urgent = priorities.sbatch("--partition=urgent", "--nodes=2", "--exclusive", "--wrap=sleep 1", cwd=project.folder)
        assert priorities.wait(urgent, 90) == "COMPLETED"
        comes_back(project, job, lab=priorities)
        assert_little_is_lost(before)
        assert project.weights("non-prompt") == whole
    finally:
        project.lab = project.home_lab

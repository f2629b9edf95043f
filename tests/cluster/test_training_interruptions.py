"""02_train is interrupted in every way a cluster knows; it comes back where it should, and ends with the same weights."""

import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.lab import NODES, Lab, Partition
from tests.cluster.project import Project
from tests.cluster.test_setup_faults import Record
from tests.cluster.training import (
    HELD_AT,
    INTERVAL,
    Hold,
    KeptRun,
    comes_back,
    ends,
    hold,
    is_requeued,
    log,
    project,
    starts,
    submit,
    undisturbed,
)

__all__ = ["hold", "project", "undisturbed"]
IN_STAGE_1 = f"stage 1, step {HELD_AT}"
Undisturbed = Callable[..., KeptRun]


@pytest.fixture
def little_is_lost(project: Project, record_property: Record) -> Callable[[], None]:
    """The second start of stage 1 is at most one checkpoint interval back."""

    def check() -> None:
        assert len(starts(project)) == 2, log(project)
        lost = HELD_AT - starts(project)[-1]
        record_property("repeated_steps", lost)
        assert 0 <= lost <= INTERVAL, log(project)

    return check


Lost = Callable[[], None]


def said_between_starts(project: Project, stage: int) -> list[str]:
    """What the job's log says from the first start of a stage's trainer to the next start of the job."""
    after = log(project).split(f"stage {stage}: trainer starts", 1)[1].splitlines()[1:]
    until = next((number for number, line in enumerate(after) if ", start 2:" in line or "The log is" in line), len(after))
    return [line for line in after[:until] if f"  stage {stage}: step " not in line]


def warn(project: Project, job: int) -> None:
    """What Slurm does when the time limit is near."""
    project.lab.run(["scancel", "--batch", "--signal=USR1", str(job)], project.folder)


@pytest.mark.fault("time limit", "stage 1", "comes back")
def test_interruptions_time_limit(project: Project, undisturbed: Undisturbed, hold: Hold, little_is_lost: Lost) -> None:
    whole = undisturbed()
    hold.at(IN_STAGE_1)
    job = submit(project, "--time=30", "--signal=B:USR1@110", STAGE="1", **hold.env)
    hold.wait()
    ran = project.lab.run(["squeue", "--noheader", f"--jobs={job}", "--format=%M"], project.folder).stdout.strip()
    minutes = 2 + int(ran.split(":")[-2])
    project.lab.run(["scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}"], project.folder)
    is_requeued(project.lab, job)
    project.lab.run(["scontrol", "update", f"JobId={job}", "TimeLimit=30"], project.folder)
    hold.release()
    comes_back(project, job)
    little_is_lost()
    assert project.weights("non-prompt") == whole.of_stage_1()
    assert ends(project) == ["time limit", "finished"]
    assert len(said_between_starts(project, 1)) == 1, "one line says what happens, not several that differ"
    assert len(list((project.folder / "logs").glob(f"diffueraser-train-{job}.log"))) == 1


@pytest.mark.fault("time limit", "conversion", "comes back")
def test_interruptions_warning_in_conversion(project: Project, undisturbed: Undisturbed, hold: Hold) -> None:
    whole = undisturbed()
    whole.restore(project, "finetune-stage1")
    hold.at("conversion 1")
    job = submit(project, STAGE="1", **hold.env)
    hold.wait()
    warn(project, job)
    is_requeued(project.lab, job)
    hold.release()
    comes_back(project, job)
    assert starts(project) == [], "stage 1 was trained again"
    assert project.weights("non-prompt") == whole.of_stage_1()


@pytest.mark.fault("time limit", "stage 2", "comes back")
def test_interruptions_warning_in_stage_2(project: Project, undisturbed: Undisturbed, hold: Hold) -> None:
    whole = undisturbed()
    root = whole.restore(project, "finetune-stage1", "converted_weights")
    shutil.rmtree(root / "converted_weights" / "finetuned-stage2")
    hold.at(f"stage 2, step {HELD_AT}")
    job = submit(project, **hold.env)
    hold.wait()
    warn(project, job)
    is_requeued(project.lab, job)
    hold.release()
    comes_back(project, job)
    assert (starts(project), starts(project, 2)) == ([], [0, INTERVAL])
    assert len(said_between_starts(project, 2)) == 1
    assert project.weights("non-prompt") == whole.weights


@pytest.mark.fault("requeue", "stage 1", "comes back")
def test_interruptions_requeue_by_hand(project: Project, undisturbed: Undisturbed, hold: Hold, little_is_lost: Lost) -> None:
    whole = undisturbed()
    hold.at(IN_STAGE_1)
    job = submit(project, STAGE="1", **hold.env)
    hold.wait()
    assert project.lab.run(["scontrol", "requeue", str(job)], project.folder).returncode == 0
    is_requeued(project.lab, job)
    hold.release()
    comes_back(project, job)
    little_is_lost()
    assert project.weights("non-prompt") == whole.of_stage_1()


@pytest.mark.parametrize(("nodes", "fault"), [(1, "node failure"), (2, "two nodes, one fails")])
@pytest.mark.fault("{fault}", "stage 1", "comes back")
def test_interruptions_node_failure(
    project: Project, undisturbed: Undisturbed, hold: Hold, nodes: int, fault: str, little_is_lost: Lost
) -> None:
    whole = undisturbed(nodes)
    hold.at(IN_STAGE_1)
    job = submit(project, f"--nodes={nodes}", NUM_NODES=str(nodes), STAGE="1", **hold.env)
    hold.wait()
    victim = "g1" if nodes == 1 else "g2"
    assert victim in project.lab.job(job)["NodeList"].replace("g[1-2]", "g1,g2")
    project.lab.kill_node(victim)
    project.lab.run(["scontrol", "update", f"NodeName={victim}", "State=DOWN", "Reason=test"], project.folder)
    is_requeued(project.lab, job)
    hold.release()
    project.lab.start_node(victim)
    project.lab.run(["scontrol", "update", f"NodeName={victim}", "State=RESUME"], project.folder)
    comes_back(project, job)
    little_is_lost()
    assert project.weights("non-prompt") == whole.of_stage_1()


@pytest.fixture(scope="module")
def priorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A cluster on which a job in `urgent` sends those in `gpu` and, after a grace time, in `polite` back to the queue."""
    partitions = (
        Partition("compute", "c1", "Default=YES"),
        Partition("gpu", "g1,g2", "PriorityTier=1 PreemptMode=REQUEUE"),
        Partition("polite", "g1,g2", "PriorityTier=1 PreemptMode=REQUEUE GraceTime=20"),
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
def test_interruptions_preemption(
    project: Project, undisturbed: Undisturbed, hold: Hold, priorities: Lab, partition: str, fault: str, little_is_lost: Lost
) -> None:
    """In a grace time Slurm ends the steps and lets the script run on: it must not start the trainer again meanwhile."""
    whole = undisturbed()
    project.lab = priorities
    try:
        hold.at(IN_STAGE_1)
        job = submit(project, f"--partition={partition}", STAGE="1", **hold.env)
        hold.wait()
        urgent = priorities.sbatch("--partition=urgent", "--nodes=2", "--exclusive", "--wrap=sleep 1", cwd=project.folder)
        is_requeued(priorities, job)
        assert starts(project) == [0], "the trainer was started again in the grace time"
        hold.release()
        assert priorities.wait(urgent, 90) == "COMPLETED"
        comes_back(project, job)
        little_is_lost()
        assert project.weights("non-prompt") == whole.of_stage_1()
        why = ("preempted",) if partition == "polite" else ("cancelled or requeued", "killed")  # without a grace time
        assert [end in (*why, "finished") for end in ends(project)] == [True, True]
    finally:
        project.lab = project.home_lab

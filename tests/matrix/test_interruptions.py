"""Training is interrupted in every way that a cluster knows: it resumes where it should, and only there."""

import pytest

from tests.cluster.lab import wait_for
from tests.cluster.processes import processes_of
from tests.cluster.project import Project
from tests.matrix.training import begin, has_come_back, held, restarts, starts


@pytest.mark.scenario("Time limit: requeued, resumes", "时限：重新排队并续训")
def test_time_limit_requeues_and_resumes(project: Project) -> None:
    job = begin(project, "--time=2", "--signal=B:USR1@60", step_seconds=8)
    wait_for(lambda: restarts(project.lab, job) >= 1, "the time limit", 180, project.log, costly=True)
    project.lab.run(["scontrol", "update", f"JobId={job}", "TimeLimit=30"], project.folder)
    has_come_back(project, job)


@pytest.mark.scenario("`scontrol requeue`: resumes", "`scontrol requeue`：续训")
def test_scontrol_requeue_resumes(project: Project) -> None:
    job = begin(project)
    project.lab.run(["scontrol", "requeue", str(job)], project.folder)
    has_come_back(project, job)


@pytest.mark.parametrize(
    "partition",
    [
        pytest.param("gpu", marks=pytest.mark.scenario("Preemption: resumes", "被抢占：续训")),
        pytest.param("polite", marks=pytest.mark.scenario("Preemption with GraceTime: resumes", "带 GraceTime 的抢占：续训")),
    ],
)
def test_preemption_resumes(project: Project, partition: str) -> None:
    job = begin(project, f"--partition={partition}", step_seconds=4)  # a start within the grace time would not be done in it
    urgent = project.lab.sbatch("--partition=urgent", "--nodes=2", "--exclusive", "--wrap=sleep 1", cwd=project.folder)
    assert project.lab.wait(urgent, 120) == "COMPLETED"
    has_come_back(project, job)


@pytest.mark.scenario("Node failure: requeued, resumes", "节点故障：重新排队并续训")
def test_node_failure_requeues_and_resumes(project: Project) -> None:
    job = begin(project)
    project.lab.kill_node(project.lab.job(job)["BatchHost"])
    has_come_back(project, job)


@pytest.mark.scenario("`scancel`: ends, never comes back", "`scancel`：结束且不再恢复")
def test_scancel_never_comes_back(project: Project) -> None:
    job = begin(project)
    project.lab.run(["scancel", str(job)], project.folder)
    assert project.lab.wait(job, 60) == "CANCELLED"
    wait_for(lambda: not trainers(project), "no trainer is left", 30, costly=True)
    assert starts(project) == [0]
    assert restarts(project.lab, job) == 0
    assert held(project.lab) == {}
    assert not (project.folder / ".state" / "training-non-prompt").exists()


def trainers(project: Project) -> list[int]:
    """Processes that train."""
    return [each.pid for each in processes_of(project.lab.folder) if any("train_DiffuEraser" in word for word in each.cmdline())]

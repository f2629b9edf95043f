"""The launcher and a whole run: what it submits, what it refuses, and what status says in each state."""

import pytest

from tests.cluster.lab import wait_for
from tests.cluster.project import Project
from tests.matrix.conftest import Site
from tests.matrix.training import STEPS, begin, held, starts

LAUNCHER = "setup_and_train.sbatch"


@pytest.fixture
def empty(site: Site) -> Project:
    """A folder with the two edits done, and nothing else."""
    project = Project(site.folder / "new", site.lab, site.hub, site.index)
    project.copy_scripts()
    project.two_edits("non-prompt")
    return project


@pytest.mark.scenario("`check` finds no problem, submits nothing", "`check` 无问题且不提交任何作业")
def test_check_submits_nothing(empty: Project) -> None:
    result = empty.bash(LAUNCHER, "check")
    assert result.returncode == 0, result.stderr
    assert held(empty.lab) == {}


@pytest.mark.parametrize(
    ("values", "to_change"),
    [
        pytest.param(
            {"GPU_PARTITION": "gpus"}, "GPU_PARTITION", marks=pytest.mark.scenario("Refused: unknown partition", "拒绝：未知分区")
        ),
        pytest.param({"GPU_PARTITION": "closed"}, "ACCOUNT", marks=pytest.mark.scenario("Refused: account", "拒绝：账户无权")),
        pytest.param(
            {"GPU_PARTITION": "small", "NUM_NODES": "2"},
            "NUM_NODES",
            marks=pytest.mark.scenario("Refused: limit of nodes", "拒绝：节点数上限"),
        ),
    ],
    ids=["partition", "account", "limit"],
)
def test_refusals_submit_nothing(empty: Project, values: dict[str, str], to_change: str) -> None:
    result = empty.bash(LAUNCHER, **values)
    assert result.returncode == 1, result.stdout
    assert to_change in result.stderr
    assert held(empty.lab) == {}


@pytest.mark.scenario("Setup against the local Hub", "针对本地 Hub 的安装")
def test_setup_completes_once(project: Project) -> None:
    project.hub.reset()
    assert project.run("01_setup.sbatch", "training") == "COMPLETED"
    assert project.hub.payload() == {}, "something was downloaded twice"


@pytest.mark.scenario("`sbatch`: setup, training, converted weights", "`sbatch`：安装、训练、转换权重")
def test_launcher_trains_to_converted_weights(project: Project) -> None:
    launcher = project.sbatch(LAUNCHER, DPO_DATASET="no")
    assert project.lab.wait(launcher, 60) == "COMPLETED", project.log()
    states = project.lab.wait_all(240)
    jobs = [job for job in states if job > launcher]
    assert [states[job] for job in jobs] == ["COMPLETED"] * 2, project.log()
    for stage in (1, 2):
        assert project.record("non-prompt", stage)["step"] == STEPS
        assert starts(project, stage) == [0]
    again = project.bash(LAUNCHER, DPO_DATASET="no")
    assert again.returncode == 0, again.stderr
    assert held(project.lab) == {}
    assert project.bash(LAUNCHER, "status").returncode == 0


@pytest.mark.scenario("Drained nodes: queued, as plain `sbatch`", "节点被 drain：照常排队")
def test_drained_nodes_are_queued_for(project: Project) -> None:
    project.lab.run(["scontrol", "update", "NodeName=g1,g2", "State=DRAIN", "Reason=test"], project.folder)
    result = project.bash(LAUNCHER, DPO_DATASET="no")
    assert result.returncode == 0, result.stderr
    setup, train = sorted(held(project.lab))
    assert project.lab.wait(setup, 60) == "COMPLETED"
    status_names(project, train)
    project.lab.run(["scontrol", "update", "NodeName=g1,g2", "State=RESUME"], project.folder)
    assert project.lab.wait(train, 120) == "COMPLETED", project.log()


@pytest.mark.scenario("`status`: pending, running, cancelled", "`status`：排队、运行、已取消")
def test_status_in_each_state(project: Project) -> None:
    assert project.bash(LAUNCHER, "status").returncode == 0, "nothing was submitted"
    held_back = project.sbatch("--hold", "--gres=gpu:2", "--cpus-per-task=4", "--mem=8G", "02_train.sbatch")
    status_names(project, held_back)
    project.lab.run(["scancel", str(held_back)], project.folder)
    job = begin(project, step_seconds=2)
    wait_for(lambda: project.lab.job(job)["JobState"] == "RUNNING", "it runs", 30, costly=True)
    status_names(project, job)
    second = project.bash(LAUNCHER, DPO_DATASET="no")
    assert second.returncode == 1, "a second submission beside a running job"
    assert set(held(project.lab)) == {job}
    assert project.bash(LAUNCHER, "cancel").returncode == 0
    assert project.lab.wait(job, 60) == "CANCELLED"
    assert held(project.lab) == {}
    assert project.bash(LAUNCHER, "status").returncode == 0


@pytest.mark.scenario("`status` after a failure", "失败后的 `status`")
def test_status_after_a_failure(project: Project) -> None:
    weights = project.root("non-prompt") / "weights" / "sd-vae-ft-mse"
    away = project.folder / "away"
    job = begin(project, step_seconds=2)
    weights.rename(away)
    try:
        project.lab.run(["scancel", "--signal=KILL", f"{job}.0"], project.folder)
        assert project.lab.wait(job, 120) == "FAILED", project.log()
        status_names(project, job)
    finally:
        away.rename(weights)


def status_names(project: Project, job: int) -> None:
    """`status` succeeds and names the job."""
    status = project.bash(LAUNCHER, "status")
    assert status.returncode == 0, status.stderr
    assert str(job) in status.stdout, status.stdout

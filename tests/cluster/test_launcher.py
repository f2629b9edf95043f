"""setup_and_train.sbatch: every problem at once, on clusters of every shape, before anything is submitted."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.lab import Lab, Node, Partition, wait_for
from tests.cluster.project import Project
from tests.hub import TOKEN, Hub
from tests.pypi import PackageIndex

NewProject = Callable[..., Project]
LUA = """
function slurm_job_submit(job, partitions, uid)
  if job.account == nil then slurm.log_user("an account is required"); return 2045 end
  return slurm.SUCCESS
end
function slurm_job_modify(job, record, partitions, uid) return slurm.SUCCESS end
"""


def held(project: Project) -> set[int]:
    """Jobs that the lab holds now."""
    return {job for job, state in project.lab.jobs().items() if state in ("PENDING", "RUNNING", "CONFIGURING")}


def test_each_problem_is_said_at_once_and_nothing_is_submitted(new_project: NewProject) -> None:
    project = new_project()
    (project.folder / "02_train.sbatch").unlink()
    project.edit(
        TRAIN_VERSION="promt", GPU_PARTITION="gpus", CPU_PARTITION="cpus", STAGE2_NFRAMES="33", TRAIN_TIME="tomorrow",
        STAGE1_LEARNING_RAET="1e-5", DPO_DATASET="maybe", HF_ENDPOINT="ftp://hub", STAGE1_VALIDATION_IMAGE="[]",
    )  # fmt: skip
    started = time.monotonic()
    result = project.bash("setup_and_train.sbatch", HF_ENDPOINT="")
    assert time.monotonic() - started < 5
    assert result.returncode == 1
    for text in (
        r"config.env line 3: TRAIN_VERSION=promt: must be prompt or non-prompt",
        r"config.env line \d+: GPU_PARTITION=gpus: no partition of this name has GPUs; these have some: gpu",
        r"config.env line \d+: CPU_PARTITION=cpus: there is no partition of this name; there are: compute gpu",
        r"config.env line \d+: STAGE2_NFRAMES=33: must be a whole number from 1 to 32",
        r"config.env line \d+: TRAIN_TIME=tomorrow: must be a Slurm time",
        r"config.env line \d+: STAGE1_LEARNING_RAET is unknown; did you mean STAGE1_LEARNING_RATE\?",
        r"config.env line \d+: DPO_DATASET=maybe: must be yes or no",
        r"config.env line \d+: HF_ENDPOINT=ftp://hub: must be an address",
        r"config.env line \d+: STAGE1_VALIDATION_IMAGE=\[\]: .* they list 0 2 2",
        r"02_train.sbatch is missing",
    ):
        assert re.search(text, result.stderr), f"{text} is not in\n{result.stderr}"
    assert held(project) == set()
    assert not (project.folder / "logs").exists()


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        ({"NUM_GPUS": "9"}, "NUM_GPUS=9: a node of gpu has 8 GPUs"),
        ({"GPU_TYPE": "h100"}, "a node of gpu has 0 GPUs of type h100"),
        ({"GPU_PARTITION": "compute"}, "no partition of this name has GPUs; these have some: gpu"),
        ({"RESERVATION": "mine"}, "Set in config.env: RESERVATION"),
        ({"NUM_NODES": "3"}, "Set in config.env: NUM_GPUS, GPU_TYPE, NUM_NODES"),
    ],
)
def test_what_the_cluster_cannot_give_names_the_variable(new_project: NewProject, edits: dict[str, str], text: str) -> None:
    project = new_project()
    project.edit(**edits)
    del project.env["NUM_GPUS"]
    result = project.bash("setup_and_train.sbatch")
    assert result.returncode == 1
    assert text in result.stderr
    assert held(project) == set()


def test_options_reach_sbatch_and_a_second_submission_is_refused(new_project: NewProject) -> None:
    project = new_project()
    project.edit(NUM_NODES="2", CPUS_PER_GPU="3", MEM_PER_GPU="2G", TRAIN_TIME="1-00:00:00", SETUP_TIME="02:00:00",
                 MAIL_USER="me@example.org", EXCLUSIVE="yes", HF_ENDPOINT="http://127.0.0.1:9")  # fmt: skip
    result = project.bash("setup_and_train.sbatch", HF_ENDPOINT="", NUM_GPUS="4")
    assert result.returncode == 0, result.stderr
    setup, train, dpo = (int(job) for job in re.findall(r"job (\d+)", result.stdout))
    job = project.lab.job(train)
    assert (job["NumNodes"][0], job["TimeLimit"], job["Partition"], job["CPUs/Task"]) == (
        "2",
        "1-00:00:00",
        "gpu",
        "12",
    )
    assert (job["TresPerNode"], job["MinMemoryNode"], job["OverSubscribe"]) == ("gres:gpu:4", "8G", "NO")
    assert job["MailUser"] == "me@example.org"
    assert job["Dependency"].startswith(f"afterok:{setup}")
    assert project.lab.job(setup)["TimeLimit"] == "02:00:00"
    again = project.bash("setup_and_train.sbatch")
    assert again.returncode == 1
    assert all(str(job) in again.stderr for job in (setup, train, dpo) if job in held(project))
    # The Hub cannot be reached: setup fails, and training does not stay behind for ever.
    states = project.lab.wait_all(60)
    assert (states[setup], states[train], states[dpo]) == ("FAILED", "CANCELLED", "FAILED")
    status = project.bash("setup_and_train.sbatch", "status")
    assert status.returncode == 0, status.stderr
    assert re.search(rf"diffueraser-setup: job {setup}, failed.*\n +This node does not reach the Hub at", status.stdout), (
        status.stdout
    )
    assert TOKEN not in result.stdout + result.stderr + status.stdout + project.log()


def test_account_qos_and_reservation_reach_slurm(cluster: Callable[..., Project]) -> None:
    lua = LUA.replace(
        "if job.account == nil then",
        "if job.partition == 'gpu' and (job.account ~= 'team' or job.qos ~= 'long' or job.reservation ~= 'ours') then",
    )
    project = cluster(lua, extra="JobSubmitPlugins=lua")
    project.edit(ACCOUNT="team", QOS="long", NUM_GPUS="2")
    refused = project.bash("setup_and_train.sbatch")
    assert refused.returncode == 1
    assert held(project) == set()
    reservation = ["create", "reservation", "ReservationName=ours", "Users=root", "StartTime=now", "Duration=60", "Nodes=g1"]
    project.lab.run(["scontrol", *reservation], project.folder)
    project.edit(RESERVATION="ours")
    accepted = project.bash("setup_and_train.sbatch")
    assert accepted.returncode == 0, accepted.stderr


def test_status_follows_a_run_from_the_queue_to_the_weights(ready: Callable[..., Project]) -> None:
    project = ready("non-prompt")
    slow = {"DPO_DATASET": "no", "STANDIN_STEP_SECONDS": "1", "STAGE": "1"}
    assert project.bash("setup_and_train.sbatch", **slow).returncode == 0
    wait_for(lambda: "trainer starts" in project.log("diffueraser-train*"), "training begins", 120)
    status = project.bash("setup_and_train.sbatch", "status").stdout
    assert re.search(r"diffueraser-setup: job \d+, finished", status), status
    assert re.search(r"diffueraser-train: job \d+, running", status), status
    project.lab.wait_all(240)
    status = project.bash("setup_and_train.sbatch", "status").stdout
    assert re.search(r"diffueraser-train: job \d+, finished", status), status
    assert re.search(r"stage 1: step 12/12, [0-9.]+ steps/s, 00:00 left, loss=[0-9.e-]+, last checkpoint 12", status), status
    assert re.search(r"stage 1: weights of step 12 are ready in ", status), status
    assert re.search(r"disk: [0-9.]+[KMGT] used, ", status), status


def test_status_and_cancel_know_only_this_project(new_project: NewProject) -> None:
    project = new_project()
    nothing = project.bash("setup_and_train.sbatch", "status")
    assert nothing.returncode == 0, nothing.stderr
    assert nothing.stdout.count("no job yet") == 4
    stranger = project.lab.sbatch("--wrap=sleep 60", "--job-name=diffueraser-train", cwd=project.folder.parent)
    sleeper = project.lab.sbatch("--exclusive", "--nodelist=c1", "--wrap=sleep 60", cwd=project.folder.parent)
    assert project.bash("setup_and_train.sbatch").returncode == 0
    status = project.bash("setup_and_train.sbatch", "status").stdout
    assert re.search(r"diffueraser-setup: job \d+, pending, (waiting for (free )?nodes|Slurm has not|other jobs)", status), status
    assert re.search(r"diffueraser-train: job \d+, pending, waiting for the job before it", status), status
    mine = held(project) - {stranger, sleeper}
    cancelled = project.bash("setup_and_train.sbatch", "cancel")
    assert cancelled.returncode == 0, cancelled.stderr
    wait_for(lambda: not held(project) & mine, "this project's jobs are gone", 30, costly=True)
    assert held(project) == {stranger, sleeper}
    assert "nothing" in project.bash("setup_and_train.sbatch", "cancel").stderr.lower()


@pytest.fixture
def cluster(tmp_path: Path, hub: Hub, index: PackageIndex) -> Iterator[Callable[..., Project]]:
    """A collaborator's folder on a cluster of another shape."""
    labs: list[Lab] = []

    def make(lua: str = LUA, **options: object) -> Project:
        lab = Lab(tmp_path / "lab", **options)  # type: ignore[arg-type]
        labs.append(lab)
        lab.folder.mkdir()
        (lab.folder / "job_submit.lua").write_text(lua)
        lab.__enter__()
        project = Project(tmp_path / "project", lab, hub, index)
        project.copy_scripts()
        project.two_edits("non-prompt")
        return project

    yield make
    for lab in labs:
        lab.stop()


def test_cluster_with_other_names_typed_gpus_and_short_limits(cluster: Callable[..., Project]) -> None:
    project = cluster(
        nodes=(Node("n1"), Node("n2", "gpu:h100:4")),
        partitions=(
            Partition("batch", "n1", "Default=YES MaxTime=08:00:00"),
            Partition("a100", "n2", "MaxTime=1-00:00:00"),
        ),
    )
    project.edit(SETUP_TIME="07:00:00", TRAIN_TIME="2-00:00:00")
    too_long = project.bash("setup_and_train.sbatch")
    assert "TRAIN_TIME=2-00:00:00: the limit of partition a100 is 1-00:00:00" in too_long.stderr
    assert "SETUP_TIME" not in too_long.stderr
    project.edit(TRAIN_TIME="24:00:00")
    good = project.bash("setup_and_train.sbatch", GPU_TYPE="h100", NUM_GPUS="4")
    assert good.returncode == 0, good.stderr
    assert "setup goes to batch" in good.stdout
    assert "training goes to a100" in good.stdout
    train = int(re.findall(r"GPUs\) job (\d+)", good.stdout)[0])
    assert (project.lab.job(train)["Partition"], project.lab.job(train)["TresPerNode"]) == (
        "a100",
        "gres:gpu:h100:4",
    )


def test_cluster_with_one_partition_and_a_required_account(cluster: Callable[..., Project]) -> None:
    project = cluster(
        nodes=(Node("n1", "gpu:2"),),
        partitions=(Partition("all", "n1", "Default=YES"),),
        extra="JobSubmitPlugins=lua",
    )
    refused = project.bash("setup_and_train.sbatch")
    assert refused.returncode == 1
    assert "Set in config.env: ACCOUNT" in refused.stderr
    project.edit(ACCOUNT="lab")
    assert project.bash("setup_and_train.sbatch").returncode == 0


def test_cluster_with_several_gpu_partitions_lists_them(cluster: Callable[..., Project]) -> None:
    project = cluster(
        nodes=(Node("n1", "gpu:2"), Node("n2", "gpu:4")),
        partitions=(Partition("small", "n1", "Default=YES"), Partition("large", "n2")),
    )
    result = project.bash("setup_and_train.sbatch")
    assert "these have some: large small" in result.stderr
    assert project.bash("setup_and_train.sbatch", GPU_PARTITION="large").returncode == 0


def test_cluster_that_does_not_count_gpus(cluster: Callable[..., Project]) -> None:
    project = cluster(
        nodes=(Node("n1"), Node("n2")),
        partitions=(Partition("compute", "n1", "Default=YES"), Partition("gpu", "n2")),
    )
    result = project.bash("setup_and_train.sbatch")
    assert result.returncode == 0, result.stderr
    assert "whole nodes of gpu" in result.stdout


def test_compute_nodes_that_may_not_submit_say_to_use_bash(cluster: Callable[..., Project]) -> None:
    lua = LUA.replace("job.account == nil", "job.environment.SLURM_JOB_ID ~= nil")
    project = cluster(lua, extra="JobSubmitPlugins=lua")
    assert project.run("setup_and_train.sbatch") == "FAILED"
    assert "bash setup_and_train.sbatch" in project.log(), project.log()
    assert project.bash("setup_and_train.sbatch").returncode == 0


def test_slurm_that_does_not_count_gpus(cluster: Callable[..., Project], ready: Callable[..., Project]) -> None:
    """Whole nodes are taken, and the GPUs in them counted there; what the launcher's own job got by default is not theirs."""
    elsewhere = cluster(
        nodes=(Node("n1"), Node("n2")),
        partitions=(Partition("compute", "n1", "Default=YES"), Partition("gpu", "n2")),
        extra="DefMemPerCPU=512",
    )
    project = ready("non-prompt")
    project.lab = elsewhere.lab
    try:
        assert project.run("setup_and_train.sbatch", DPO_DATASET="no", STAGE="1") == "COMPLETED", project.log()
        said = project.log("setup_and_train-*")
        assert "Slurm does not count GPUs" in said
        train = int(re.findall(r"GPUs\) job (\d+)", said)[-1])
        assert project.lab.job(train)["OverSubscribe"] == "NO"
        assert project.lab.wait(train, 120) == "COMPLETED", project.log()
        assert "1 x 2 GPUs" in project.log("diffueraser-train*")
    finally:
        project.lab = project.home_lab


def test_environment_overrides_one_submission_and_weights_are_uploaded(ready: Callable[..., Project]) -> None:
    project = ready("non-prompt")
    project.edit(UPLOAD_REPO="collaborator/weights", DPO_DATASET="no")
    result = project.bash("setup_and_train.sbatch", STAGE2_MAX_TRAIN_STEPS="3", NUM_GPUS="1")
    assert result.returncode == 0, result.stderr
    jobs = [int(job) for job in re.findall(r"job (\d+)", result.stdout)]
    assert len(jobs) == 3, result.stdout
    states = project.lab.wait_all(180)
    assert [states[job] for job in jobs] == ["COMPLETED"] * 3, project.log()
    assert (project.record("non-prompt", 1)["step"], project.record("non-prompt", 2)["step"]) == (12, 3)
    pushed = project.hub.root / "collaborator" / "weights" / "non-prompt"
    assert {
        str(p.relative_to(pushed)): p.read_bytes() for p in pushed.rglob("*.*") if p.name != "weights.json"
    } == project.weights("non-prompt")
    assert (pushed.parent.parent / ".weights.private").exists()
    status = project.bash("setup_and_train.sbatch", "status").stdout
    assert re.search(r"diffueraser-upload: job \d+, finished", status), status
    assert re.search(r"stage 2: weights of step 3 are ready", status), status
    # What is uploaded already is sent once only; a token without write access says so and training is not to blame.
    project.hub.set_faults({"match": "/api/repos/create|/commit/", "kind": "status", "value": 403})
    assert project.run("01_setup.sbatch", "upload") == "FAILED"
    assert "HF_TOKEN must have write access" in project.last_line()

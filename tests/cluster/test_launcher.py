"""setup_and_train.sbatch: every problem at once, on clusters of every shape, before anything is submitted."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.lab import Lab, Node, Partition, wait_for
from tests.cluster.project import RECORDS, Project
from tests.cluster.training import checkpoints, clean, error, ids, job_log, log, notes, starts, train
from tests.hub import TOKEN, Hub
from tests.pypi import PackageIndex

NewProject = Callable[..., Project]
LAUNCHER = "setup_and_train.sbatch"
NO_HUB = {"HF_ENDPOINT": "http://127.0.0.1:9"}
LUA = """
function slurm_job_submit(job, partitions, uid)
  if %s then slurm.log_user("a rule of this site"); return 2045 end
  return slurm.SUCCESS
end
function slurm_job_modify(job, record, partitions, uid) return slurm.SUCCESS end
"""


def held(project: Project) -> set[int]:
    """Jobs that the lab holds now."""
    return {job for job, state in project.lab.jobs().items() if state in ("PENDING", "RUNNING", "CONFIGURING")}


def refused(project: Project, *arguments: str, **env: str) -> str:
    """What the launcher says when it submits nothing."""
    before = set(project.lab.jobs())
    result = project.bash(LAUNCHER, *arguments, **env)
    assert result.returncode == 1, result.stdout + result.stderr
    assert set(project.lab.jobs()) == before, "something was submitted"
    return result.stderr


def submitted(project: Project, *arguments: str, **env: str) -> dict[str, dict[str, str]]:
    """What scontrol says of the jobs that the launcher submits, by name: setup, train, dpo, upload."""
    before = set(project.lab.jobs())
    result = project.bash(LAUNCHER, *arguments, **env)
    assert result.returncode == 0, result.stdout + result.stderr
    jobs = {job: project.lab.job(job) for job in set(project.lab.jobs()) - before}
    for job in jobs:
        assert re.search(rf"\b{job}\b", result.stdout), f"job {job} is not named in {result.stdout}"
    return {said["JobName"].removeprefix("diffueraser-"): said for said in jobs.values()}


def shown(status: str, name: str) -> str:
    """What `status` shows of a job, in small letters."""
    match = re.search(rf"diffueraser-{name}: (.*(?:\n +.*)*)", status)
    assert match, f"{name} is not in\n{status}"
    return match[1].lower()


# --- every problem at once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "submit"])
def test_launcher_each_problem_at_once(new_project: NewProject, command: str) -> None:
    project = new_project()
    (project.folder / "02_train.sbatch").unlink()
    wrong = {"TRAIN_VERSION": "promt", "STAGE2_NFRAMES": "33", "TRAIN_TIME": "tomorrow", "DPO_DATASET": "maybe",
             "HF_ENDPOINT": "ftp://hub", "GPU_PARTITION": "gpus", "CPU_PARTITION": "cpus",
             "STAGE1_LEARNING_RAET": "1e-5", "SKIP_REPAIRS": "trackers"}  # fmt: skip
    project.edit(**wrong)
    said = refused(project, *[command] * (command == "check"), HF_ENDPOINT="")
    expected = [*["config-value"] * 5, *["partition-unknown"] * 2, *["config-unknown"] * 2, "files"]
    assert sorted(ids(said)) == sorted(expected), said
    lines = (project.folder / "config.env").read_text().splitlines()
    for name, value in wrong.items():
        number = next(number for number, line in enumerate(lines, 1) if line.startswith(f"{name}="))
        assert re.search(rf"config.env line {number}: .*\b{name}\b", said), f"{name}={value} is not named in {said}"
    assert "STAGE1_LEARNING_RATE" in said
    assert "SKIP_PATCHES" in said
    assert not (project.folder / "logs").exists()


def test_launcher_check_knows_what_training_would_refuse(new_project: NewProject) -> None:
    """Before anything is set up, and beside other problems."""
    project = new_project()
    wrong = {
        "STAGE2_EXTRA_ARGS": "--resum x",
        "STAGE1_VALIDATION_IMAGE": "[]",
        "GPU_PARTITION": "nowhere",
        "STAGE1_NFRAMES": "33",
    }
    said = refused(project, "check", **wrong)
    assert sorted(ids(said)) == ["config-conflict", "config-value", "extra-args", "partition-unknown"], said


def test_launcher_check_shows_the_plan(new_project: NewProject) -> None:
    project = new_project()
    project.edit(SETUP_ACCOUNT="cpu-team", ACCOUNT="team", TRAIN_TIME="2-12", NUM_GPUS="4")
    del project.env["NUM_GPUS"]
    before = set(project.lab.jobs())
    result = project.bash(LAUNCHER, "check", STAGE1_MAX_TRAIN_STEPS="50000", HF_TOKEN=TOKEN)
    assert result.returncode == 0, result.stderr
    assert set(project.lab.jobs()) == before
    assert re.search(r"\bsetup +compute .*cpu-team", result.stdout)
    assert re.search(r"\btraining +gpu +1 +4 +24 +128G +2-12 +team", result.stdout), result.stdout
    assert re.search(r"DPO-dataset +compute .*cpu-team", result.stdout)
    assert re.search(r"\b\d+ GPU-hours", result.stdout)
    assert str(project.folder / "logs") in result.stdout
    listed = next(line for line in notes(result.stderr) if "STAGE1_MAX_TRAIN_STEPS=50000" in line)
    assert "HF_TOKEN" in listed, "values of the environment are listed"
    assert "NUM_GPUS" not in listed
    assert TOKEN not in result.stdout + result.stderr
    project.hub.set_faults({"match": "/resolve/", "kind": "status", "value": 401})
    assert ids(refused(project, "check")) == ["hub-token-rejected"]


@pytest.mark.parametrize(
    ("edits", "name", "fix"),
    [
        ({"NUM_GPUS": "9"}, "gpu-count", "NUM_GPUS"),
        ({"GPU_TYPE": "h100"}, "gpu-type", "GPU_TYPE"),
        ({"GPU_PARTITION": "compute"}, "partition-unknown", "gpu"),
        ({"RESERVATION": "mine"}, "reservation", "RESERVATION"),
        ({"NUM_NODES": "3"}, "nodes-unsuitable", "NUM_NODES"),
        ({"TRAIN_SBATCH_OPTIONS": "--constraint=moon"}, "", "TRAIN_SBATCH_OPTIONS"),
    ],
)
def test_launcher_what_the_cluster_cannot_give(new_project: NewProject, edits: dict[str, str], name: str, fix: str) -> None:
    project = new_project()
    project.edit(**edits)
    del project.env["NUM_GPUS"]
    said = refused(project)
    assert set(ids(said)) == {name or ids(said)[0]}, said
    if name:
        assert fix in error(said, name).split(" Fix: ")[1], said


# --- what is submitted -------------------------------------------------------------------------------------------


def test_launcher_options_reach_slurm(new_project: NewProject) -> None:
    project = new_project()
    project.edit(NUM_NODES="2", CPUS_PER_GPU="3", MEM_PER_GPU="2G", TRAIN_TIME="1-00:00:00", SETUP_TIME="02:00:00",
                 MAIL_USER="me@example.org", EXCLUSIVE="yes", HF_ENDPOINT=NO_HUB["HF_ENDPOINT"])  # fmt: skip
    options = {"SETUP_SBATCH_OPTIONS": "--comment=cpu-job --nice=7", "TRAIN_SBATCH_OPTIONS": "--comment=gpu-job"}
    jobs = submitted(project, HF_ENDPOINT="", NUM_GPUS="4", **options)
    assert set(jobs) == {"setup", "train", "dpo"}
    setup, train, dpo = (int(jobs[name]["JobId"]) for name in ("setup", "train", "dpo"))
    job = jobs["train"]
    assert (job["NumNodes"][0], job["TimeLimit"], job["Partition"], job["CPUs/Task"]) == ("2", "1-00:00:00", "gpu", "12")
    assert (job["TresPerNode"], job["MinMemoryNode"], job["OverSubscribe"]) == ("gres:gpu:4", "8G", "NO")
    assert (job["MailUser"], job["Comment"], job["Requeue"]) == ("me@example.org", "gpu-job", "1")
    assert job["Dependency"].startswith(f"afterok:{setup}")
    assert jobs["dpo"]["Dependency"].startswith(f"afterany:{setup}")
    for name in ("setup", "dpo"):
        assert [jobs[name][key] for key in ("TimeLimit", "Comment", "Nice")] == ["02:00:00", "cpu-job", "7"]
    again = refused(project)
    assert ids(again) == ["jobs-exist"]
    assert all(str(job) in again for job in (setup, train, dpo) if job in held(project))
    # The Hub cannot be reached: setup fails, and training does not stay behind for ever.
    states = project.lab.wait_all(60)
    assert (states[setup], states[train], states[dpo]) == ("FAILED", "CANCELLED", "FAILED")
    status = project.bash(LAUNCHER, "status")
    assert status.returncode == 0, status.stderr
    assert re.match(rf"job {setup}\b.*\bfailed", shown(status.stdout, "setup"))
    assert set(ids(status.stdout)) == {"hub-unreachable"}
    assert TOKEN not in again + status.stdout + project.log()


SBATCH = """#!/usr/bin/env bash
[[ " $* " != *" --test-only "* ]] || exec "{real}" "$@"
echo "Welcome. You have used 100 of 500 hours."
job=$("{real}" "$@") || exit
echo "$job;lab"
echo "100% of the nodes are up."
"""
CLUSTERED = """#!/usr/bin/env bash
echo "${{0##*/}} ${{SLURM_CLUSTERS:-}}" >>"{asked}"
unset SLURM_CLUSTERS
[[ $0 != */squeue ]] || echo "CLUSTER: lab"
exec "{real}" "$@"
"""


def test_launcher_banners_and_ids_with_a_cluster(new_project: NewProject, tmp_path: Path) -> None:
    """What a site's sbatch prints beside the id is no id; the cluster of `100;cluster` is asked for the job later."""
    project = new_project()
    programs, asked = tmp_path / "programs", tmp_path / "asked"
    programs.mkdir()
    for name, script in (("sbatch", SBATCH), ("squeue", CLUSTERED), ("scancel", CLUSTERED)):
        real = project.lab.run(["bash", "-c", f"type -P {name}"], project.folder).stdout.strip()
        (programs / name).write_text(script.format(real=real, asked=asked))
        (programs / name).chmod(0o755)
    project.env["PATH"] = f"{programs}:{project.lab.env['PATH']}"
    jobs = submitted(project, **NO_HUB, SETUP_SBATCH_OPTIONS="--hold")
    assert jobs["train"]["Dependency"].startswith(f"afterok:{jobs['setup']['JobId']}")
    status = project.bash(LAUNCHER, "status")
    assert status.returncode == 0, status.stderr
    assert re.match(rf"job {jobs['setup']['JobId']}\b.*\bpending", shown(status.stdout, "setup"))
    assert project.bash(LAUNCHER, "cancel").returncode == 0
    wait_for(lambda: not held(project), "this project's jobs are gone", 30, costly=True)
    assert {"squeue lab", "scancel lab"} <= set(asked.read_text().splitlines())


def test_launcher_account_qos_reservation(cluster: Callable[..., Project]) -> None:
    """Those of setup can differ; what Slurm refuses names the variable of that job."""
    site = (
        "job.partition == 'gpu' and (job.account ~= 'team' or job.qos ~= 'long' or job.reservation ~= 'ours') or"
        " job.partition == 'compute' and (job.account ~= 'cpu-team' or job.qos ~= 'cpu')"
    )
    project = cluster(site, extra="JobSubmitPlugins=lua")
    project.edit(ACCOUNT="team", QOS="long", SETUP_ACCOUNT="cpu-team", SETUP_QOS="cpu", NUM_GPUS="2")
    assert "a rule of this site" in refused(project)
    reservation = ["create", "reservation", "ReservationName=ours", "Users=root", "StartTime=now", "Duration=60"]
    project.lab.run(["scontrol", *reservation, "Nodes=c1,g1"], project.folder)
    project.edit(RESERVATION="ours")
    jobs = submitted(project, **NO_HUB)
    assert [jobs[name]["Account"] for name in ("setup", "dpo", "train")] == ["cpu-team", "cpu-team", "team"]
    assert jobs["train"]["Reservation"] == "ours"


def test_launcher_status_and_cancel_know_only_this_project(new_project: NewProject) -> None:
    project = new_project()
    nothing = project.bash(LAUNCHER, "status")
    assert nothing.returncode == 0, nothing.stderr
    assert len(re.findall(r"diffueraser-(setup|train|dpo|upload): no job", nothing.stdout)) == 4
    stranger = project.lab.sbatch("--wrap=sleep 60", "--job-name=diffueraser-train", cwd=project.folder.parent)
    sleeper = project.lab.sbatch("--exclusive", "--nodelist=c1", "--wrap=sleep 60", cwd=project.folder.parent)
    assert project.bash(LAUNCHER).returncode == 0
    status = project.bash(LAUNCHER, "status").stdout
    assert all(re.match(r"job \d+\b.*\bpending, \w", shown(status, name)) for name in ("setup", "train")), status
    mine = held(project) - {stranger, sleeper}
    cancelled = project.bash(LAUNCHER, "cancel")
    assert cancelled.returncode == 0, cancelled.stderr
    assert all(str(job) in cancelled.stdout for job in mine)
    wait_for(lambda: not held(project) & mine, "this project's jobs are gone", 30, costly=True)
    assert held(project) == {stranger, sleeper}
    assert ids(project.bash(LAUNCHER, "cancel").stderr) == ["jobs-none"]


# --- clusters of other shapes ------------------------------------------------------------------------------------


@pytest.fixture
def cluster(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, hub: Hub, index: PackageIndex
) -> Iterator[Callable[..., Project]]:
    """A collaborator's folder on a cluster of another shape, whose site refuses what a condition in Lua describes."""
    labs: list[Lab] = []

    def make(site: str = "false", **options: object) -> Project:
        lab = Lab(tmp_path_factory.mktemp("lab"), **options)  # type: ignore[arg-type]
        labs.append(lab)
        (lab.folder / "job_submit.lua").write_text(LUA % site)
        lab.__enter__()
        project = Project(tmp_path / "project", lab, hub, index)
        project.copy_scripts()
        project.two_edits("non-prompt")
        return project

    yield make
    for lab in labs:
        lab.stop()


def test_launcher_other_names_typed_gpus_and_short_limits(cluster: Callable[..., Project]) -> None:
    project = cluster(
        nodes=(Node("n1"), Node("n2", "gpu:h100:4"), Node("n3", "gpu:h100:4")),
        partitions=(
            Partition("batch", "n1", "Default=YES MaxTime=08:00:00"),
            Partition("a100", "n2", "MaxTime=1-00:00:00"),
            Partition("secret", "n3", "Hidden=YES"),
        ),
        extra="EnforcePartLimits=ALL",
    )
    project.edit(SETUP_TIME="07:00:00", TRAIN_TIME="2-00:00:00")
    too_long = refused(project, GPU_PARTITION="a100")
    assert ids(too_long) == ["limit-time"]
    assert "TRAIN_TIME" in error(too_long, "limit-time")
    assert "SETUP_TIME" not in too_long
    project.edit(TRAIN_TIME="24:00:00")
    held_back = {"SETUP_SBATCH_OPTIONS": "--hold", "NUM_GPUS": "4", **NO_HUB}
    for partition, env in (
        ("a100", {"GPU_TYPE": "h100", "GPU_PARTITION": "a100"}),
        ("secret", {"GPU_PARTITION": "secret"}),
        ("a100,secret", {"GPU_PARTITION": "a100,secret"}),
    ):
        jobs = submitted(project, **held_back, **env)
        assert (jobs["setup"]["Partition"], set(jobs["train"]["Partition"].split(","))) == ("batch", set(partition.split(",")))
        assert jobs["train"]["TresPerNode"] == ("gres:gpu:h100:4" if "GPU_TYPE" in env else "gres:gpu:4")
        assert project.bash(LAUNCHER, "cancel").returncode == 0
        wait_for(lambda: not held(project), "cancelled", 30, costly=True)
    jobs = submitted(
        project, **held_back, CPU_PARTITION="none", GPU_PARTITION="a100", GPU_REQUEST="gpus-per-node", MEM_PER_GPU="none"
    )
    assert (jobs["setup"]["Partition"], jobs["train"]["TresPerNode"]) == ("batch", "gres:gpu:4")
    assert ids(refused(project, GPU_PARTITION="a100,nowhere")) == ["partition-unknown"]


def test_launcher_one_partition_and_a_required_account(cluster: Callable[..., Project]) -> None:
    project = cluster(
        "job.account == nil",
        nodes=(Node("n1", "gpu:2"),),
        partitions=(Partition("all", "n1", "Default=YES"),),
        extra="JobSubmitPlugins=lua",
    )
    assert "a rule of this site" in refused(project)
    project.edit(ACCOUNT="lab")
    jobs = submitted(project, **NO_HUB, SETUP_SBATCH_OPTIONS="--hold")
    assert [jobs[name]["Partition"] for name in ("setup", "train", "dpo")] == ["all"] * 3
    assert project.bash(LAUNCHER, "cancel").returncode == 0
    by_options = {"GPU_PARTITION": "all", "GPU_REQUEST": "none", "TRAIN_SBATCH_OPTIONS": "--gpus=1"}
    jobs = submitted(project, **NO_HUB, SETUP_SBATCH_OPTIONS="--hold", **by_options)
    assert (jobs["train"].get("TresPerNode"), jobs["train"]["TresPerJob"]) == (None, "gres:gpu:1")


def test_launcher_several_gpu_partitions(cluster: Callable[..., Project]) -> None:
    project = cluster(
        nodes=(Node("n1", "gpu:2"), Node("n2", "gpu:4")),
        partitions=(Partition("small", "n1", "Default=YES"), Partition("large", "n2")),
    )
    said = error(refused(project), "partition-unknown")
    assert all(name in said.split(" Fix: ")[1] for name in ("large", "small"))
    assert submitted(project, GPU_PARTITION="large", **NO_HUB)["train"]["Partition"] == "large"


def test_launcher_compute_nodes_that_may_not_submit(cluster: Callable[..., Project]) -> None:
    project = cluster("job.environment.SLURMD_NODENAME ~= nil", extra="JobSubmitPlugins=lua")
    job = project.sbatch(LAUNCHER)
    assert project.lab.wait(job) == "FAILED"
    assert all("login node" in line for line in project.log().splitlines() if "ERROR[" in line), project.log()
    assert ids(project.log())
    assert submitted(project, **NO_HUB)


def test_launcher_slurm_that_does_not_count_gpus(cluster: Callable[..., Project], ready: Callable[..., Project]) -> None:
    """Whole nodes are taken, and the GPUs in them counted there; what the launcher's own job got by default is not theirs."""
    elsewhere = cluster(
        nodes=(Node("n1"), Node("n2")),
        partitions=(Partition("compute", "n1", "Default=YES"), Partition("gpu", "n2")),
        extra="DefMemPerCPU=512",
    )
    project = clean(ready("non-prompt"))
    project.lab = elsewhere.lab
    try:
        before = set(project.lab.jobs())
        assert project.run(LAUNCHER, DPO_DATASET="no", STAGE="1") == "COMPLETED", project.log()
        jobs = {project.lab.job(job)["JobName"]: job for job in set(project.lab.jobs()) - before}
        train = jobs["diffueraser-train"]
        assert project.lab.job(train)["OverSubscribe"] == "NO"
        assert project.lab.wait(train, 120) == "COMPLETED", project.log()
        assert project.record("non-prompt", 1)["gpus_per_node"] == 2
    finally:
        project.lab = project.home_lab


def test_launcher_from_the_queue_to_the_uploaded_weights(ready: Callable[..., Project]) -> None:
    """The environment overrides config.env for one submission; status says how each job ended; nothing is done twice."""
    project = clean(ready("non-prompt"))
    project.edit(UPLOAD_REPO="collaborator/weights", DPO_DATASET="no")
    jobs = submitted(project, STAGE2_MAX_TRAIN_STEPS="3", NUM_GPUS="1")
    assert set(jobs) == {"setup", "train", "upload"}
    states = project.lab.wait_all(180)
    assert [states[int(job["JobId"])] for job in jobs.values()] == ["COMPLETED"] * 3, project.log()
    assert (project.record("non-prompt", 1)["step"], project.record("non-prompt", 2)["step"]) == (12, 3)
    pushed = project.hub.root / "collaborator" / "weights" / "non-prompt"
    assert {str(p.relative_to(pushed)): p.read_bytes() for p in pushed.rglob("*.*") if p.name not in RECORDS} == project.weights(
        "non-prompt"
    )
    assert (pushed.parent.parent / ".weights.private").exists()
    status = project.bash(LAUNCHER, "status").stdout
    for name, job in jobs.items():
        assert re.match(rf"job {job['JobId']}\b.*\bcompleted", shown(status, name)), status
    assert re.search(r"stage 1: step 12/12, [0-9.e+]+ steps/s, 00:00 left, loss=[0-9.e-]+, last checkpoint 12", status), status
    for step, stage in ((12, 1), (3, 2)):
        assert re.search(rf"stage {stage}: weights of step {step} are .*finetuned-stage{stage}", status), status
    assert re.search(r"disk: [0-9.]+[KMGT] used, ", status), status
    known = set(project.lab.jobs())
    again = project.bash(LAUNCHER, STAGE2_MAX_TRAIN_STEPS="3", NUM_GPUS="1")
    assert (again.returncode, set(project.lab.jobs()) - known) == (0, set()), again.stdout + again.stderr
    assert (starts(project), starts(project, 2)) == ([0], [0]), log(project)
    # What is uploaded already is sent once only; a token without write access says so and training is not to blame.
    project.hub.set_faults({"match": "/api/repos/create|/commit/", "kind": "status", "value": 403})
    upload = project.sbatch("01_setup.sbatch", "upload")
    assert project.lab.wait(upload) == "FAILED"
    assert ids(job_log(project, upload)) == ["upload-failed"]


def left_by_the_run(project: Project) -> tuple[object, ...]:
    """Weights, checkpoints and marks of the run that is no trial."""
    marks = ("progress-non-prompt-stage1", "history-non-prompt")
    return (project.weights("non-prompt"), checkpoints(project), [project.state(mark).read_text() for mark in marks])


def test_launcher_trial(ready: Callable[..., Project]) -> None:
    """20 steps of each stage on the allocation of a full run, in folders of its own; the run beside it does not notice."""
    project = clean(ready("non-prompt"))
    project.edit(UPLOAD_REPO="collaborator/weights")
    assert train(project, STAGE="1") == "COMPLETED", log(project)
    root = project.root("non-prompt")
    shutil.rmtree(root / "converted_weights")  # a trial needs nothing of a full run
    trial, mark = root / "trial", project.state("progress-non-prompt-stage1")
    before = (
        project.weights("non-prompt"),
        checkpoints(project),
        mark.read_text(),
        project.state("history-non-prompt").read_text(),
    )
    trial.mkdir()
    (trial / "old").touch()
    jobs = submitted(project, "trial", SETUP_SBATCH_OPTIONS="--hold")
    assert set(jobs) == {"setup", "trial"}
    assert [jobs["trial"][key] for key in ("TresPerNode", "TimeLimit")] == ["gres:gpu:2", "1-00:00:00"]
    assert not (trial / "old").exists()
    assert ids(refused(project)) == ids(refused(project, "trial")) == ["jobs-exist"]
    status = project.bash(LAUNCHER, "status").stdout
    assert re.match(rf"job {jobs['trial']['JobId']}\b.*\bpending", shown(status, "trial")), status
    assert project.bash(LAUNCHER, "cancel").returncode == 0
    wait_for(lambda: not held(project), "cancelled", 30, costly=True)
    job = int(submitted(project, "trial")["trial"]["JobId"])
    assert project.lab.wait(job, 240) == "COMPLETED", project.log()
    said = project.log("diffueraser-trial-*").strip()
    estimate = r"a full run would take about [0-9.]+ hours and [0-9.]+ GPU-hours at the speed seen"
    assert re.fullmatch(rf".*{estimate}", said.splitlines()[-1]), said
    for stage in (1, 2):
        assert (trial / f"finetune-stage{stage}" / "checkpoint-20").is_dir()
        assert (trial / "converted_weights" / f"finetuned-stage{stage}" / "weights.json").exists()
        assert list((trial / f"logs-finetune-stage{stage}").glob("samples/sample-20/*"))
    assert "Summary of trial-non-prompt" in (trial / "converted_weights" / "summary.txt").read_text()
    status = project.bash(LAUNCHER, "status").stdout
    assert re.match(rf"job {job}\b.*\bcompleted", shown(status, "trial")), status
    assert re.search(estimate, status), status
    after = (
        project.weights("non-prompt"),
        checkpoints(project),
        mark.read_text(),
        project.state("history-non-prompt").read_text(),
    )
    assert after == before
    assert checkpoints(project, stage=2) == []
    assert train(project) == "COMPLETED", log(project)
    assert (starts(project), starts(project, 2)) == ([0], [0]), "the run resumes from its own checkpoints alone"

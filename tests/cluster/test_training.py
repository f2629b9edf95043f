"""02_train.sbatch: done means done."""

import json
import re
import shutil
from collections.abc import Callable, Iterator

import pytest

from diffueraser_docs.facts import facts
from diffueraser_docs.schema.base import VERSIONS
from tests.cluster.lab import wait_for
from tests.cluster.project import Project
from tests.cluster.test_setup_interruptions import Disks, small_disk
from tests.cluster.training import (
    NO_VALIDATION,
    Env,
    Hold,
    KeptRun,
    checkpoints,
    clean,
    error,
    hold,
    ids,
    job_log,
    log,
    notes,
    project,
    starts,
    steps,
    submit,
    train,
    trainer_log,
    undisturbed,
)

__all__ = ["hold", "project", "small_disk", "undisturbed"]
Ready = Callable[..., Project]
Undisturbed = Callable[..., KeptRun]
OUTPUT = "finetune-stage1"
WEIGHTS = "converted_weights"
CHECK = ("02_train.sbatch", "check")


def checked(project: Project, **env: str) -> list[str]:
    """Ids of what is known before the start."""
    result = project.bash(*CHECK, **env)
    assert result.returncode == bool(ids(result.stderr)), result.stdout + result.stderr
    return ids(result.stderr)


# --- the steps asked for, whatever the number of processes ---------------------------------------------------


@pytest.mark.parametrize(("gpus", "nodes"), [(8, 1), (2, 2)])
def test_training_processes(project: Project, gpus: int, nodes: int) -> None:
    assert train(project, f"--nodes={nodes}", gpus=gpus, NUM_NODES=str(nodes), STAGE="1") == "COMPLETED", log(project)
    record = project.record("non-prompt", 1)
    assert (record["step"], record["nodes"], record["gpus_per_node"]) == (12, nodes, gpus)
    assert "checkpoint-12" in checkpoints(project)
    assert max(steps(project)) == 12
    assert starts(project) == [0], "one start must do"


def test_training_all_settings(project: Project) -> None:
    """Batches above one, accumulation, W&B without Internet, validation off; all of it recorded."""
    batches: Env = {"STAGE1_TRAIN_BATCH_SIZE": "2", "STAGE2_TRAIN_BATCH_SIZE": "2", "STAGE1_GRADIENT_ACCUMULATION_STEPS": "2"}
    more: Env = {"STAGE2_SET_GRADS_TO_NONE": "yes", "STAGE1_EXTRA_ARGS": "", "WANDB_API_KEY": "a" * 40}
    assert train(project, gpus=2, **NO_VALIDATION, **batches, **more) == "COMPLETED", log(project) + trainer_log(project)[-3000:]
    for stage in (1, 2):
        path = project.root("non-prompt") / WEIGHTS / f"finetuned-stage{stage}" / "weights.json"
        record = json.loads(path.read_text())
        assert (record["stage"], record["step"], record["version"]) == (stage, 12, "non-prompt")
        assert (record["nodes"], record["gpus_per_node"]) == (1, 2)
        assert record["parameters"][f"STAGE{stage}_TRAIN_BATCH_SIZE"] == "2"
        repositories = {repository.name for repository in facts().hub.repositories if repository.role != "dpo"}
        assert repositories <= set(record["commits"])
        assert all(re.fullmatch("[0-9a-f]{40}", commit) for commit in record["commits"].values())
        assert {"epoch-length", "batch-size"} <= set(record["patches"].split())
        assert set(record["sha256"]) == {
            f"{part}/{name}"
            for part in ("unet_main", "brushnet")
            for name in ("config.json", "diffusion_pytorch_model.safetensors")
        }
    said = log(project)
    assert re.search(r"STAGE1_TRAIN_BATCH_SIZE +2 +environment", said)
    assert re.search(r"STAGE1_GRADIENT_CHECKPOINTING +(yes|no) +.*\b79\b", said), "GPU memory decides"
    assert re.search(r"STAGE2_DATALOADER_NUM_WORKERS +2 +.*\b6\b.*\b2\b", said), "6 CPUs for 2 GPUs"
    assert list(project.root("non-prompt").glob("*/**/events.out.tfevents*")), "TensorBoard records nothing"
    assert list((project.folder / "logs").glob("wandb/offline-run-*/*.wandb"))
    assert "a" * 40 not in project.log()


@pytest.fixture
def broken_frames(project: Project) -> Iterator[None]:
    """Frames of the same size that no program can read."""
    frames = list((project.root("non-prompt") / "dataset" / "YTBV" / "JPEGImages").rglob("*.jpg"))
    before = {path: path.read_bytes() for path in frames}
    for path, content in before.items():
        path.write_bytes(b"x" * len(content))
    yield
    for path, content in before.items():
        path.write_bytes(content)


@pytest.mark.fault("crash", "stage 1", "clear error")
@pytest.mark.usefixtures("broken_frames")
def test_training_crash(project: Project) -> None:
    assert train(project) == "FAILED"
    assert ids(log(project)) == ["training-stopped"]
    assert "UnidentifiedImageError" in error(log(project), "training-stopped")
    assert "step 0 of 12" in error(log(project), "training-stopped")
    assert "Traceback" in log(project), "the trainer's last lines are missing"
    assert starts(project) == [0, 0], "a crash is tried once more"
    assert not list((project.root("non-prompt") / WEIGHTS).glob("finetuned*"))


# --- checkpoints ------------------------------------------------------------------------------------------------


@pytest.mark.fault("half checkpoint", "stage 1", "survived")
def test_training_incomplete_checkpoints(project: Project, undisturbed: Undisturbed) -> None:
    """Each way in which a checkpoint can be incomplete is told from a complete one; training resumes from the last of those."""
    root = undisturbed().restore(project, OUTPUT)
    complete = root / OUTPUT / "checkpoint-12"
    files = ("optimizer.bin", "model.safetensors", "model_1.safetensors", "scheduler.bin", "random_states_0.pkl", "scaler.pt")
    assert {*files} <= {path.name for path in complete.iterdir()}
    spoiled = []
    for number, (name, how) in enumerate([(name, how) for name in files for how in ("missing", "cut off")], 13):
        target = root / OUTPUT / f"checkpoint-{number}"
        shutil.copytree(complete, target)
        if how == "missing":
            (target / name).unlink()
        else:
            (target / name).write_bytes((target / name).read_bytes()[: (target / name).stat().st_size // 2])
        spoiled.append(target.name)
    (root / OUTPUT / "checkpoint-tmp").mkdir()
    (root / OUTPUT / "checkpoint-26").mkdir()
    assert train(project, STAGE="1", STAGE1_MAX_TRAIN_STEPS="27") == "COMPLETED", log(project)
    said = " ".join(notes(log(project)))
    for name in (*spoiled, "checkpoint-tmp", "checkpoint-26"):
        assert re.search(rf"\b{name}\b", said), f"{name} is taken for complete"
    assert not re.search(r"\bcheckpoint-(5|10|12)\b", said)
    assert starts(project) == [12]
    assert project.record("non-prompt", 1)["step"] == 27
    assert not list((root / OUTPUT).glob("incomplete-*")), "they are removed when the stage is done"


@pytest.mark.fault("full disk", "stage 1", "clear error")
def test_training_full_disk(project: Project, small_disk: Disks) -> None:
    disk = project.root("non-prompt") / OUTPUT
    small_disk(disk, "16k")
    assert train(project, STAGE="1") == "FAILED"
    assert ids(log(project)) == ["disk-full"], log(project)
    small_disk(disk, "100m")
    assert train(project, STAGE="1") == "COMPLETED", log(project)
    assert project.record("non-prompt", 1)["step"] == 12


def test_training_check(project: Project, undisturbed: Undisturbed) -> None:
    """What the checkpoints of an earlier run exclude is known on the login node, all at once, and in the plan's check too."""
    assert checked(project) == []
    undisturbed().restore(project)
    assert checked(project) == []
    assert checked(project, STAGE1_MAX_TRAIN_STEPS="15") == ["stage2-origin"]
    assert checked(project, STAGE1_MAX_TRAIN_STEPS="15", STAGE2_KEEP="yes") == []
    assert checked(project, STAGE1_MAX_TRAIN_STEPS="15", STAGE="1") == []
    assert checked(project, STAGE1_MIXED_PRECISION="bf16", STAGE="1") == ["precision-changed"]
    assert checked(project, STAGE2_EXTRA_ARGS="--nframe 40 --output=x --report_to all --seed 1") == ["extra-args"] * 4
    assert checked(project, STAGE2_EXTRA_ARGS="--enable_something --snr_gamma 5") == []
    all_at_once = {
        "STAGE1_MAX_TRAIN_STEPS": "8",
        "STAGE2_MIXED_PRECISION": "no",
        "STAGE1_EXTRA_ARGS": "--resum latest",
        "STAGE2_VALIDATION_IMAGE": "[]",
        "CPU_PARTITION": "nowhere",
    }
    expected = ["config-conflict", "extra-args", "precision-changed", "stage2-origin", "steps-below-checkpoint"]
    assert sorted(set(checked(project, **all_at_once))) == expected
    whole = project.bash("setup_and_train.sbatch", "check", **all_at_once)
    assert whole.returncode == 1
    assert sorted(set(ids(whole.stderr))) == sorted([*expected, "partition-unknown"])
    assert len(ids(whole.stderr)) == len(set(whole.stderr.splitlines())), "said twice"


def test_training_stage_2_origin(project: Project, undisturbed: Undisturbed) -> None:
    """Stage 2 never resumes from other stage 1 weights unasked; what is finished is not done again."""
    undisturbed().restore(project)
    first = project.record("non-prompt", 2)["stage1_weights"]
    longer: Env = {"STAGE1_MAX_TRAIN_STEPS": "15", "STAGE2_MAX_TRAIN_STEPS": "14"}
    assert train(project, **longer) == "FAILED"
    assert (ids(log(project)), starts(project)) == (["stage2-origin"], []), "known before stage 1 trains"
    # The stage 2 that is there still names the stage 1 that it began from.
    assert train(project, STAGE="convert", STAGE1_CHECKPOINT="10") == "COMPLETED", log(project)
    assert project.record("non-prompt", 1)["step"] == 10
    assert project.record("non-prompt", 2)["stage1_weights"] == first
    assert "STAGE" in " ".join(notes(log(project))).upper(), "nothing says that both stages no longer belong together"
    assert train(project, **longer, STAGE2_KEEP="yes") == "COMPLETED", log(project)
    record = project.record("non-prompt", 2)
    assert (record["step"], record["stage1_weights"] != first) == (14, True)
    assert (starts(project), starts(project, 2)) == ([12], [12])
    # Killed between two renames: the weights are put back, and all is done.
    weights = project.root("non-prompt") / WEIGHTS
    for stage in (1, 2):
        (weights / f"finetuned-stage{stage}").rename(weights / f"finetuned-stage{stage}.old")
    (weights / ".tmp-stage2").mkdir()
    assert train(project, **longer, STAGE2_KEEP="yes") == "COMPLETED", log(project)
    assert (starts(project), starts(project, 2)) == ([12], [12])
    assert project.record("non-prompt", 2) == record
    assert not list(weights.glob("*.old"))


# --- resources ----------------------------------------------------------------------------------------------------


def test_training_errors_before_a_gpu_is_used(project: Project) -> None:
    project.edit(NUM_GPUS="4")
    small = ("--mem=4G", "--cpus-per-task=2", "02_train.sbatch")
    nowhere = "['dataset/DAVIS/nowhere','dataset/DAVIS']"
    wrong: Env = {"STAGE2_NFRAMES": "40", "STAGE1_LEARNING_RATE": "fast", "STAGE1_CHECKPOINTS_TOTAL_LIMIT": "1"}
    jobs = {
        project.sbatch("--gres=gpu:2", *small, NUM_GPUS=""): ["gpu-count"],
        project.sbatch("--gres=none", *small): ["gpu-none"],
        submit(project, STAGE1_VALIDATION_IMAGE=nowhere): ["validation-folder"],
        submit(project, **wrong): ["config-value"] * 3,
    }
    for job, expected in jobs.items():
        assert project.lab.wait(job) == "FAILED"
        assert ids(job_log(project, job)) == expected, job_log(project, job)
    for name in ("gpu-count", "gpu-none", "validation-folder"):
        assert error(project.log(), name)
    assert all(f"{name}={value}" in project.log() for name, value in wrong.items())
    data = project.root("non-prompt") / "dataset" / "YTBV"
    data.rename(data.with_name("aside"))
    job = submit(project)
    assert project.lab.wait(job) == "FAILED"
    data.with_name("aside").rename(data)
    assert ids(job_log(project, job)) == ["data-changed"]
    assert not (project.root("non-prompt") / OUTPUT).exists()
    outside = project.bash("02_train.sbatch")
    assert (outside.returncode, ids(outside.stderr)) == (1, ["not-in-a-job"])


@pytest.mark.fault("two at once", "training", "refused")
def test_training_two_versions(ready: Ready, hold: Hold) -> None:
    """Two trainings share a node, but never a version; nor does setup change the code of a version that trains.

    Any checkpoint can be converted, also one of bf16, which has no scaler; a step that is not there changes nothing.
    """
    for version in VERSIONS:
        project = clean(ready(version))
    hold.at("stage 1, step 3")
    jobs = [submit(project, "--nodelist=g1", TRAIN_VERSION=version, STAGE="1", **hold.env) for version in VERSIONS]
    wait_for(lambda: log(project).count("trainer starts") == 2, "both train", 90, lambda: log(project))
    second = submit(project, TRAIN_VERSION=VERSIONS[0], STAGE="1")
    setup = project.sbatch("01_setup.sbatch", "training", TRAIN_VERSION=VERSIONS[0], SKIP_PATCHES="trackers")
    for job in (second, setup):
        assert project.lab.wait(job) == "FAILED"
        assert ids(job_log(project, job)) == ["locked"]
        assert str(jobs[0]) in error(job_log(project, job), "locked")
    hold.release()
    assert [project.lab.wait(job, 120) for job in jobs] == ["COMPLETED"] * 2, log(project)
    assert [project.record(version, 1)["step"] for version in VERSIONS] == [12, 12]
    assert not (project.root("prompt") / OUTPUT / "checkpoint-12" / "scaler.pt").exists(), "the case needs bf16"
    for step, state in ((5, "COMPLETED"), (7, "FAILED")):
        job = submit(project, TRAIN_VERSION="prompt", STAGE="convert", STAGE1_CHECKPOINT=str(step))
        assert project.lab.wait(job) == state
        assert ids(job_log(project, job)) == ["checkpoint-incomplete"] * (state == "FAILED")
        assert project.record("prompt", 1)["step"] == 5
    assert len(starts(project)) == 2


@pytest.fixture
def nvidia_smi(project: Project) -> Iterator[Callable[[str], None]]:
    """Replaces the stand-in's answer."""
    program = project.lab.bin / "nvidia-smi"
    before = program.read_text()

    def answer(script: str) -> None:
        program.write_text(f"#!/usr/bin/env bash\n{script}\n")

    yield answer
    program.write_text(before)


def by_hand(project: Project, command: str, *options: str, **env: str) -> str:
    """Type a command in an allocation of one GPU, as `salloc` gives it; what the log and the terminal say."""
    request = ["salloc", "--quiet", "--partition=gpu", "--gres=gpu:1", "--cpus-per-task=3", "--mem=8G", *options]
    before = log(project)
    result = project.lab.run([*request, "bash", "-c", command], project.folder, {**project.env, "NUM_GPUS": "1", **env})
    return result.stdout + result.stderr + log(project).removeprefix(before)


def test_training_in_an_interactive_allocation(
    project: Project, undisturbed: Undisturbed, nvidia_smi: Callable[[str], None]
) -> None:
    """`salloc` and `srun --pty`: it never waits for its own step, and GPUs are what nvidia-smi says of them."""
    whole = undisturbed()
    whole.restore(project, OUTPUT)
    weights = project.root("non-prompt") / WEIGHTS
    run, slices = "srun bash 02_train.sbatch", "srun env CUDA_VISIBLE_DEVICES={} bash 02_train.sbatch"
    for memory in ("echo '[N/A]'", "echo 'Insufficient Permissions'"):
        nvidia_smi(memory)
        said = by_hand(project, run, STAGE="1")
        assert ids(said) == [], said
        assert re.search(r"STAGE1_GRADIENT_CHECKPOINTING +yes +.*unknown", said), said
        assert project.weights("non-prompt") == whole.of_stage_1()
        shutil.rmtree(weights)
    nvidia_smi("echo 'NVIDIA-SMI has failed'; exit 9")
    assert ids(by_hand(project, run, STAGE="1")) == ["gpu-driver"]
    nvidia_smi("[[ $1 == --list-gpus ]] && echo '  MIG 3g.40gb Device 0: (UUID: MIG-11)' || echo 81559")
    said = by_hand(project, slices.format("MIG-11"), STAGE="1")
    assert ids(said) == [], said
    assert re.search(r"STAGE1_GRADIENT_CHECKPOINTING +yes +.*\b40\b", said), said
    shutil.rmtree(weights)
    said = by_hand(project, "bash 02_train.sbatch", STAGE="1")  # the shell of salloc is on the login node
    assert ids(said) == ["not-in-a-job"], said
    said = by_hand(project, slices.format("MIG-11,MIG-12"), "--gres=gpu:2", STAGE="1", NUM_GPUS="2")
    assert ids(said) == ["gpu-slices"], said


def test_training_under_srun_pty(project: Project, undisturbed: Undisturbed) -> None:
    """With --export=NONE in force, and in an allocation that is larger than config.env says."""
    whole = undisturbed()
    whole.restore(project, OUTPUT)
    project.edit(NUM_GPUS="1")
    command = [
        "srun",
        "--pty",
        "--partition=gpu",
        "--gres=gpu:2",
        "--cpus-per-task=6",
        "--mem=8G",
        "env",
        "SLURM_EXPORT_ENV=NONE",
    ]
    said = typed_in_a_terminal(project, [*command, "bash", "02_train.sbatch"], STAGE="1", NUM_GPUS="")
    assert ids(said) == [], said
    assert any("--gres=gpu:1" in line for line in notes(said)), "config.env and the allocation differ"
    assert project.record("non-prompt", 1)["gpus_per_node"] == 2
    assert project.weights("non-prompt") == whole.of_stage_1()


def typed_in_a_terminal(project: Project, command: list[str], **env: str) -> str:
    """What a command prints in a terminal of its own."""
    spawn = f"import pty, sys; sys.exit(pty.spawn({command!r}))"
    return project.lab.run(["python3", "-c", spawn], project.folder, {**project.env, **env}).stdout.replace("\r", "")


def test_training_skipped_patches(project: Project) -> None:
    """It gets there or names the step it has reached, and what needs a patch is refused."""
    skip = " ".join(patch.name for patch in facts().patches.patches)
    assert project.run("01_setup.sbatch", "training", SKIP_PATCHES=skip) == "COMPLETED", project.log()
    try:
        state = train(project, gpus=2, STAGE="1", STAGE1_MAX_TRAIN_STEPS="15")  # an epoch has 12 steps and is taken for 24
        if state == "COMPLETED":
            record = project.record("non-prompt", 1)
            assert (record["step"], record["patches"]) == (15, "")
        else:
            assert ids(log(project)) == ["training-stopped"], log(project)
            assert re.search(r"step \d+ of 15", error(log(project), "training-stopped"))
            assert not (project.root("non-prompt") / WEIGHTS / "finetuned-stage1").exists()
        refused = project.bash(*CHECK, STAGE1_TRAIN_BATCH_SIZE="2", STAGE1_MAX_TRAIN_STEPS="15").stderr
        assert "STAGE1_GRADIENT_ACCUMULATION_STEPS" in error(refused, "batch-size")
    finally:
        assert project.run("01_setup.sbatch", "training") == "COMPLETED", project.log()
    assert checked(clean(project), STAGE1_TRAIN_BATCH_SIZE="2") == []

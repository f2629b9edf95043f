"""02_train.sbatch: done means done."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diffueraser_docs.facts import facts
from diffueraser_docs.schema.base import VERSIONS
from tests.cluster.lab import ENDED, wait_for
from tests.cluster.project import Project, steps_trained
from tests.cluster.test_setup_interruptions import Disks, small_disk

__all__ = ["small_disk"]
Ready = Callable[..., Project]
OUTPUT = "finetune-stage1"


def train(project: Project, *options: str, gpus: int = 1, timeout: float = 240, **env: str) -> str:
    """Submit training and give its end."""
    return project.lab.wait(submit(project, *options, gpus=gpus, **env), timeout)


def submit(project: Project, *options: str, gpus: int = 1, **env: str) -> int:
    """Submit training."""
    return project.sbatch(
        f"--gres=gpu:{gpus}", f"--cpus-per-task={gpus * 3}", "--mem=8G", *options, "02_train.sbatch", NUM_GPUS=str(gpus), **env
    )


def checkpoints(project: Project, version: str = "non-prompt", stage: int = 1) -> list[str]:
    """Names in the output folder of a stage that the trainer would read."""
    return sorted(path.name for path in (project.root(version) / f"finetune-stage{stage}").glob("checkpoint*"))


def log(project: Project) -> str:
    """The job's own log."""
    return project.log("diffueraser-train*")


def trainer_log(project: Project) -> str:
    """What the trainer said, with its progress bar as lines."""
    return project.log("trainer-*").replace("\r", "\n")


# --- the steps asked for, whatever the number of processes ---------------------------------------------------


@pytest.mark.parametrize(("gpus", "nodes"), [(1, 1), (4, 1), (8, 1), (2, 2)])
def test_exactly_the_steps_asked_for_on_any_number_of_processes(ready: Ready, gpus: int, nodes: int) -> None:
    project = ready()
    assert train(project, f"--nodes={nodes}", gpus=gpus, NUM_NODES=str(nodes), STAGE="1") == "COMPLETED", log(project)
    assert project.record("non-prompt", 1)["step"] == 12
    assert checkpoints(project)[-1] in ("checkpoint-12", "checkpoint-5"), checkpoints(project)
    assert "checkpoint-12" in checkpoints(project)
    steps = [int(step) for step in re.findall(r"(\d+)/12 \[", trainer_log(project))]
    assert max(steps) == 12
    assert steps_trained(log(project))["1"] == 1, "one start must do"
    assert f"{nodes} x {gpus} GPUs" in log(project)
    assert ("--multi_gpu" in log(project)) is False


def test_without_repairs_it_gets_there_or_names_the_step(ready: Ready) -> None:
    project = ready()
    skip = "epoch-length stop-at-last-step final-checkpoint stage1-ending no-waste trackers batch-size"
    assert project.run("01_setup.sbatch", "training", SKIP_REPAIRS=skip) == "COMPLETED", project.log()
    try:
        assert "left out (SKIP_REPAIRS)" in project.log()
        state = train(project, gpus=2, STAGE="1", STAGE1_MAX_TRAIN_STEPS="15")  # an epoch has 12 steps and is taken for 24
        if state == "COMPLETED":
            assert project.record("non-prompt", 1)["step"] == 15
        else:
            assert re.search(r"ERROR  Stage 1 (stopped at step \d+ of 15|is at step \d+, beyond)", log(project)), log(project)
            assert not (project.root("non-prompt") / "converted_weights" / "finetuned-stage1").exists()
        refused = train(project, STAGE="1", STAGE1_TRAIN_BATCH_SIZE="2")
        assert refused == "FAILED"
        assert "use STAGE1_GRADIENT_ACCUMULATION_STEPS" in log(project)
    finally:
        assert project.run("01_setup.sbatch", "training") == "COMPLETED", project.log()


def test_batches_above_one_and_other_flags_work(ready: Ready) -> None:
    project = ready()
    no_validation = {f"STAGE1_VALIDATION_{name}": "[]" for name in ("IMAGE", "MASK", "PROMPT")}
    batches = {"STAGE1_TRAIN_BATCH_SIZE": "2", "STAGE2_TRAIN_BATCH_SIZE": "2", "STAGE1_GRADIENT_ACCUMULATION_STEPS": "2"}
    state = train(project, gpus=2, **dict[str, Any](**no_validation, **batches, STAGE2_SET_GRADS_TO_NONE="yes"))
    assert state == "COMPLETED", log(project) + trainer_log(project)[-3000:]
    assert (project.record("non-prompt", 1)["step"], project.record("non-prompt", 2)["step"]) == (12, 12)
    assert re.search(r"STAGE1_TRAIN_BATCH_SIZE +2 +environment", log(project))
    assert re.search(r"STAGE1_GRADIENT_CHECKPOINTING +no +chosen: 81559 MiB of GPU memory", log(project))
    assert re.search(r"STAGE2_DATALOADER_NUM_WORKERS +2 +chosen: 6 CPUs for 2 GPUs", log(project))
    events = list(project.root("non-prompt").glob("finetune-stage*/**/events.out.tfevents*")) or list(
        project.root("non-prompt").glob("logs-*/**/events.out.tfevents*")
    )
    assert events, "TensorBoard records nothing"


@pytest.mark.fault("crash", "stage 1", "clear error")
def test_a_crash_before_the_last_step_is_no_success(ready: Ready) -> None:
    project = ready()
    frames = list((project.root("non-prompt") / "dataset" / "YTBV" / "JPEGImages").rglob("*.jpg"))
    before = {path: path.read_bytes() for path in frames}
    for path in frames:
        path.write_text(f"{facts().hub.pointer_line}\n")
    try:
        assert train(project) == "FAILED"
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    assert re.search(r"Stage 1 stopped at step 0 of 12: two starts without progress \(.*UnidentifiedImageError", log(project)), (
        log(project)
    )
    assert "cannot identify image file" in log(project), "the trainer's last lines are missing"
    assert steps_trained(log(project))["1"] == 2
    assert not list((project.root("non-prompt") / "converted_weights").glob("finetuned*"))


# --- checkpoints ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil", ["optimizer.bin", "model.safetensors", "model_1.safetensors", "scheduler.bin", "random_states_0.pkl", "scaler.pt"]
)
@pytest.mark.parametrize("how", ["missing", "cut off"])
def test_a_half_checkpoint_is_told_from_a_whole(ready: Ready, spoil: str, how: str) -> None:
    project = ready()
    folder = whole_checkpoints(project)
    target = folder / OUTPUT / "checkpoint-12" / spoil
    assert target.exists(), sorted(path.name for path in target.parent.iterdir())
    if how == "missing":
        target.unlink()
    else:
        target.write_bytes(target.read_bytes()[: target.stat().st_size // 2])
    (folder / OUTPUT / "checkpoint-tmp").mkdir()
    (folder / OUTPUT / "checkpoint-99").mkdir()
    script = (
        f"source ./02_train.sbatch; find_config x; load_config; cd {folder}; set_aside_incomplete {OUTPUT}; last_step {OUTPUT}"
    )
    result = project.lab.run(["bash", "-c", script], project.folder, project.env)
    assert result.stdout.splitlines()[-1] == "10", result.stdout + result.stderr
    assert sorted(path.name for path in (folder / OUTPUT).iterdir() if path.name.startswith("checkpoint")) == [
        "checkpoint-10",
        "checkpoint-5",
    ]
    assert (folder / OUTPUT / "incomplete-checkpoint-12").is_dir()


def whole_checkpoints(project: Project) -> Path:
    """A copy of the output of a stage 1 that was trained once for all these tests."""
    kept = project.folder.parent / f"{project.folder.name}-checkpoints"
    if not kept.exists():
        assert train(project, STAGE="1") == "COMPLETED", log(project)
        shutil.copytree(project.root("non-prompt") / OUTPUT, kept / OUTPUT)
    copy = project.folder.parent / f"{project.folder.name}-spoiled"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(kept, copy)
    return copy


def test_checkpoints_of_another_precision_are_no_halves(ready: Ready) -> None:
    project = ready()
    folder = whole_checkpoints(project)
    names = sorted(path.name for path in (folder / OUTPUT).glob("checkpoint-*"))
    for path in (folder / OUTPUT).glob("checkpoint-*/scaler.pt"):
        path.unlink()  # bf16 saves none
    script = f"source ./02_train.sbatch; find_config x; load_config; cd {folder}; set_aside_incomplete {OUTPUT}; echo all well"
    refused = project.lab.run(["bash", "-c", script], project.folder, project.env)
    assert re.search(
        r"was trained with bf16 or no, and STAGE1_MIXED_PRECISION=fp16. Set STAGE1_MIXED_PRECISION back", refused.stderr
    )
    assert "all well" not in refused.stdout
    assert sorted(path.name for path in (folder / OUTPUT).glob("*checkpoint-*")) == names
    env = {**project.env, "STAGE1_MIXED_PRECISION": "bf16"}
    assert "all well" in project.lab.run(["bash", "-c", script], project.folder, env).stdout


@pytest.mark.fault("half checkpoint", "stage 1", "survived")
def test_training_goes_on_from_the_last_whole_checkpoint(ready: Ready) -> None:
    project = ready()
    folder = whole_checkpoints(project)
    project.forget_training()
    shutil.copytree(folder / OUTPUT, project.root("non-prompt") / OUTPUT)
    spoiled = project.root("non-prompt") / OUTPUT / "checkpoint-12" / "optimizer.bin"
    spoiled.write_bytes(spoiled.read_bytes()[:100])
    assert train(project, STAGE="1") == "COMPLETED", log(project)
    assert "checkpoint-12 is not whole and was set aside" in log(project)
    assert "trainer starts at step 10 of 12" in log(project)
    assert project.record("non-prompt", 1)["step"] == 12


@pytest.mark.fault("full disk", "stage 1", "clear error")
def test_a_disk_that_fills_while_a_checkpoint_is_written(ready: Ready, small_disk: Disks) -> None:
    project = ready()
    disk = project.root("non-prompt") / OUTPUT
    small_disk(disk, "16k")
    assert train(project, STAGE="1") == "FAILED"
    assert re.search(
        r"Stage 1 stopped at step 0 of 12: the disk is full \(\S+ free on .*Make space and submit again", log(project)
    ), log(project)
    small_disk(disk, "100m")
    assert train(project, STAGE="1") == "COMPLETED", log(project)
    assert project.record("non-prompt", 1)["step"] == 12


def test_any_checkpoint_can_be_converted_also_of_bf16(ready: Ready) -> None:
    project = ready("prompt")
    assert train(project, STAGE="1") == "COMPLETED", log(project)
    assert not (project.root("prompt") / OUTPUT / "checkpoint-12" / "scaler.pt").exists(), "the case needs bf16"
    assert train(project, STAGE="convert", STAGE1_CHECKPOINT="5") == "COMPLETED", log(project)
    assert project.record("prompt", 1)["step"] == 5
    assert train(project, STAGE="convert", STAGE1_CHECKPOINT="7") == "FAILED"
    assert "There is no whole checkpoint of step 7" in log(project)
    assert project.record("prompt", 1)["step"] == 5


def test_stage_2_never_goes_on_from_other_stage_1_weights_unasked(ready: Ready) -> None:
    project = ready()
    assert train(project) == "COMPLETED", log(project)
    first = project.record("non-prompt", 2)["stage1_weights"]
    state = train(project, STAGE1_MAX_TRAIN_STEPS="15", STAGE2_MAX_TRAIN_STEPS="14")
    assert state == "FAILED"
    assert "began from other stage 1 weights. Move that folder away" in log(project)
    # What is shown of the stage 2 that is there still names the stage 1 that it began from.
    assert train(project, STAGE="convert", STAGE2_CHECKPOINT="12") == "COMPLETED", log(project)
    assert project.record("non-prompt", 2)["stage1_weights"] == first
    assert train(project, STAGE1_MAX_TRAIN_STEPS="15", STAGE2_MAX_TRAIN_STEPS="14", STAGE2_KEEP="yes") == "COMPLETED", log(
        project
    )
    record = project.record("non-prompt", 2)
    assert (record["step"], record["stage1_weights"] != first) == (14, True)


# --- resources ----------------------------------------------------------------------------------------------------


def test_errors_before_a_gpu_is_used(ready: Ready) -> None:
    project = ready()
    project.edit(NUM_GPUS="4")
    job = project.sbatch("--gres=gpu:2", "--mem=4G", "--cpus-per-task=2", "02_train.sbatch", NUM_GPUS="")
    assert project.lab.wait(job) == "FAILED"
    assert "This job has 2 GPUs on a node, but NUM_GPUS=4" in log(project)
    job = project.sbatch("--gres=none", "--mem=4G", "--cpus-per-task=2", "02_train.sbatch")
    assert project.lab.wait(job) == "FAILED"
    assert "This job has no GPUs. Set GPU_PARTITION" in log(project)
    for name, value in (("STAGE2_NFRAMES", "40"), ("STAGE1_LEARNING_RATE", "fast"), ("STAGE1_CHECKPOINTS_TOTAL_LIMIT", "1")):
        assert train(project, **dict[str, Any]({name: value})) == "FAILED"
        assert f"{name}={value} (from the environment): must be" in project.log()
    for name, value, said in (
        ("STAGE1_VALIDATION_IMAGE", "['dataset/DAVIS/nowhere','dataset/DAVIS']", "there is no folder dataset/DAVIS/nowhere in"),
        ("STAGE2_EXTRA_ARGS", "--nframes 40", "STAGE2_EXTRA_ARGS=--nframes 40 .*has a variable of its own: STAGE2_NFRAMES"),
    ):
        assert train(project, **dict[str, Any]({name: value})) == "FAILED"
        assert re.search(said, project.log()), project.log()
    data = project.root("non-prompt") / "dataset" / "YTBV"
    data.rename(data.with_name("aside"))
    assert train(project) == "FAILED"
    data.with_name("aside").rename(data)
    assert f"{data} holds no frames. Run setup again" in log(project)
    assert not (project.root("non-prompt") / OUTPUT).exists()
    outside = project.bash("02_train.sbatch")
    assert outside.returncode == 1
    assert "Submit it: sbatch 02_train.sbatch" in outside.stderr


@pytest.mark.fault("two at once", "training", "refused")
def test_two_trainings_share_a_node_but_never_a_version(ready: Ready) -> None:
    for version in VERSIONS:
        project = ready(version)
    slow: dict[str, Any] = {"STANDIN_STEP_SECONDS": "0.5", "STAGE": "1"}
    jobs = [submit(project, "--nodelist=g1", TRAIN_VERSION=version, **slow) for version in VERSIONS]
    wait_for(lambda: log(project).count("trainer starts") == 2, "both train", 60)
    assert train(project, TRAIN_VERSION=VERSIONS[0], **slow) == "FAILED"
    assert f"training-{VERSIONS[0]} is being done by job {jobs[0]} already" in log(project)
    assert [project.lab.wait(job, 120, ENDED) for job in jobs] == ["COMPLETED"] * 2, log(project)
    assert [project.record(version, 1)["step"] for version in VERSIONS] == [12, 12]


def test_wandb_records_offline_where_there_is_no_internet(ready: Ready) -> None:
    project = ready()
    assert train(project, STAGE="1", WANDB_API_KEY="a" * 40) == "COMPLETED", log(project) + trainer_log(project)[-3000:]
    assert "it records offline" in log(project)
    assert list((project.folder / "logs").glob("wandb/offline-run-*/*.wandb"))
    assert "a" * 40 not in project.log()

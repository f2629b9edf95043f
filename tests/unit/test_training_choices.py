"""What 02_train.sbatch chooses by the hardware, and what it makes of the trainer's words about the data."""

from pathlib import Path

import pytest

from tests.bash import run_bash

CHOOSE = """
load_config
GPU_GIB=$1 GPUS=$2 NODES=1 CPUS=$3
choose_by_hardware
for stage in 1 2; do
    checkpointing=STAGE${stage}_GRADIENT_CHECKPOINTING workers=STAGE${stage}_DATALOADER_NUM_WORKERS
    echo "${!checkpointing} ${!workers}"
done
"""


def chosen(folder: Path, gib: str, gpus: int, cpus: int, **env: str) -> tuple[list[str], list[str], str]:
    """Gradient checkpointing of both stages, their loader workers, and what is said of it."""
    env = {"HF_TOKEN": "hf_UnitTestToken", **env}
    result = run_bash(CHOOSE, folder, gib, str(gpus), str(cpus), script="02_train.sbatch", **env)
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    return [line[0] for line in lines], [line[1] for line in lines], result.stderr


@pytest.mark.parametrize(
    ("gib", "gpus", "env", "expected"),
    [
        ("79", 1, {}, ["no", "no"]),
        ("79", 8, {}, ["no", "no"]),
        ("79", 8, {"TRAIN_VERSION": "prompt"}, ["no", "no"]),
        ("79", 1, {"STAGE1_TRAIN_BATCH_SIZE": "2", "STAGE2_TRAIN_BATCH_SIZE": "2"}, ["yes", "yes"]),
        ("79", 8, {"STAGE1_TRAIN_BATCH_SIZE": "2", "STAGE2_TRAIN_BATCH_SIZE": "2"}, ["yes", "yes"]),
        ("79", 1, {"STAGE2_NFRAMES": "32"}, ["no", "yes"]),
        ("79", 8, {"STAGE2_NFRAMES": "32"}, ["no", "yes"]),
        ("79", 8, {"STAGE1_NFRAMES": "16"}, ["yes", "no"]),
        ("79", 1, {"STAGE1_MIXED_PRECISION": "no", "STAGE2_RESOLUTION": "576"}, ["yes", "yes"]),
        ("39", 1, {}, ["yes", "yes"]),
        ("", 8, {}, ["yes", "yes"]),
        ("140", 8, {"STAGE2_TRAIN_BATCH_SIZE": "2"}, ["no", "no"]),
        ("79", 8, {"STAGE1_GRADIENT_CHECKPOINTING": "yes", "STAGE2_GRADIENT_CHECKPOINTING": "no"}, ["yes", "no"]),
    ],
)
def test_choose_by_hardware_checkpointing(tmp_path: Path, gib: str, gpus: int, env: dict[str, str], expected: list[str]) -> None:
    assert chosen(tmp_path, gib, gpus, 48, **env)[0] == expected


@pytest.mark.parametrize(
    ("gib", "env", "stages"),
    [
        ("79", {}, []),
        ("79", {"STAGE1_TRAIN_BATCH_SIZE": "2", "STAGE2_NFRAMES": "32"}, []),
        ("79", {"STAGE1_TRAIN_BATCH_SIZE": "4"}, ["1"]),
        ("79", {"STAGE1_NFRAMES": "32"}, ["1"]),
        ("79", {"STAGE2_NFRAMES": "32", "STAGE2_GRADIENT_CHECKPOINTING": "no"}, ["2"]),
        ("39", {}, ["1", "2"]),
        ("39", {"STAGE": "2"}, ["2"]),
        ("", {"STAGE1_TRAIN_BATCH_SIZE": "4"}, []),
    ],
)
def test_choose_by_hardware_too_little(tmp_path: Path, gib: str, env: dict[str, str], stages: list[str]) -> None:
    """A setting that does not fit by what was measured is named before the trainer starts."""
    said = chosen(tmp_path, gib, 8, 48, **env)[2]
    assert [stage for stage in "12" if f"STAGE{stage}_NFRAMES" in said] == stages


@pytest.mark.parametrize(
    ("gpus", "cpus", "expected"), [(8, 48, ["5", "4"]), (1, 64, ["6", "4"]), (8, 8, ["1", "1"]), (4, 12, ["2", "2"])]
)
def test_choose_by_hardware_workers(tmp_path: Path, gpus: int, cpus: int, expected: list[str]) -> None:
    """Never more than the cores; one core of each GPU is the trainer's own."""
    assert chosen(tmp_path, "79", gpus, cpus)[1] == expected


FRAMES = {"DAVIS/JPEGImages/480p/bear": 30, "DAVIS/JPEGImages/480p/boat": 30, "YTBV/JPEGImages/a": 30, "YTBV/JPEGImages/b": 20}
COUNTED = "0:   DAVIS: {davis} videos (x10 = 10 entries)\n0:   YouTubeVOS: {ytbv} videos\n"
TOTAL = "0: FinetuneDataset: total 12 videos\n"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (COUNTED.format(davis=1, ytbv=1) + TOTAL, 2),
        ((COUNTED.format(davis=60, ytbv=3467) + TOTAL) * 2, 3527),
        (COUNTED.format(davis=0, ytbv=1) + TOTAL, 1),
        (COUNTED.format(davis=1, ytbv=0), None),
        (TOTAL, None),
        ("", None),
    ],
)
def test_found_videos(tmp_path: Path, said: str, found: int | None) -> None:
    """With 22 frames, the list of DAVIS and YouTubeVOS hold one video each that is long enough."""
    for name, count in FRAMES.items():
        for number in range(count):
            path = tmp_path / "dataset" / name / f"{number:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    names = tmp_path / "dataset" / "DAVIS" / "ImageSets" / "2017" / "train.txt"
    names.parent.mkdir(parents=True)
    names.write_text("bear\nmissing\n")
    (tmp_path / "trainer.log").write_text(said)
    code = "load_config; TRAINER_LOG=trainer.log; found=$(found_videos) || found=; count_videos 22; echo $((${found:-0}))"
    result = run_bash(code, tmp_path, script="02_train.sbatch", HF_TOKEN="hf_UnitTestToken")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split() == ["2", str(found or 0)]

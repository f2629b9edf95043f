"""Training by 02_train.sbatch against the bare commands of upstream, each as a job of its own on the lab."""

import random
import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import difference, most, percent_above
from tests.bench.models import Measurement
from tests.cluster.lab import wait_for
from tests.cluster.project import Project

FIRST_LINE = "num_samples="
"""What the trainer itself says first, after its imports."""
STEPS, INTERVAL = 60, 20
STEP_SECONDS = "0.1"
OPTIONS = ("--gres=gpu:1", "--cpus-per-task=2")
SETTINGS = {
    "NUM_GPUS": "1",
    "STANDIN_STEP_SECONDS": STEP_SECONDS,
    **{
        f"STAGE{stage}_{name}": value
        for stage in (1, 2)
        for name, value in {
            "MAX_TRAIN_STEPS": str(STEPS),
            "CHECKPOINTING_STEPS": str(INTERVAL),
            "DATALOADER_NUM_WORKERS": "1",
            "GRADIENT_CHECKPOINTING": "no",
        }.items()
    },
}
ARGUMENTS = """source ./02_train.sbatch
load_config
NODES=1 GPUS=1 HEAD=127.0.0.1 SLURM_JOB_ID=1
launcher_arguments {stage}
trainer_arguments {stage} 0 {steps}
printf '%s\\0' "${{ARGUMENTS[@]}}"
"""
POLL_SECONDS = 0.005
STAGE_SECONDS = 180
"""A stage takes some fifteen seconds where nothing else runs."""


@dataclass(frozen=True)
class Times:
    """Moments of a run, in seconds of the clock."""

    begin: float
    first_line: tuple[float, float]
    """Of each stage."""
    last_step: tuple[float, float]

    @property
    def start(self) -> float:
        """From the job's start to the first line."""
        return self.first_line[0] - self.begin

    @property
    def between(self) -> float:
        """From the last step of stage 1 to the first line of stage 2."""
        return self.first_line[1] - self.last_step[0]

    @property
    def steps(self) -> float:
        """From the first line to the last step, both stages."""
        return sum(last - first for first, last in zip(self.first_line, self.last_step, strict=True))


def trainer_arguments(project: Project, stage: int) -> list[str]:
    """The arguments that 02_train.sbatch gives to `accelerate launch`, from its own function."""
    script = ARGUMENTS.format(stage=stage, steps=STEPS)
    result = project.lab.run(["bash", "-c", script], project.folder, {**project.env, **SETTINGS})
    return result.stdout.split("\0")[:-1]


def bare_job(project: Project) -> str:
    """Upstream's four commands one after the other, with the same arguments, as a job script."""
    root = project.root("non-prompt")
    lines = ["#!/usr/bin/env bash", 'date +%s.%N >"$STAMP"', "set -e", f"cd {root}", "export HF_HUB_OFFLINE=1 PYTHONNOUSERSITE=1"]
    binaries = project.folder / "environments" / "diffueraser" / "bin"
    for stage in (1, 2):
        launch = shlex.join(["launch", *trainer_arguments(project, stage)])
        lines.append(f"{binaries}/accelerate {launch} >{log_of(project, 'bare', stage)} 2>&1")
        text = (root / f"save_checkpoint_stage{stage}.py").read_text()
        for name, folder in (
            ("input_dir", root / f"finetune-stage{stage}" / f"checkpoint-{STEPS}"),
            ("output_dir", root / "converted_weights" / f"finetuned-stage{stage}"),
        ):
            text = re.sub(rf"^{name} *=.*", f'{name} = "{folder}"', text, flags=re.MULTILINE)
        (root / f"bare_converter{stage}.py").write_text(text)
        lines.append(f"{binaries}/python bare_converter{stage}.py >>{log_of(project, 'bare', stage)}.converter 2>&1")
    path = project.folder / "bare.sbatch"
    path.write_text("\n".join([*lines, ""]))
    return path.name


def log_of(project: Project, name: str, stage: int) -> Path:
    """Where the trainer of a stage writes."""
    return project.folder / "logs" / f"{name}-stage{stage}.log"


class Watch:
    """Notes when a trainer wrote its first line and made its last step."""

    def __init__(self, find: Callable[[], Path | None]) -> None:
        self.find = find
        self.first_line = self.last_step = 0.0

    def look(self) -> bool:
        """Read the log now; tells whether all is noted."""
        path = self.find()
        text = path.read_text(errors="replace") if path and path.exists() else ""
        if FIRST_LINE in text and not self.first_line:
            self.first_line = time.time()
        if f"{STEPS}/{STEPS} [" in text and not self.last_step:
            self.last_step = time.time()
        return bool(self.last_step)


def newest(project: Project, pattern: str) -> Path | None:
    """The newest log of a pattern."""
    found = sorted((project.folder / "logs").glob(pattern), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def run(project: Project, script: str, pattern: str, *options: str) -> Times:
    """Run a job that trains both stages, and note its moments."""
    stamp, hook = project.folder / "stamp", project.folder / "hook"
    stamp.unlink(missing_ok=True)
    # Every bash reads this first; the first one is the job's own.
    hook.write_text('[[ -e $STAMP ]] || date +%s.%N >"$STAMP"\n')
    watches = [Watch(lambda stage=stage: newest(project, pattern.format(stage=stage))) for stage in (1, 2)]  # type: ignore[misc]
    job = project.sbatch(*OPTIONS, *options, script, **SETTINGS, STAMP=str(stamp), BASH_ENV=str(hook))
    for stage, watch in enumerate(watches, 1):
        end = time.monotonic() + STAGE_SECONDS
        while not watch.look():
            time.sleep(POLL_SECONDS)
            if time.monotonic() > end:
                raise TimeoutError(f"stage {stage} of {script} does not end as {project.lab.job(job)}\n{project.log()[-2000:]}")
    state = project.lab.wait(job)
    if state != "COMPLETED":
        raise RuntimeError(f"{script} ended as {state}\n{project.log()[-2000:]}")
    first, last = ((watches[0].first_line, watches[1].first_line), (watches[0].last_step, watches[1].last_step))
    return Times(float(stamp.read_text()), first, last)


def measure_overhead(project: Project, rounds: int) -> dict[str, Measurement]:
    """The script and the bare commands in turns, each from nothing."""
    ours, bare = [], []
    for _ in range(rounds):
        project.forget_training()
        ours.append(run(project, "02_train.sbatch", "trainer-non-prompt-stage{stage}-*.log"))
        project.forget_training()
        partition = ("--partition=gpu", "--output=bare-%j.log")
        bare.append(run(project, bare_job(project), "bare-stage{stage}.log", *partition))
    project.forget_training()
    return {
        "training-start": difference([each.start for each in ours], [each.start for each in bare]),
        "training-between": difference([each.between for each in ours], [each.between for each in bare]),
        "training-pace": percent_above([each.steps for each in ours], [each.steps for each in bare]),
    }


def step_now(project: Project) -> int:
    """The last step that stage 1's trainer shows."""
    path = newest(project, "trainer-non-prompt-stage1-*.log")
    found = re.findall(rf"(\d+)/{STEPS} \[", path.read_text(errors="replace")) if path else []
    return int(found[-1]) if found else 0


def measure_lost(project: Project, interruptions: int, seed: int) -> dict[str, Measurement]:
    """Requeue the job at seeded steps of stage 1; count the steps that are trained again."""
    project.forget_training()
    source, lost = random.Random(seed), []
    job = project.sbatch(*OPTIONS, "02_train.sbatch", **{**SETTINGS, "STAGE": "1"})
    for number in range(interruptions):
        share = STEPS * (number + 1) // (interruptions + 1)
        moment = source.randrange(share - INTERVAL // 2, share + INTERVAL // 2)
        wait_for(lambda moment=moment: step_now(project) >= moment, f"step {moment}", 60, project.log)  # type: ignore[misc]
        reached, starts = step_now(project), starts_of(project)
        project.lab.run(["scontrol", "requeue", str(job)], project.folder)
        project.lab.wait(job, states=frozenset({"PENDING"}))
        wait_for(lambda before=starts: len(starts_of(project)) > len(before), "the next start", 90, project.log)  # type: ignore[misc]
        lost.append(max(0, reached - starts_of(project)[-1]))
    state = project.lab.wait(job)
    if state != "COMPLETED":
        raise RuntimeError(f"the interrupted job ended as {state}\n{project.log()[-2000:]}")
    project.forget_training()
    return {"training-lost": most(lost, INTERVAL)}


def starts_of(project: Project) -> list[int]:
    """The steps at which the trainer was started."""
    return [int(step) for step in re.findall(r"stage 1: trainer starts at step (\d+)", project.log("diffueraser-train*"))]

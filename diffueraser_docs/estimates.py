"""Estimates of GPU memory, time and disk from the measured figures; where nothing was measured they say so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .facts import STAGES, Facts, Measured, Setting, Stage, Version

GIB = 2**30 / 1e9
"""GB (10^9 bytes) of one GiB."""
BYTES_PER_PARAMETER = {"no": 16, "yes": 10}
"""Weight, gradient and two states of Adam, each in fp32; with use_8bit_adam the states take one byte each."""
MEASURED_ON_GIB = 80
"""Nominal memory of the GPU of the measurements: there the peak of validation fitted too."""
Verdict = Literal["fits", "one", "training", "tight", "no", "unknown"]


@dataclass(frozen=True)
class StageEstimate:
    """One stage with one set of parameters."""

    steps: int
    memory: float | None
    """GiB that nvidia-smi showed on one H100; None: this setting was not measured."""
    floor: float
    """GiB of weights, gradients and Adam's states alone, by arithmetic."""
    copies: float
    """GiB that the exchange of gradients between several GPUs may add, by arithmetic."""
    hours: float | None
    """At the measured speed of one H100, with checkpoints, validation and conversion."""
    verdict: Verdict
    """For GPUs of the given size: fits; fits on one GPU, not surely on several; training fits, but the peak of validation
    was not measured; too tight; no; not measured."""


@dataclass(frozen=True)
class Estimate:
    """What a config.env will take."""

    stages: dict[Stage, StageEstimate]
    hours: float | None
    disk: float
    """GB (10^9 bytes) when all is done."""


def value_of(data: Facts, values: Mapping[str, str], stage: Stage, flag: str) -> str:
    """Value of a training parameter: the given one, the default, or what the trainer does without it."""
    version: Version = "prompt" if values.get("TRAIN_VERSION") == "prompt" else "non-prompt"
    parameter = next(p for p in data.training.parameters if p.flag == flag)
    return (
        values.get(f"{stage.upper()}_{parameter.variable}")
        or parameter.default(stage, version)
        or parameter.trainer_default
        or "no"
    )


def measured_setting(measured: Measured, stage: Stage, nframes: int, batch: int, *, checkpointing: bool) -> Setting | None:
    """The measured way to train that has these values and upstream's waste removed; the first one, in fp16."""
    for setting in measured.settings:
        same = (setting.stage, setting.nframes, setting.batch, setting.checkpointing) == (stage, nframes, batch, checkpointing)
        if same and not setting.upstream:
            return setting
    return None


def memory_without_checkpointing(data: Facts, values: Mapping[str, str], stage: Stage) -> int:
    """GiB from which a stage runs without gradient checkpointing, as 02_train.sbatch computes it."""
    need = data.training.memory[stage]
    clips, batch = (int(value_of(data, values, stage, flag)) for flag in ("nframes", "train_batch_size"))
    several = int(values.get("NUM_GPUS", "8")) * int(values.get("NUM_NODES", "1")) > 1
    validates = value_of(data, values, stage, "validation_image") != "[]"
    total = need.constant + need.per_frame * clips * batch + need.several_gpus * several + need.validation * validates
    return int(total + 1)


def estimate_stage(data: Facts, values: Mapping[str, str], stage: Stage, gpu_gib: float) -> StageEstimate:
    """Memory, time and verdict of one stage on GPUs of one size."""
    measured = data.measured
    steps, nframes, batch, every, validate, sums = (
        int(value_of(data, values, stage, flag))
        for flag in (
            "max_train_steps",
            "nframes",
            "train_batch_size",
            "checkpointing_steps",
            "validation_steps",
            "gradient_accumulation_steps",
        )
    )
    choice = value_of(data, values, stage, "gradient_checkpointing")
    checkpointing = choice == "yes" or (choice == "auto" and gpu_gib <= memory_without_checkpointing(data, values, stage))
    usual = (
        value_of(data, values, stage, "resolution") == str(measured.resolution)
        and value_of(data, values, stage, "use_8bit_adam") == "no"
        and value_of(data, values, stage, "enable_xformers_memory_efficient_attention") == "no"
        and value_of(data, values, stage, "mixed_precision") != "no"
    )
    setting = measured_setting(measured, stage, nframes, batch, checkpointing=checkpointing) if usual else None
    trained = measured.trained_millions[stage] * 1e6 / 2**30
    eight_bit = value_of(data, values, stage, "use_8bit_adam")
    floor, copies = trained * BYTES_PER_PARAMETER[eight_bit], trained * 4
    memory = setting.memory[2] if setting and setting.memory else None
    hours = None
    if setting and setting.steps_per_second:
        saving = measured.saving[stage]
        validations = 0 if value_of(data, values, stage, "validation_image") == "[]" else 1 + steps // validate
        pauses = -(-steps // every) * saving.save_seconds + validations * saving.validation_seconds + saving.convert_seconds
        hours = (steps * sums / setting.steps_per_second + pauses) / 3600
    validation = value_of(data, values, stage, "validation_image") != "[]"
    known = not validation or gpu_gib >= MEASURED_ON_GIB or (not checkpointing and stage in measured.validation_peak)
    peak = max(memory, measured.validation_peak.get(stage, 0)) if memory and validation and not checkpointing else memory
    verdict: Verdict = "unknown"
    if floor > gpu_gib or (setting and not setting.memory and gpu_gib <= MEASURED_ON_GIB) or (peak and peak > gpu_gib):
        verdict = "no"
    elif peak and peak > 0.95 * gpu_gib:
        verdict = "tight"
    elif peak:
        verdict = "training" if not known else "fits" if peak + copies <= gpu_gib else "one"
    return StageEstimate(steps, memory, floor, copies, hours, verdict)


def estimate_disk(data: Facts, values: Mapping[str, str]) -> float:
    """GB on disk when all is done: downloads, unpacked data, environment, kept checkpoints and converted weights."""
    repositories = [r for r in data.hub.repositories if r.role != "dpo" or values.get("DPO_DATASET", "yes") == "yes"]
    disk = sum(r.size_bytes for r in repositories) / 1e9 + data.hub.unpacked + data.project.disk.environment
    if values.get("KEEP_DOWNLOADS") == "no":  # the large archives are plain tar files, as large as what is in them
        disk -= data.hub.unpacked
    for stage in STAGES:
        saving = data.measured.saving[stage]
        steps, every, kept = (
            int(value_of(data, values, stage, flag))
            for flag in ("max_train_steps", "checkpointing_steps", "checkpoints_total_limit")
        )
        disk += min(-(-steps // every), kept) * saving.checkpoint_gb + sum(saving.converted_gib) * GIB
    return disk


def estimate(data: Facts, values: Mapping[str, str], gpu_gib: float) -> Estimate:
    """What a config.env will take.

    Args:
        data: the facts.
        values: variables of config.env that differ from their defaults.
        gpu_gib: memory of one GPU.

    Returns:
        Figures that were measured on one H100 or follow from them; None where nothing was measured.
    """
    wanted = values.get("STAGE", "all")
    stages = {stage: estimate_stage(data, values, stage, gpu_gib) for stage in STAGES}
    needed = [stages[stage].hours for stage in STAGES if wanted in ("all", stage[-1])]
    known = [hours for hours in needed if hours is not None]
    return Estimate(stages, sum(known) if len(known) == len(needed) else None, estimate_disk(data, values))

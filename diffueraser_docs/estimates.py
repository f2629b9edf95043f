"""Estimates of time: one formula for READMEs, pages, the launcher and, in `docs/assets/builder.js`, the config.env builder."""

from .facts import Facts
from .schema.base import STAGES, Stage


def seconds_per_1000_steps(data: Facts, stage: Stage) -> int:
    """Seconds for 1000 steps of a stage with the defaults, checkpoints and validations included."""
    saving, training = data.measured.saving[stage], data.training
    pauses = 1000 / training.number("checkpointing_steps", stage) * saving.save_seconds
    pauses += 1000 / training.number("validation_steps", stage) * saving.validation_seconds
    return round(training.seconds_per_1000_steps[stage] + pauses)


def training_hours(data: Facts) -> int:
    """Hours of both stages with the defaults, rounded up as the launcher does it."""
    seconds = (data.training.number("max_train_steps", stage) * seconds_per_1000_steps(data, stage) for stage in STAGES)
    return sum(seconds) // 3_600_000 + 1

"""Estimates of time: one formula for READMEs, pages, the launcher and, in `docs/assets/builder.js`, the config.env builder."""

from .facts import Facts
from .schema.base import STAGES, Stage


def seconds_per_1000_steps(data: Facts, stage: Stage) -> int:
    """Seconds for 1000 steps of a stage with the defaults, checkpoints and validations included."""
    saving = data.measured.saving[stage]
    every, validations = (
        int(data.training.parameter(name).default(stage, "non-prompt")) for name in ("checkpointing_steps", "validation_steps")
    )
    pauses = 1000 / every * saving.save_seconds + 1000 / validations * saving.validation_seconds
    return round(data.training.seconds_per_1000_steps[stage] + pauses)


def training_hours(data: Facts) -> int:
    """Hours of both stages with the defaults, rounded up as the launcher does it."""
    steps = {stage: int(data.training.parameter("max_train_steps").default(stage, "non-prompt")) for stage in STAGES}
    return sum(steps[stage] * seconds_per_1000_steps(data, stage) for stage in STAGES) // 3_600_000 + 1

"""``training.yaml``: everything the trainers accept."""

from typing import Self

from pydantic import Field, model_validator

from .base import Group, Model, Stage, Text, Version, check_groups, check_once


class Parameter(Model):
    """One flag of the trainers, settable per stage as STAGE1_<FLAG> and STAGE2_<FLAG>."""

    flag: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    group: str
    kind: str
    stage1: str | dict[Version, str] = ""
    """Default of stage 1; empty: the flag is not passed and the trainer's own default holds."""
    stage2: str | dict[Version, str] = ""
    trainer_default: str = ""
    """What the trainer does when the flag is not passed, for the guide."""
    common: bool = False
    """Shown as a line of its own in config.env."""
    switch: bool = False
    """A flag without value: yes passes it, no leaves it out."""
    meaning: Text
    change: Text
    """When to change it, and what it costs in memory and speed."""
    memory: str = "none"
    """Effect on GPU memory: a name of the table `effects`."""
    speed: str = "none"
    """Effect on speed: a name of the table `effects`."""

    @property
    def variable(self) -> str:
        """Name of the variable without its stage, for example LEARNING_RATE."""
        return self.flag.upper()

    def name(self, stage: Stage) -> str:
        """Name of the variable of a stage, for example STAGE1_LEARNING_RATE."""
        return f"{stage.upper()}_{self.variable}"

    def default(self, stage: Stage, version: Version) -> str:
        """Default of a stage in a version; empty when the flag is not passed."""
        value = self.stage1 if stage == "stage1" else self.stage2
        return value if isinstance(value, str) else value[version]


class FixedFlag(Model):
    """A flag that the scripts own because it decides where files lie."""

    flag: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    stage1: str = ""
    stage2: str = ""
    versions: list[Version] = ["non-prompt", "prompt"]


class MemoryNeed(Model):
    """GPU memory in GiB, as nvidia-smi shows it."""

    checkpointing_off: tuple[float, float]
    """A constant part, and for each frame of each clip of a batch."""
    checkpointing_on: tuple[float, float]
    several_gpus: float
    """What DDP adds."""
    validation: float


class Training(Model):
    """Every flag of the trainers, and what it does to memory and speed."""

    groups: list[Group]
    parameters: list[Parameter]
    fixed: list[FixedFlag]
    memory: dict[Stage, MemoryNeed]
    """GPU memory that a stage needs."""
    seconds_per_1000_steps: dict[Stage, int]
    """With the defaults, on one H100."""
    useful_workers: dict[Stage, int]
    """Most data-loader workers per GPU that make a stage faster."""
    trial_steps: int
    """Steps of each stage in a trial; its checkpoint and validation are those of the last one."""
    effects: dict[str, Text]
    """What a parameter does to GPU memory or speed, in words."""

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        check_groups(self.groups, [(parameter.flag, parameter.group) for parameter in self.parameters])
        check_once([parameter.flag for parameter in self.parameters] + [fixed.flag for fixed in self.fixed])
        for parameter in self.parameters:
            for effect in (parameter.memory, parameter.speed):
                if effect not in self.effects:
                    raise ValueError(f"{parameter.flag}: unknown effect {effect!r}: take one of {', '.join(self.effects)}")
        return self

    def parameter(self, flag: str) -> Parameter:
        """The parameter of a flag."""
        return {parameter.flag: parameter for parameter in self.parameters}[flag]

    def number(self, flag: str, stage: Stage) -> int:
        """A default that is a whole number, in the non-prompt version."""
        return int(self.parameter(flag).default(stage, "non-prompt"))

"""What `make bench` measures (``goals.yaml``) and what it found (``results.yaml``)."""

from datetime import date
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, model_validator

from diffueraser_docs.facts import LOADER
from diffueraser_docs.schema.base import Group, Model, Text, check_groups

GOALS = Path(__file__).with_name("goals.yaml")


class Goal(Model):
    """A value that is measured, and how much it may be."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    group: str
    what: Text
    unit: Literal["×", "s", "%", "files", "bytes", "GB/s"]
    at_most: float | None = None
    at_least: float | None = None
    """Neither: a figure without a goal, by which the others are read."""
    figures: str
    """Unit of the single figures that the measured value is made of."""

    def met(self, value: float) -> bool | None:
        """Whether a value, rounded as it is shown, meets the goal; None where there is none."""
        shown = round(value, 2)
        if self.at_most is not None:
            return shown <= self.at_most
        return None if self.at_least is None else shown >= self.at_least


class Goals(Model):
    """Everything that is measured, and the words of the pages."""

    groups: list[Group]
    goals: list[Goal]
    headings: list[Text]
    machine: list[Text]
    words: dict[str, Text]

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        check_groups(self.groups, [(goal.name, goal.group) for goal in self.goals])
        return self


class Machine(Model):
    """Where something was measured."""

    cpu: str
    cores: int
    memory_gb: float
    """10^9 bytes."""
    disk: str
    """File system and kind of the disk."""
    load: float | None = None
    """Load average of the last minute before the run began; well above 0 something else ran. None: not recorded."""
    versions: dict[str, str]


class Measurement(Model):
    """A value and the figures of the single rounds."""

    value: float
    ours: list[float]
    reference: list[float] = []


class Measurements(Model):
    """What the last run found."""

    date: date
    seconds: int
    """How long all measurements took."""
    machine: Machine
    data_gb: float
    """Size of the data on which setup was measured, in 10^9 bytes."""
    small_files: int
    """Files of its archive of many files."""
    pairs_files: int
    """Files of DPO-dataset as it was measured."""
    measured: dict[str, Measurement]


def goals() -> Goals:
    """The goals of ``goals.yaml``."""
    return Goals.model_validate(yaml.load(GOALS.read_text(encoding="utf-8"), Loader=LOADER))  # a safe loader

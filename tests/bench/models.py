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

    def met(self, measured: "Measurement") -> Literal["yes", "no", "noise", "none"]:
        """Whether all pairs, rounded as they are shown, meet the goal, or none does; between the two is noise."""
        shown = [round(value, 2) for value in measured.pairs or [measured.value]]
        if self.at_most is None and self.at_least is None:
            return "none"
        good = [value <= self.at_most if self.at_most is not None else value >= (self.at_least or 0) for value in shown]
        return "yes" if all(good) else "noise" if any(good) else "no"


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
    """Of several pairs the median."""
    ours: list[float]
    reference: list[float] = []
    pairs: list[float] = []
    """What each round says by itself, where rounds come in pairs."""


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

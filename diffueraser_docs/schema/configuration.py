"""``configuration.yaml``: the variables of config.env."""

import re
from typing import Self

from pydantic import Field, model_validator

from .base import Group, Model, Pattern, Text, check_groups


class Kind(Model):
    """What a value may look like: one pattern for the scripts and for the config.env builder."""

    pattern: Pattern
    words: Text
    """Completes the sentence "NAME must be …"."""


class Variable(Model):
    """One variable of config.env."""

    name: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    group: str
    kind: str
    default: str = ""
    """Value when neither the environment nor config.env sets it; empty: unset."""
    shown: str = ""
    """What stands for the token in config.env; for a variable without a default, an example."""
    meaning: Text
    """One short line, also the comment in config.env."""
    help: Text | None = None
    """How to find the value, or when to change it, for the config.env builder; guide.yaml has it for what a cluster needs."""
    first: bool = False
    """Open in the config.env builder; the others are folded."""
    rare: bool = False
    """On the configuration page, not in config.env."""


class Configuration(Model):
    """The variables of config.env, and the kinds of values."""

    kinds: dict[str, Kind]
    groups: list[Group]
    variables: list[Variable]

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        check_groups(self.groups, [(variable.name, variable.group) for variable in self.variables])
        for variable in self.variables:
            self.check_default(variable.name, variable.kind, variable.default)
        return self

    def variable(self, name: str) -> Variable:
        """The variable of a name."""
        return {variable.name: variable for variable in self.variables}[name]

    def check_default(self, name: str, kind: str, default: str, what: str = "default") -> None:
        """Raise ValueError when a default, or what else is said to be one, is not of its own kind."""
        if kind not in self.kinds:
            raise ValueError(f"{name}: unknown kind {kind!r}: take one of the `kinds` of configuration.yaml, or add it there")
        if default and not re.fullmatch(self.kinds[kind].pattern, default):
            raise ValueError(f"{name}: {what} {default!r} is not of kind {kind!r}: must be {self.kinds[kind].words.en}")

    def name_patches(self, names: list[str]) -> None:
        """Put the names of the patches in place of `{patches}` in patterns and words."""
        for name, kind in self.kinds.items():
            english = kind.words.en.replace("{patches}", ", ".join(names))
            chinese = kind.words.zh.replace("{patches}", "、".join(names))
            pattern = kind.pattern.replace("{patches}", "|".join(names))
            self.kinds[name] = Kind(pattern=pattern, words=Text(en=english, zh=chinese))

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
    shown: str | None = None
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

    def check_default(self, name: str, kind: str, default: str) -> None:
        """Raise ValueError when a default is not of its own kind."""
        if kind not in self.kinds:
            raise ValueError(f"{name}: unknown kind {kind!r}")
        if default and not re.fullmatch(self.kinds[kind].pattern, default):
            raise ValueError(f"{name}: default {default!r} is not of kind {kind!r}")

    def with_patches(self, names: list[str]) -> Self:
        """The same with the names of the patches for `{patches}` in patterns and words."""

        def fill(text: str, separator: str) -> str:
            return text.replace("{patches}", separator.join(names))

        kinds = {
            name: Kind(
                pattern=fill(kind.pattern, "|"),
                words=Text(en=fill(kind.words.en, ", "), zh=fill(kind.words.zh, "、")),
            )
            for name, kind in self.kinds.items()
        }
        return self.model_copy(update={"kinds": kinds})

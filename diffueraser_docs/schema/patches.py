"""``patches.yaml``: what is changed in upstream's code."""

from typing import Literal, Self

from pydantic import Field, model_validator

from .base import Model, Slug, Text, check_once


class Edit(Model):
    """A sed script, and the stages whose trainer it changes."""

    stages: list[Literal[1, 2]] = Field(min_length=1)
    script: list[str] = Field(min_length=1)
    """Lines of one script of `sed -E`; where it matches nothing, nothing is changed."""


class Patch(Model):
    """A change of upstream's code that can be left out by its name."""

    name: Slug
    edits: list[Edit] = Field(min_length=1)
    meaning: Text
    without: Text
    """What happens when it is left out."""


class Patches(Model):
    """The patches, in the order in which they are applied."""

    patches: list[Patch]

    @model_validator(mode="after")
    def _check_once(self) -> Self:
        check_once(patch.name for patch in self.patches)
        return self

"""``patches.yaml``: what is changed in upstream's code."""

from typing import Self

from pydantic import Field, model_validator

from .base import Model, Pattern, Slug, Text, check_once


class Edit(Model):
    """One change of one or several files."""

    files: list[str] = Field(min_length=1)
    pattern: Pattern
    """Extended regular expression of a line that shows the defect; without such a line nothing is changed."""
    script: str = Field(min_length=1)
    """Script for `sed -E` that removes the defect."""


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

"""``guide.yaml``: recipes of the training-parameter guide."""

from typing import Annotated

from pydantic import Field

from .base import Model, Slug, Text


class Recipe(Model):
    """An answer to "what do I set when …", as a part of config.env."""

    name: Slug
    title: Text
    text: Text
    """May show `{{ hours }}`, `{{ minutes }}`, `{{ jobs }}` and `{{ memory.stage1 }}`: estimates for its lines."""
    gpu_gib: int
    lines: list[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*=\S+$")]] = Field(min_length=1)

    def values(self) -> dict[str, str]:
        """The lines as names and values."""
        return dict(line.split("=", 1) for line in self.lines)


class Need(Model):
    """Variables that a cluster may need, when, and the command that shows what to set."""

    set: list[str] = Field(min_length=1)
    when: Text
    shown_by: str


class Guide(Model):
    """The recipes, and what a cluster may need."""

    cluster: list[Need]
    recipes: list[Recipe]

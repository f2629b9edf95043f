"""``causes.yaml``: failures of tools and of Slurm that the scripts know."""

from .base import Model, Pattern, Slug


class Cause(Model):
    """What a tool prints when it fails."""

    id: Slug
    pattern: Pattern
    """Extended regular expression of the telling line."""
    fix: str


class Refusal(Model):
    """What Slurm prints when it refuses a job."""

    id: Slug
    pattern: Pattern
    """In small letters."""
    setup: str
    """The variables to change when it is the setup job, or a sentence."""
    training: str


class Causes(Model):
    """The first row that matches decides."""

    causes: list[Cause]
    refusals: list[Refusal]

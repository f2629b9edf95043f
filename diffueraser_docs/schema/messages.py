"""``messages.yaml``: what a run can print when something is wrong."""

from typing import Literal, Self

from pydantic import Field, model_validator

from .base import Group, Model, Slug, Text, check_groups


class Message(Model):
    """One error: how to recognise it, why it happens and what to do."""

    id: Slug
    """The word that a script prints as ERROR[id], and the anchor of the entry."""
    group: str
    by: Literal["script", "note", "slurm", "trainer", "tools"] = "script"
    """Who prints it; note: a NOTE line of a script, which stops nothing."""
    text: str | None = Field(default=None, pattern=r"[A-Za-z]{3}")
    """Its constant words; … stands for what changes. A script's message needs none: it prints the id."""
    title: Text
    """What happened, in a few words; the heading of the entry."""
    cause: Text
    fix: Text
    common: bool = False
    """Frequent enough for the README."""
    repeats: bool = False
    """Its line only repeats that something ended, or means nothing: other entries that match come before it."""

    @model_validator(mode="after")
    def _check_recognisable(self) -> Self:
        if self.text is None and self.by != "script":
            raise ValueError(f"{self.key}: `text` is missing: only a message of a script needs none")
        return self

    @property
    def key(self) -> str:
        """What errors and tests call it."""
        return self.id


class Messages(Model):
    """Every error message, for the troubleshooting page."""

    groups: list[Group]
    messages: list[Message]

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        check_groups(self.groups, [(message.key, message.group) for message in self.messages])
        return self

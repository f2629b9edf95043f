"""Parts that the models of several files share."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Version = Literal["non-prompt", "prompt"]
Stage = Literal["stage1", "stage2"]
VERSIONS: tuple[Version, ...] = ("non-prompt", "prompt")
STAGES: tuple[Stage, ...] = ("stage1", "stage2")
LANGUAGES = ("en", "zh")


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
"""Lower-case words with hyphens: names that become anchors and ids."""


class Model(BaseModel):
    """Base of all models: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Model):
    """The same sentence in both languages; it may show figures of ``measured.yaml`` in ``{{ }}``."""

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


class Group(Model):
    """A heading under which entries of a file stand."""

    name: str
    title: Text


def check_groups(groups: Iterable[Group], entries: Iterable[tuple[str, str]]) -> None:
    """Raise ValueError when an entry, given as its name and its group, stands twice or in an unknown group."""
    known = [group.name for group in groups]
    entries = list(entries)
    check_once(name for name, _ in entries)
    for name, group in entries:
        if group not in known:
            raise ValueError(f"{name}: unknown group {group!r}: take one of {', '.join(known)}")


def check_once(names: Iterable[str]) -> None:
    """Raise ValueError when a name stands twice."""
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"{name} stands twice")

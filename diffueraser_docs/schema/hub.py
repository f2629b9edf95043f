"""``hub.yaml``: the repositories on the Hugging Face Hub."""

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from .base import Model, Text


def size_text(size: int) -> str:
    """A size as people read it, in GB or MB of powers of ten."""
    return f"{size / 1e9:g} GB" if size >= 1e9 else f"{size / 1e6:g} MB"


class Archive(Model):
    """An archive of a repository, where it unpacks, and what must be in it."""

    file: str
    into: str
    """Folder below PROJECT_HOME."""
    members: list[str] = Field(min_length=1)
    """Paths that must exist below `into` afterwards."""


class Content(Model):
    """A file or folder of a repository."""

    path: str
    """A trailing slash marks a folder, * a name pattern."""
    count: int | None = None
    """How many folders match the pattern."""
    size_bytes: int | None = None
    """Size of the file, for verify-hub."""
    unpacked_bytes: int = 0
    """What an archive takes on disk once unpacked."""
    members: list[str] = []
    """What each of the folders must hold; a trailing slash marks a folder."""
    note: Text | None = None
    link: str | None = None
    """Where setup links the folder to, below the folder of non-prompt."""


class Verified(Model):
    """Result of the last verify-hub run against the real Hub."""

    date: date
    commit: str
    files: int
    size_bytes: int


class Repository(Model):
    """One Hugging Face repository."""

    name: str
    role: Literal["code", "prompt-code", "weights", "dpo", "extra"]
    """What setup does with it: each of the first four once, any number of extra ones."""
    size_bytes: int
    """Size of the download, rounded up, for the check of free space."""
    used_by: Text
    contents: list[Content]
    archives: list[Archive] = []
    verified: Verified | None = None

    @property
    def size(self) -> str:
        """Size of the download as people read it."""
        return f"~{size_text(self.size_bytes)}"

    @property
    def unpacked_bytes(self) -> int:
        """What its archives take on disk besides the download once unpacked."""
        return sum(content.unpacked_bytes for content in self.contents)


class Hub(Model):
    """The repositories, and how the Hub is addressed."""

    organisation: str
    repo_type: Literal["dataset"]
    endpoint: str
    token_page: str
    pointer_line: str
    """First line of a Git-LFS pointer file."""
    large_file_bytes: int
    """Size from which a file is downloaded by curl, which resumes it across outages."""
    repositories: list[Repository]

    @model_validator(mode="after")
    def _check_roles(self) -> Self:
        for role in ("code", "prompt-code", "weights", "dpo"):
            if (count := sum(repository.role == role for repository in self.repositories)) != 1:
                raise ValueError(f"repositories: {count} play the role {role!r}, exactly one must")
        return self

    @property
    def unpacked(self) -> float:
        """GB (10^9 bytes) that unpacked archives take beside the downloads."""
        return round(sum(repository.unpacked_bytes for repository in self.repositories) / 1e9, 1)

    def download_gigabytes(self, *, dpo: bool = True) -> float:
        """GB that are downloaded, with or without DPO-dataset."""
        return sum(each.size_bytes for each in self.repositories if dpo or each.role != "dpo") / 1e9

    def by_role(self, role: str) -> Repository:
        """The repository that plays a role."""
        return next(repository for repository in self.repositories if repository.role == role)

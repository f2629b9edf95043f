"""``project.yaml``: names of folders below PROJECT_HOME, the directory tree and the diagram."""

from typing import Literal

from pydantic import Field

from .base import Model, Text, Version


class Rewrite(Model):
    """A hard-coded prefix of upstream's code and what stands there instead."""

    prefix: str
    target: str


class FlowStep(Model):
    """One box of the diagram of what happens; each follows the one before it unless `after` names another."""

    id: str = Field(pattern=r"^[a-z0-9]+$")
    place: Literal["login", "cpu", "gpu", "disk"]
    """Where it runs: a login node, a job without GPUs, a job with GPUs; disk: not a step but its result."""
    title: Text
    note: Text
    after: str | None = None
    parts: list["FlowStep"] = []
    """What happens within it, one after the other."""


class TreeEntry(Model):
    """One line of the directory tree."""

    path: str
    """Below PROJECT_HOME; a trailing slash marks a folder, {root} stands for the folder of each version."""
    note: Text | None = None
    versions: list[Version] = ["non-prompt", "prompt"]
    trial: bool = False
    """Left by a trial alone."""


class Project(Model):
    """Names of folders, hard-coded paths of upstream, the tree and the diagram."""

    site_url: str = Field(default="", pattern=r"^(https?://.+/)?$")
    """Address of the published site, with a slash at its end; empty: not known, pages and READMEs are without links to it."""
    repository_url: str = Field(default="", pattern=r"^(https?://.+[^/])?$")
    """Address of the repository; empty: not known."""
    downloads: str
    roots: dict[Version, str]
    environments: str
    state: str
    logs: str
    converted: str
    environment_gb: float = Field(gt=0)
    """Space that the training environment takes, in GB (10^9 bytes)."""
    rewrites: list[Rewrite]
    flow: list[FlowStep]
    tree: list[TreeEntry]

    def tree_entries(self) -> list[TreeEntry]:
        """The tree with one line per version where a path holds {root}."""
        lines = []
        for entry in self.tree:
            paths = {version: entry.path.replace("{root}", self.roots[version]) for version in entry.versions}
            each = [entry.model_copy(update={"path": path, "versions": [version]}) for version, path in paths.items()]
            lines += each if "{root}" in entry.path else [entry]
        return lines

"""Where measurements run: lab, Hub and package index of the tests, and a project whose environment is built already."""

import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffueraser_docs.facts import facts
from tests.bench.measure import timed
from tests.cluster.lab import Lab
from tests.cluster.project import Project
from tests.hub import Hub
from tests.pypi import PackageIndex
from tests.trainer import build_repositories


def warm(hub: Hub, *roles: str) -> None:
    """Let the Hub hash the files of these repositories, as the real one has long done."""
    data = facts().hub
    for role in roles:
        url: str | None = f"{hub.endpoint}/api/datasets/{data.organisation}/{data.by_role(role).name}/tree/main?recursive=true"
        while url:
            request = urllib.request.Request(url, headers={"Authorization": f"Bearer {hub.token}"})
            with urllib.request.urlopen(request, timeout=120) as response:
                response.read()
                link = response.headers.get("Link", "")
            url = link[1:].split(">")[0] if link else None


@contextmanager
def place(folder: Path) -> Iterator[Project]:
    """A project with tools and environment built from the small repositories, on a running lab."""
    build_repositories(folder / "small")
    index = PackageIndex(folder / "index", os.getpid())
    with Lab(folder / "lab") as lab, Hub(folder / "small") as hub:
        project = Project(folder / "project", lab, hub, index)
        project.copy_scripts()
        project.two_edits("non-prompt")
        timed(["bash", "01_setup.sbatch", "training"], project.folder, environment(project))
        yield project


def environment(project: Project, **more: str) -> dict[str, str]:
    """The environment of the collaborator's shell."""
    return {**project.lab.env, **project.env, **more}


def point_to(project: Project, hub: Hub) -> None:
    """Let a project download from another Hub."""
    project.hub = hub
    project.env["HF_ENDPOINT"] = hub.endpoint

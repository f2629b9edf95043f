"""The directory tree against what the repositories hold and the scripts make, before any run: a misspelt path shows at once.

tests/cluster/test_paths.py compares it with what a run really leaves.
"""

import io
import tarfile
from fnmatch import fnmatch
from pathlib import PurePosixPath

import pytest

from diffueraser_docs.facts import facts
from diffueraser_docs.render import ROOT, SCRIPTS
from diffueraser_docs.schema.base import VERSIONS, Version
from diffueraser_docs.schema.project import TreeEntry
from tests.trainer import code, repositories

HELD = repositories(facts())


def with_parents(paths: set[str]) -> set[str]:
    """The paths and every folder on the way."""
    return paths | {str(parent) for path in paths for parent in PurePosixPath(path).parents}


def left_by(version: Version) -> set[str]:
    """Everything below PROJECT_HOME after a run of a version."""
    data, hub = facts().project, facts().hub
    found = {*SCRIPTS, data.logs, data.state, ".cache", data.environments, "setup_and_train-1.log"}
    for repository in hub.repositories:
        found |= {f"{data.downloads}/{repository.name}/{name}" for name in HELD.get(repository.name, {})}
        for archive in repository.archives:
            with tarfile.open(fileobj=io.BytesIO(HELD[repository.name][archive.file])) as opened:
                found |= {f"{archive.into}/{name}" for name in opened.getnames()}
    weights = hub.by_role("weights").name
    shared, root = data.roots["non-prompt"], data.roots[version]
    found |= {f"{shared}/weights/{name}" for name in HELD[weights] if name.startswith("stable-diffusion")}
    upstream = set(code(prompt=False)) | set(code(prompt=version == "prompt"))
    found |= {f"{root}/{name}" for name in upstream}
    found |= {f"{root}/train_DiffuEraser_stage{stage}.py.orig" for stage in (1, 2)}
    found |= {f"{root}/accelerate_config.yaml", *(f"{root}/{data.converted}/finetuned-stage{stage}" for stage in (1, 2))}
    found |= {f"{root}/{data.converted}/summary.txt", f"{root}/trial"}
    for fixed in facts().training.fixed:
        if version in fixed.versions and fixed.flag != "resume_from_checkpoint":
            found |= {f"{root}/{value}" for value in (fixed.stage1, fixed.stage2) if value}
    return with_parents(found)


LEFT = {version: left_by(version) for version in VERSIONS}


@pytest.mark.parametrize("entry", facts().project.tree_entries(), ids=lambda entry: entry.path)
def test_each_line_of_the_tree_is_held_or_made(entry: TreeEntry) -> None:
    for version in entry.versions:
        pattern = entry.path.rstrip("/")
        depth = pattern.count("/")
        assert any(fnmatch(path, pattern) for path in LEFT[version] if path.count("/") == depth), f"{entry.path} in {version}"


@pytest.mark.parametrize("page", ["docs/en/index.md", "docs/zh/index.md"])
def test_tensorboard_records_are_named_where_they_are(page: str) -> None:
    """Accelerate puts the folder of records below the one of checkpoints."""
    values = {fixed.flag: fixed for fixed in facts().training.fixed}
    for stage in ("stage1", "stage2"):
        place = f"{getattr(values['output_dir'], stage)}/{getattr(values['logging_dir'], stage)}"
        assert place in (ROOT / page).read_text(encoding="utf-8")

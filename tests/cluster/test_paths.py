"""What pages say about paths is what an end-to-end run leaves on disk: nothing is missing, nothing is concealed."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest

from diffueraser_docs.check import HOME_PATH
from diffueraser_docs.facts import facts
from diffueraser_docs.render import ROOT
from diffueraser_docs.schema.base import VERSIONS
from tests.cluster.conftest import Finished
from tests.cluster.pages import code_spans, page_texts

TREE = facts().project.tree_entries()
# A path in running text: it ends with a slash or with one of these endings, and holds no space.
ENDINGS = ("yaml", "yml", "json", "sbatch", "env", "py", "sh", "log", "tar", "gz", "mp4", "safetensors", "txt", "md")
PATH = re.compile(rf"[\w.$*<>…-]+(/[\w.*<>…-]+)*(/|\.({'|'.join(ENDINGS)}))")
# Named in a page, but not left behind by a run: what is not there while all is well.
NOT_LEFT = {
    "incomplete-checkpoint-": "a half checkpoint gets this name; an undisturbed run writes none",
    "/home/": "the page speaks of what upstream's code had",
}


def shown(version: str) -> dict[str, bool]:
    """Paths of the tree that a version leaves, folders that are on the way included; whether each is a folder."""
    paths: dict[str, bool] = {}
    for entry in TREE:
        if version in entry.versions:
            path = PurePosixPath(entry.path)
            for parent in path.parents:
                if str(parent) != ".":
                    paths[str(parent)] = True
            paths[str(path)] = entry.path.endswith("/")
    return paths


@pytest.mark.parametrize("version", VERSIONS)
def test_each_line_of_the_tree_exists_after_a_run(finished: Finished, version: str) -> None:
    folder = finished[version].project.folder
    optional = {entry.path.rstrip("/") for entry in TREE if entry.trial}
    for path, is_folder in shown(version).items():
        if path in optional:
            continue
        found = list(folder.glob(path))
        assert found, f"{path} is in the tree, but a {version} run does not leave it"
        assert all(each.is_dir() == is_folder for each in found), f"{path}: folder or file?"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tree_conceals_nothing_where_it_shows_the_inside_of_a_folder(finished: Finished, version: str) -> None:
    """Names that begin with a dot are the scripts' own memory, __pycache__ is Python's: both are left out of the tree."""
    folder = finished[version].project.folder
    paths = shown(version)
    opened = {str(PurePosixPath(path).parent) for path in paths}
    missing = []
    for parent in sorted(opened):
        # The data in DiffuEraser_finetune, which both versions share, is in the tree of the non-prompt version.
        both = [PurePosixPath(path) for each in VERSIONS for path in shown(each)]
        patterns = [path.name for path in both if str(path.parent) == parent]
        for place in [folder] if parent == "." else folder.glob(parent):
            missing += [
                str(each.relative_to(folder))
                for each in sorted(place.iterdir())
                if not each.name.startswith((".", "__pycache__")) and not any(fnmatch(each.name, pattern) for pattern in patterns)
            ]
    assert missing == [], f"a {version} run leaves these beside what the tree shows: extend `tree` in facts/project.yaml"


def named_paths() -> Iterator[tuple[str, int, str]]:
    """Page, line and text of every path in running text."""
    for page, text in page_texts().items():
        for line, span in code_spans(text):
            path = span.removeprefix("$PROJECT_HOME/")
            if PATH.fullmatch(path) and "://" not in path and not any(mark in span for mark in NOT_LEFT):
                yield page, line, path


def test_each_path_named_in_a_page_exists_after_a_run(finished: Finished) -> None:
    """Below PROJECT_HOME of one of the versions, or, on a maintainer's page, below the project's own root."""
    left: set[str] = set()
    for version in VERSIONS:
        folder = finished[version].project.folder
        left |= {str(path.relative_to(folder)) for path in everything(folder)}
    left |= {
        str(path.relative_to(ROOT))
        for name in ("diffueraser_docs", "docs", "scripts", "tests")
        for path in (ROOT / name).rglob("*")
    }
    left |= {path.name for path in ROOT.iterdir()}
    names = {"/" + path for path in left}
    wrong = []
    checked = list(named_paths())
    for page, line, path in checked:
        pattern = "*/" + re.sub(r"<[^>]*>|…", "*", path.strip("/"))
        if not any(fnmatch(name, pattern) for name in names):
            wrong.append(f"{page}:{line}: {path}")
    assert len(checked) > 20, "the case reads no pages"
    assert wrong == [], "no run leaves these"


def everything(folder: Path) -> Iterator[Path]:
    """Everything below a folder; environments hold thousands of files that no page names."""
    for path in folder.iterdir():
        yield path
        if path.is_dir() and not path.is_symlink() and path.name not in ("environments", ".cache"):
            yield from everything(path)
        elif path.name == "environments":
            yield from path.iterdir()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_path_that_the_run_itself_uses_is_below_project_home(finished: Finished, version: str) -> None:
    project = finished[version].project
    for path in project.root(version).rglob("*"):
        if path.suffix in (".py", ".sh", ".sbatch", ".yml", ".yaml", ".txt") and path.is_file():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                active = line.split("#")[0]
                absolute = [
                    each for each in re.findall(r"""["'= ](/[a-z]\w*/[\w./-]+)""", active) if not each.startswith("/opt/nccl")
                ]
                foreign = [
                    each for each in absolute if not each.startswith((str(project.folder), "/usr/", "/bin/", "/etc/", "/dev/"))
                ]
                assert not foreign, f"{path.relative_to(project.folder)}:{number}: {foreign}"
    assert not HOME_PATH.search(project.log("diffueraser-*")), "a log speaks of a home folder"

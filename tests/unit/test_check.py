"""check: each kind of error is found, with file and line; nothing else is."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from diffueraser_docs.check import (
    Problem,
    check_drift,
    check_embedded,
    check_languages,
    check_messages,
    check_navigation,
    check_pages,
    check_paths,
    check_used,
    check_variables,
)
from diffueraser_docs.facts import facts
from diffueraser_docs.macros import TEMPLATES
from diffueraser_docs.render import READMES, ROOT, SCRIPTS, Rendered, render_all
from diffueraser_docs.schema.base import LANGUAGES


@cache
def rendered() -> list[Rendered]:
    """What the facts render."""
    return render_all()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What check looks at, to be spoiled."""
    for name in ("scripts", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in READMES.values():
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def edit(old: str, new: str) -> Callable[[str], str]:
    """An edit of the first place of a text."""

    def apply(text: str) -> str:
        assert old in text, f"the case is out of date: {old!r}"
        return text.replace(old, new, 1)

    return apply


def append(line: str) -> Callable[[str], str]:
    """An edit that adds a line."""
    return lambda text: f"{text}{line}\n"


CHECKS: dict[str, Callable[[Path, str], list[Problem]]] = {
    "differs": lambda root, _: check_drift(root, rendered()),
    "is not embedded": lambda root, _: check_embedded(root),
    "which is no script": lambda root, _: check_embedded(root),
    "is hard-coded": lambda root, _: check_paths(root),
    "is no variable": lambda root, _: check_variables(root, facts()),
    "does not expand": lambda root, _: check_pages(root),
}
CASES = [
    ("scripts/01_setup.sbatch", edit("--cpus-per-task=16", "--cpus-per-task=17"), "differs from what the facts render"),
    ("scripts/config.env", edit("CPU_PARTITION=compute", "CPU_PARTITION=cpu"), "differs from what the facts render"),
    ("README.md", edit("142 GB", "143 GB"), "differs from what the facts render"),
    ("README.zh-CN.md", edit("set -euo pipefail", "set -eu"), "is not embedded byte for byte"),
    ("README.md", append("```bash\nsbatch 03_more.sbatch\n```"), "calls 03_more.sbatch, which is no script"),
    ("docs/en/index.md", append("Put it into `~/DiffuEraser_finetune`."), "~/ is hard-coded"),
    ("docs/zh/index.md", append("cd /home/hj/Train_Diffueraser"), "/home/hj/ is hard-coded"),
    ("scripts/02_train.sbatch", append("cd /home/hj/x"), "/home/hj/ is hard-coded"),
    ("docs/en/how-it-works.md", append("Set `STAGE1_LEARNING_RATES`."), "STAGE1_LEARNING_RATES is no variable"),
    ("docs/en/how-it-works.md", append("```bash\nbash train_all.sh\n```"), "calls train_all.sh, which is no script"),
    ("docs/en/index.md", append("{{ repositorys_table() }}"), "does not expand: 'repositorys_table' is undefined"),
    ("docs/zh/index.md", append("{{ script('03_more.sbatch') }}"), "does not expand: '03_more.sbatch'"),
    ("docs/zh/index.md", append("{% for x in groups %}"), "does not expand: Unexpected end of template"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spoil", "reason"),
    [pytest.param(n, s, r, id=f"{n}: {r}") for n, s, r in CASES],
)
def test_each_error_is_found_with_file_and_line(copy: Path, name: str, spoil: Callable[[str], str], reason: str) -> None:
    path = copy / name
    before = path.read_text()
    path.write_text(spoil(before))
    lines = zip(before.splitlines(), path.read_text().splitlines(), strict=False)
    first = next((n for n, (a, b) in enumerate(lines, 1) if a != b), len(before.splitlines()) + 1)
    check = next(function for words, function in CHECKS.items() if words in reason)
    problems = check(copy, Path(name).name)
    found = [problem for problem in problems if problem.path == name and reason in problem.reason]
    assert found, f"not found; what was: {[str(p) for p in problems]}"
    if "embedded byte for byte" in reason:  # the block's first line, above the edit
        assert 1 < found[0].line <= first
    else:
        # bash names the line at whose end it gave up, shfmt the beginning of its hunk
        assert abs(found[0].line - first) <= 4, str(found[0])


@pytest.mark.parametrize("name", [f"scripts/{name}" for name in SCRIPTS] + list(READMES.values()))
def test_a_missing_file_is_a_problem(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert any(problem.path == name for problem in check_drift(copy, rendered()))
    assert isinstance(check_embedded(copy) + check_paths(copy) + check_variables(copy, facts()), list)  # none trips over it


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_in_one_language_only_is_a_problem(copy: Path, language: str) -> None:
    other = next(each for each in LANGUAGES if each != language)
    (copy / "docs" / language / "new-page.md").write_text("# New\n")
    assert [(p.path, p.reason) for p in check_pages(copy)] == [
        (f"docs/{other}/new-page.md", f"the page is missing: docs/{language}/new-page.md has no counterpart")
    ]


@pytest.mark.parametrize("name", ["NICE_LEVEL", "STAGE1_NICE_LEVEL"])
def test_a_variable_that_no_script_reads_is_a_problem(name: str) -> None:
    data = facts()
    new = data.configuration.variable("STALL_MINUTES").model_copy(update={"name": name})
    configuration = data.configuration.model_copy(update={"variables": [*data.configuration.variables, new]})
    (problem,) = check_used(TEMPLATES, data.model_copy(update={"configuration": configuration}))
    assert problem.path == "diffueraser_docs/facts/configuration.yaml"
    assert problem.reason == f"{name} is read by no script: use it, or remove the entry"
    assert check_used(TEMPLATES, data) == []


def test_check_navigation(copy: Path) -> None:
    settings = (ROOT / "mkdocs.yml").read_text()
    (copy / "mkdocs.yml").write_text(settings.replace("  - Scripts: scripts.md\n", "").replace("        Use: 使用\n", ""))
    found = {problem.path: problem.reason for problem in check_navigation(copy)}
    assert found == {
        "docs/en/scripts.md": "is not in mkdocs.yml: add '- Title: scripts.md' to nav",
        "mkdocs.yml": "Use has no Chinese title: add it to nav_translations",
    }


@pytest.mark.parametrize(
    "change",
    [
        edit("Submitting again is always safe", "It is safe. Submitting again is always safe"),
        edit("nano config.env", "vi config.env"),
        edit("## What happens", "### What happens"),
        edit("and `TRAIN_VERSION` (", "and the version ("),
    ],
)
def test_check_languages(tmp_path: Path, change: Callable[[str], str]) -> None:
    for name in ("README.en.md", "README.zh.md"):
        shutil.copy(TEMPLATES / name, tmp_path)
    assert check_languages(tmp_path) == []
    path = tmp_path / "README.en.md"
    path.write_text(change(path.read_text()))
    (problem,) = check_languages(tmp_path)
    assert problem.path == "diffueraser_docs/templates/README.zh.md"
    assert "change both languages" in problem.reason


def test_check_messages(copy: Path) -> None:
    path = copy / "scripts" / "02_train.sbatch"
    path.write_text(path.read_text() + 'die no-such-entry "It failed." "Do it."\n')
    stale = facts().messages.messages[0].model_copy(update={"id": "printed-by-nobody"})
    messages = facts().messages.model_copy(update={"messages": [*facts().messages.messages, stale]})
    found = [str(problem) for problem in check_messages(copy, facts().model_copy(update={"messages": messages}))]
    line = len(path.read_text().splitlines())
    assert f"scripts/02_train.sbatch:{line}: no-such-entry has no entry: add one to facts/messages.yaml" in found
    assert any("printed-by-nobody is printed by no script" in each for each in found)


def test_check_messages_of_causes(copy: Path) -> None:
    known = [message for message in facts().messages.messages if message.id not in ("disk-full", "slurm-unreachable")]
    messages = facts().messages.model_copy(update={"messages": known})
    found = [str(problem) for problem in check_messages(copy, facts().model_copy(update={"messages": messages}))]
    for name in ("disk-full", "slurm-unreachable"):
        assert f"diffueraser_docs/facts/causes.yaml:1: {name} has no entry: add one to facts/messages.yaml" in found

"""python -m diffueraser_docs: help, statuses, and errors in one line."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from diffueraser_docs import __main__
from diffueraser_docs.__main__ import main
from diffueraser_docs.check import Problem
from diffueraser_docs.facts import FACTS, facts, load_facts
from diffueraser_docs.macros import TEMPLATES
from diffueraser_docs.render import ROOT, render_all

COPIED = ("diffueraser_docs", "docs", "scripts", "README.md", "README.zh-CN.md", "mkdocs.yml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project to spoil."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def spoiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of facts and templates, to be spoiled, from which the commands work in this process."""
    for folder in (FACTS, TEMPLATES):
        shutil.copytree(folder, tmp_path / folder.name)
    monkeypatch.setattr(__main__, "facts", lambda: load_facts(tmp_path / "facts"))
    monkeypatch.setattr(__main__, "render_all", lambda: render_all(load_facts(tmp_path / "facts"), tmp_path / "templates"))
    return tmp_path


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a maintainer would."""
    return subprocess.run(
        [sys.executable, "-m", "diffueraser_docs", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["render", "--help"], ["check", "--help"], ["verify-hub", "--help"]])
def test_each_command_explains_itself(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: python -m diffueraser_docs")
    assert len(printed.splitlines()) > 3


def test_without_a_command_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "render | check | verify-hub" in capsys.readouterr().err


@pytest.mark.slow
def test_check_is_content_with_what_is_committed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "scripts, READMEs and pages are in order\n"


def test_check_prints_each_problem_and_counts_them(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    problems = [Problem("README.md", 3, "first"), Problem("scripts/config.env", 1, "second")]
    monkeypatch.setattr(__main__, "check_all", lambda: problems)
    assert main(["check"]) == 1
    assert capsys.readouterr().err == "README.md:3: first\nscripts/config.env:1: second\n2 problem(s)\n"


@pytest.mark.slow
def test_render_says_what_it_wrote_after_check_has_found_it(checkout: Path) -> None:
    (checkout / "scripts" / "config.env").write_text("stale\n")
    stale = command(checkout, "check")
    assert stale.returncode == 1
    assert "scripts/config.env:1: differs from what the facts render: run make docs" in stale.stderr
    refused = command(checkout, "render")
    assert (refused.returncode, refused.stderr.split(":")[0]) == (2, "scripts/config.env")
    assert command(checkout, "render", "--force").stdout == "written: scripts/config.env\n"
    assert command(checkout, "render").stdout.startswith("nothing to write")
    assert (checkout / "scripts" / "config.env").read_bytes() == (ROOT / "scripts" / "config.env").read_bytes()


def test_a_wrong_fact_is_one_line_and_status_2(spoiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = spoiled / "facts" / "training.yaml"
    path.write_text(re.sub(r"(?<=flag: nframes\n)((?:  .*\n)*?  stage2: )'\d+'", r"\g<1>'33'", path.read_text()))
    for name in ("render", "check"):
        assert main([name]) == 2
        reason = "default '33' is not of kind 'frames32': must be an integer from 1 to 32"
        assert capsys.readouterr().err == f"training.yaml: nframes: {reason}\n"


WRONG = [
    (
        "templates/README.en.md",
        "{{ messages_table() }}",
        "{{ message_table() }}",
        r"templates/README.en.md:\d+: 'message_table' is",
    ),
    ("templates/common.sh", "die() {", "<{ nothing }>die() {", r"templates/common.sh:\d+: 'nothing' is undefined"),
    ("facts/words.yaml", "  expected:", "  expectde:", r"templates/parts.md:\d+: words.yaml: words: expected is missing"),
    ("facts/words.yaml", "  repositories:", "  repositorys:", r"templates/parts.md:\d+: words.yaml: headings: repositories is"),
    (
        "facts/training.yaml",
        "setting('stage1', 6)",
        "setting('stage1', 7)",
        r"templates/parts.md:\d+: measured.yaml: no setting of",
    ),
]


@pytest.mark.parametrize(("name", "right", "wrong", "reason"), WRONG, ids=[wrong for _, _, wrong, _ in WRONG])
def test_what_does_not_render_is_one_line_with_its_place(
    spoiled: Path, capsys: pytest.CaptureFixture[str], name: str, right: str, wrong: str, reason: str
) -> None:
    path = spoiled / name
    text = path.read_text()
    assert right in text, f"the case is out of date: {right!r} is not in {name}"
    path.write_text(text.replace(right, wrong, 1))
    assert main(["render"]) == 2
    printed = capsys.readouterr().err
    assert re.match(reason, printed), printed
    assert printed.count("\n") == 1


def test_an_unreachable_hub_is_said_per_repository(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_testtoken123")
    assert main(["verify-hub"]) == 4
    printed = capsys.readouterr()
    assert printed.out.count("not reachable") == len(facts().hub.repositories)
    assert printed.err == ""

"""The scripts as bash: they parse, are as shellcheck and shfmt want them, and every name in them is known."""

import subprocess
import sys
from pathlib import Path

import pytest

from diffueraser_docs.facts import facts
from diffueraser_docs.render import ROOT, SCRIPTS
from tests.syntax import check_names

BASH = [name for name in SCRIPTS if name != "config.env"]  # a table of settings: its comments stand in columns
BIN = Path(sys.executable).parent


def complaints(*command: str | Path) -> str:
    """What a program says of a script; empty when it has nothing to complain of."""
    result = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True, check=False)
    return "" if result.returncode == 0 else result.stdout + result.stderr or f"status {result.returncode}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_parses(name: str) -> None:
    assert complaints("bash", "-n", name) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", BASH)
def test_script_shellcheck(name: str) -> None:
    assert complaints(BIN / "shellcheck", "--shell=bash", "--external-sources", name) == ""


@pytest.mark.parametrize("name", BASH)
def test_script_shfmt(name: str) -> None:
    assert complaints(BIN / "shfmt", "-d", "-i", "4", "-ci", "-ln", "bash", name) == ""


def test_script_names_known() -> None:
    assert [str(problem) for problem in check_names(ROOT, facts())] == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("chek_setup", "calls chek_setup, which is no function here"),
        ("unused() { true; }", "unused is never called"),
        ('echo "$PROJCT_ROOT"', "reads PROJCT_ROOT, which nothing sets"),
    ],
)
def test_script_names_unknown(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "scripts").mkdir()
    for name in SCRIPTS:
        text = (ROOT / "scripts" / name).read_text()
        (tmp_path / "scripts" / name).write_text(f"{text}{line}\n" if name == "02_train.sbatch" else text)
    assert any(reason in problem.reason for problem in check_names(tmp_path, facts()))

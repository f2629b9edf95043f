"""What a script owes the person who is asked to trust it: its length, short functions, short lines, errors with ids."""

import re

import pytest

from diffueraser_docs.check import ids_of
from diffueraser_docs.render import ROOT, SCRIPTS

BASH = [name for name in SCRIPTS if name != "config.env"]
# The design's budgets: lines of the whole file, and bytes of all five.
BUDGET = {"config.env": 75, "common.sh": 300, "setup_and_train.sbatch": 420, "01_setup.sbatch": 320, "02_train.sbatch": 450}
BUDGET_BYTES = 75_000
# Where a budget is not met yet: what the file has now. It may shrink and never grow.
OVER = {"common.sh": 447, "setup_and_train.sbatch": 494, "01_setup.sbatch": 600, "02_train.sbatch": 702}
OVER_BYTES = 124_954
WIDTH = 120
FUNCTION_LINES = 25


def text(name: str) -> str:
    """A script's text."""
    return (ROOT / "scripts" / name).read_text()


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_lines(name: str) -> None:
    lines = len(text(name).splitlines())
    assert lines <= max(BUDGET[name], OVER.get(name, 0)), f"{lines} lines; the budget is {BUDGET[name]}"


def test_script_bytes() -> None:
    size = sum(len(text(name).encode()) for name in SCRIPTS)
    assert size <= max(BUDGET_BYTES, OVER_BYTES), f"{size} bytes; the budget is {BUDGET_BYTES}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_width(name: str) -> None:
    assert [line for line in text(name).splitlines() if len(line) > WIDTH] == []


@pytest.mark.parametrize("name", BASH)
def test_script_function_lines(name: str) -> None:
    found = re.findall(r"^([a-z_0-9]+)\(\) \{(.*?)^\}$", text(name), re.MULTILINE | re.DOTALL)
    assert {function: len(body.splitlines()) - 1 for function, body in found if len(body.splitlines()) - 1 > FUNCTION_LINES} == {}


@pytest.mark.parametrize("name", BASH)
def test_script_no_divider(name: str) -> None:
    assert "===" not in text(name)
    assert "needs to be read" not in text(name)


@pytest.mark.parametrize("name", [name for name in BASH if name != "common.sh"])
def test_script_main_first(name: str) -> None:
    functions = re.findall(r"^([a-z_0-9]+)\(\) \{", text(name), re.MULTILINE)
    assert functions[0] == "main"
    assert "set -euo pipefail" in text(name)[: text(name).index("main() {")]


@pytest.mark.parametrize("name", [name for name in BASH if name != "common.sh"])
def test_script_sources_common_only(name: str) -> None:
    assert re.findall(r"^\s*(?:source|\.) (\S+)", text(name), re.MULTILINE) == ["./common.sh"]


def test_script_error_ids() -> None:
    found = {id_ for name in BASH for id_ in ids_of(text(name))}
    assert len(found) > 60
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", id_) for id_ in found), found

"""What a script owes the person who is asked to run it: short functions, a readable first part, errors that say what to do."""

import re

import pytest

from diffueraser_docs.render import ROOT, SCRIPTS

BASH = [name for name in SCRIPTS if name.endswith(".sbatch")]
# Lines up to the divider: what a collaborator reads.
BUDGET = {"01_setup.sbatch": 220, "02_train.sbatch": 220, "setup_and_train.sbatch": 120}
DIVIDER = "# === How each step above is done."
# Not steps but a table: one line per kind of value, made from the facts.
TABLES = {"declare_variables"}


def text(name: str) -> str:
    """A script's text."""
    return (ROOT / "scripts" / name).read_text()


def functions(name: str) -> dict[str, list[str]]:
    """The lines of each function, its own line and brace included."""
    found = re.findall(r"^([a-z_0-9]+)\(\) \{(.*?)^\}$", text(name), re.MULTILINE | re.DOTALL)
    return {function: body.splitlines() for function, body in found}


@pytest.mark.parametrize("name", BASH)
def test_functions_are_short(name: str) -> None:
    long = {function: len(body) + 1 for function, body in functions(name).items() if len(body) + 1 >= 25}
    assert set(long) <= TABLES, f"25 lines or more: {long}"


@pytest.mark.parametrize("name", BASH)
def test_the_part_to_read_is_within_its_budget(name: str) -> None:
    lines = text(name).splitlines()
    assert lines.index(next(line for line in lines if line.startswith(DIVIDER))) <= BUDGET[name]
    first = next(number for number, line in enumerate(lines) if line.startswith("# ") and not line.startswith("#SBATCH"))
    assert first < 16, "a script opens with what it does"
    assert text(name).index("main() {") < min(text(name).index(f"\n{f}() {{") for f in functions(name) if f != "main")


def test_config_env_is_short() -> None:
    assert len(text("config.env").splitlines()) <= 75


@pytest.mark.parametrize("name", BASH)
def test_each_error_says_what_happened_and_what_to_do(name: str) -> None:
    calls = [line.strip() for line in text(name).splitlines() if re.search(r"(^|[\s|&])die \"", line) and "die() {" not in line]
    assert calls
    for call in calls:
        words = re.search(r'die ((?:"(?:[^"\\]|\\.|"\$\([^)]*\)")*"\s*)+)', call)
        assert words, call
        quoted = call[call.index('die "') + 4 :]
        assert re.match(r'".+?" ".+"', quoted), f"only one of the two is said: {call}"


@pytest.mark.parametrize("name", BASH)
def test_each_exception_for_shellcheck_is_for_one_line_and_says_why(name: str) -> None:
    lines = text(name).splitlines()
    for number, line in enumerate(lines):
        if "shellcheck disable" in line:
            assert number > lines.index("set -euo pipefail"), f"{name}:{number + 1} is for the whole file"
            assert line.count("SC") == 1
            assert lines[number - 1].strip().startswith("#"), f"{name}:{number + 1} does not say why"


@pytest.mark.parametrize("name", BASH)
def test_strict_mode_comes_before_the_first_function(name: str) -> None:
    assert text(name).index("set -euo pipefail") < text(name).index("() {")

"""The habits of the project: what CI, pre-commit and make run is the same, and the licence is the one it says."""

import configparser
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from diffueraser_docs.render import ROOT, SCRIPTS
from tests.syntax import parse

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
TRACKED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split("\0")[:-1]
# Tools that make lint runs; each is in the lock file of the tests or of the site.
LINTERS = (
    "ruff check",
    "ruff format",
    "mypy",
    "pymarkdown",
    "shellcheck",
    "shfmt",
    "check-jsonschema",
    "lychee",
    "diffueraser_docs check",
)


def commands(text: str) -> set[str]:
    """The targets of make that a text runs."""
    return set(re.findall(r"^\s*(?:- run: |run: |entry: )?make ([a-z-]+)$", text, re.MULTILINE))


@pytest.mark.parametrize("path", [".github/workflows/docs.yml", ".pre-commit-config.yaml", ".ci/run"])
def test_everybody_runs_targets_of_the_makefile(path: str) -> None:
    found = commands((ROOT / path).read_text())
    assert "docs" in found
    assert found <= TARGETS


def test_the_workflow_docs_tests_lints_and_finds_what_was_not_generated() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/docs.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["prove"]["steps"]]
    ours = [step for step in steps if step.startswith(("make ", "git diff"))]
    assert ours == ["make docs", "git diff --exit-code", "make lint", "make test"]


def test_lint_runs_each_linter() -> None:
    recipe = MAKEFILE[MAKEFILE.index("\nlint:") : MAKEFILE.index("\nformat:")]
    assert [linter for linter in LINTERS if linter not in recipe] == []


def test_each_target_is_phony_or_a_file() -> None:
    phony = set(next(line for line in MAKEFILE.splitlines() if line.startswith(".PHONY")).split()[1:])
    assert phony == TARGETS


def test_the_licence_is_apache_2_as_pyproject_says() -> None:
    text = (ROOT / "LICENSE").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert re.match(r"\s*Apache License\s+Version 2\.0, January 2004\s+http://www\.apache\.org/licenses/\s", text)
    for words in (
        "2. Grant of Copyright License.",
        "9. Accepting Warranty or Additional Liability.",
        "END OF TERMS AND CONDITIONS",
    ):
        assert words in text
    system = Path("/usr/share/common-licenses/Apache-2.0")
    if system.exists():
        assert text.split("END OF TERMS")[0].split() == system.read_text().split("END OF TERMS")[0].split()


def test_files_are_as_editorconfig_says() -> None:
    settings = configparser.ConfigParser()
    settings.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    assert settings["*"]["charset"] == "utf-8"
    assert len(TRACKED) > 60
    wrong = []
    for name in TRACKED:
        path = ROOT / name
        if path.is_symlink() or path.suffix in (".png", ".jpg", ".ico", ".woff2") or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8")
        if "\r" in text:
            wrong.append(f"{name}: end_of_line")
        if text and not text.endswith("\n"):
            wrong.append(f"{name}: insert_final_newline")
        if re.search(r"[ \t]$", text, re.MULTILINE) and name != "LICENSE":
            wrong.append(f"{name}: trim_trailing_whitespace")
        if path.suffix in (".py", ".sbatch", ".yaml", ".yml", ".toml") and re.search(r"^\t", text, re.MULTILINE):
            wrong.append(f"{name}: indent_style")
    assert wrong == []


def test_what_the_plan_names_exists() -> None:
    """Functions, tests and files in the table of the plan: a renamed one would leave a false proof behind."""
    python = "\n".join(path.read_text() for folder in ("diffueraser_docs", "tests") for path in (ROOT / folder).rglob("*.py"))
    functions = set(re.findall(r"^ *def (\w+)", python, re.MULTILINE))
    for name in SCRIPTS:
        functions |= set(parse((ROOT / "scripts" / name).read_text()).functions)
    table = (ROOT / "PRD" / "slurm_pipeline_plan.md").read_text().split("| point |")[1]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    named = [span for row in rows for cell in row.split("|")[2:4] for span in re.findall(r"`([^`]+)`", cell)]
    places = (ROOT, ROOT / "scripts", ROOT / "diffueraser_docs")
    missing = [span for span in named if re.fullmatch(r"[a-z]+(_\w+)+", span) and span not in functions]
    missing += [
        span
        for span in named
        if re.fullmatch(r"[\w/]+\.(py|yaml|sbatch|env)", span) and not any((p / span).exists() for p in places)
    ]
    assert len(named) > 30
    assert missing == []

"""The fault matrix: what a marked test that passed becomes, and what of it is shown."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from diffueraser_docs.facts import Reliability, facts
from diffueraser_docs.macros import PageMacros
from diffueraser_docs.render import ROOT
from diffueraser_docs.schema.base import LANGUAGES

pytest_plugins = ["pytester"]
TESTS = """
import pytest

@pytest.mark.parametrize(("death", "step"), [("kill -9", "download"), ("scancel", "download"), ("kill -9", "download")])
@pytest.mark.fault("{death}", "{step}", "survived")
def test_it(death, step, record_property):
    record_property("repeated_bytes", 1000 if death == "kill -9" else 0)

@pytest.mark.fault("scancel", "download", "survived")
def test_many(record_property):
    record_property("cases", 30)

def test_no_row():
    pass
"""


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    """A test run of its own, with the plugin."""
    pytester.makeconftest((Path(__file__).parent.parent / "conftest.py").read_text())
    pytester.makeini("[pytest]\nmarkers = fault: row")
    return pytester


def test_a_passing_run_writes_one_row_for_each_fault_and_step(inner: pytest.Pytester) -> None:
    inner.makepyfile(TESTS)
    result = inner.runpytest_inprocess("--reliability", "out.yaml", "-p", "no:xdist")
    result.assert_outcomes(passed=5)
    found = Reliability.model_validate(yaml.safe_load((inner.path / "out.yaml").read_text()))
    rows = {(row.fault, row.step): (row.cases, row.repeated_bytes, row.repeated_steps) for row in found.results}
    assert rows == {("kill -9", "download"): (2, 1000, None), ("scancel", "download"): (31, 0, None)}


def test_a_run_with_a_failure_writes_nothing(inner: pytest.Pytester) -> None:
    inner.makepyfile(TESTS + "\ndef test_broken():\n    raise AssertionError\n")
    inner.runpytest_inprocess("--reliability", "out.yaml", "-p", "no:xdist")
    assert not (inner.path / "out.yaml").exists()


@pytest.mark.slow
def test_make_reliability_finds_the_marked_tests(tmp_path: Path) -> None:
    shown = subprocess.run(["make", "--dry-run", "reliability"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    line = next(line for line in shown.splitlines() if "--reliability=" in line)
    line = re.sub("--reliability=[^ ]*", f"--reliability={tmp_path}/out.yaml", line)
    found = subprocess.run(["bash", "-c", f"{line} --collect-only -q"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "test_random_kills.py" in found.stdout
    assert not (tmp_path / "out.yaml").exists(), "nothing ran: there is nothing to write"


def test_a_fault_without_words_is_an_error(inner: pytest.Pytester) -> None:
    inner.makepyfile(TESTS.replace("kill -9", "kill -8"))
    result = inner.runpytest_inprocess("-p", "no:xdist")
    assert "fault 'kill -8' is not in facts/faults.yaml" in result.stderr.str() + result.stdout.str()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_has_a_row_for_each_result(language: str) -> None:
    table = PageMacros(facts(), language, {}).reliability_table().splitlines()
    assert len(table) == 2 + len(facts().reliability.results)
    for row, result in zip(table[2:], facts().reliability.results, strict=True):
        assert getattr(facts().faults.faults[result.fault], language) in row

"""The fault matrix: what a marked test that passed becomes, and what of it is shown."""

import re
from pathlib import Path

import pytest

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


def test_run_passing_writes_a_row_per_fault_and_step(inner: pytest.Pytester) -> None:
    inner.makepyfile(TESTS)
    result = inner.runpytest_inprocess("--reliability", ".", "-p", "no:xdist")
    result.assert_outcomes(passed=5)
    rows = [line for line in (inner.path / "reliability.en.md").read_text().splitlines() if "| survived" in line]
    assert [re.sub(r" \d+ s ", " s ", row) for row in rows] == [
        "| download | kill -9 to every process | survived | 2 | s | 0 MB | – |",
        "| download | scancel | survived | 31 | s | 0 MB | – |",
    ]
    assert "**33 cases of 2 faults**: in 33 " in (inner.path / "reliability.en.md").read_text()
    assert "自动恢复并完成" in (inner.path / "reliability.zh.md").read_text()


def test_run_failing_writes_nothing(inner: pytest.Pytester) -> None:
    inner.makepyfile(TESTS + "\ndef test_broken():\n    raise AssertionError\n")
    inner.runpytest_inprocess("--reliability", ".", "-p", "no:xdist")
    assert not (inner.path / "reliability.en.md").exists()


def test_fault_without_words(inner: pytest.Pytester) -> None:
    inner.makepyfile(TESTS.replace("kill -9", "kill -8"))
    result = inner.runpytest_inprocess("-p", "no:xdist")
    assert "fault 'kill -8' is not in tests/faults.yaml" in result.stderr.str() + result.stdout.str()

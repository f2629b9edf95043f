"""The fault matrix: tests marked with `fault` become its rows; `--reliability FOLDER` writes them."""

import gc
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import fault_matrix

LOOK_AT_ONE_RUN = tuple(f"tests/cluster/test_{name}.py" for name in ("end_to_end", "paths", "readme_commands", "secrets"))
"""Files whose fixture `finished` takes minutes."""
BY_TEST = tuple(
    f"tests/cluster/test_{name}.py"
    for name in ("setup_interruptions", "training_interruptions", "setup_faults", "training", "training_stops", "launcher")
)
"""Long files whose tests share nothing that takes time: they may run side by side."""
LONG = (
    *LOOK_AT_ONE_RUN,
    "tests/cluster/test_page_commands.py",
    "tests/cluster/test_first_edition.py",
    "tests/browser/test_pages.py",
    "tests/browser/test_builder.py",
    "tests/browser/test_finder.py",
    *BY_TEST,
    "tests/cluster/test_random_kills.py",
    "tests/unit/test_newcomer.py",
)
"""The longest files first; what is short fills up the end. The browser works while the environment is built."""


gc.disable()  # what is imported and collected stays: looking through it again and again takes a tenth of the time


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run that all workers have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reliability", metavar="FOLDER", help="write the pages of the fault matrix into a folder")


def pytest_configure(config: pytest.Config) -> None:
    if path := config.getoption("--reliability"):
        config.pluginmanager.register(FaultMatrix(Path(path)))


def file_of(nodeid: str) -> str:
    """The file of a test."""
    return nodeid.split("::", maxsplit=1)[0]


def row_of(item: pytest.Item) -> dict[str, str] | None:
    """Fault, step and outcome that a test's marker names; parameters stand in braces, the case's id as {id}."""
    marker = item.get_closest_marker("fault")
    if marker is None:
        return None
    callspec = getattr(item, "callspec", None)
    words = {**callspec.params, "id": callspec.id} if callspec else {}
    return {key: str(text).format(**words) for key, text in zip(("fault", "step", "outcome"), marker.args, strict=True)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(file_of(item.nodeid)) if file_of(item.nodeid) in LONG else len(LONG))
    known = fault_matrix.faults()
    for item in items:
        row = row_of(item)
        if row is None:
            continue
        for key, texts in (("fault", known.faults), ("step", known.steps), ("outcome", known.outcomes)):
            if row[key] not in texts:
                raise pytest.UsageError(f"{item.nodeid}: {key} {row[key]!r} is not in tests/faults.yaml")
        item.user_properties.append(("row", row))


@pytest.hookimpl(optionalhook=True)  # a run without xdist does not know it
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """With --dist=loadfile one worker runs a file as a whole, but for two kinds of files."""
    return FilesTogether(config, log) if config.getoption("dist") == "loadfile" else None


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each worker whole files; those of LOOK_AT_ONE_RUN count as one, and each test of BY_TEST as a file."""

    def _split_scope(self, nodeid: str) -> str:
        file = file_of(nodeid)
        if file in BY_TEST:
            return nodeid.split("[", maxsplit=1)[0]
        return LOOK_AT_ONE_RUN[0] if file in LOOK_AT_ONE_RUN else file


class FaultMatrix:
    """Collects the rows of tests that passed; with several workers the controller sees all their reports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, object]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect one row."""
        row: dict[str, object] = {}
        for name, value in report.user_properties:
            if name == "row" and isinstance(value, dict):
                row.update(value)
            elif name == "cases" or name.startswith("repeated_"):
                row[name] = value
        if report.when == "call" and report.passed and "fault" in row:
            self.rows.append({**row, "seconds": round(report.duration)})

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the pages when every fault was survived."""
        if exitstatus or not self.rows or hasattr(session.config, "workerinput"):
            return
        fault_matrix.write(merged(self.rows), str(datetime.now(UTC).date()), os.cpu_count(), self.folder)


def merged(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """One row for each fault and step: how many cases, and the most that one of them took or repeated."""
    table: dict[tuple[object, ...], dict[str, object]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("fault", "step", "outcome"))
        entry = table.setdefault(key, {**dict(zip(("fault", "step", "outcome"), key, strict=True)), "cases": 0})
        entry["cases"] = int(str(entry["cases"])) + int(str(row.get("cases", 1)))
        for name in ("seconds", "repeated_bytes", "repeated_steps"):
            if name in row:
                entry[name] = max(int(str(entry.get(name, 0))), int(str(row[name])))
    return list(table.values())

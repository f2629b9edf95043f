"""The table of the page Tested with: scenarios and releases, and the versions of what each release brings."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.matrix.roots import SUITES

TOOLS = ("Debian", "Slurm", "bash", "curl", "coreutils", "Python")
RESULT = {
    "en": "**{good} of {all} runs passed**: {rows} scenarios on each of {releases} releases of Slurm.",
    "zh": "**{all} 次运行中 {good} 次通过**：{rows} 个场景，{releases} 个 Slurm 版本。",
}
WORDS = {
    "en": ("Run of {} by `make matrix`.", "Scenario", "passed", "failed"),
    "zh": ("{} 由 `make matrix` 运行。", "场景", "通过", "失败"),
}


@dataclass
class TestedWith:
    """Collects results; with several workers the controller sees all their reports."""

    __test__ = False
    folder: Path
    results: dict[int, dict[str, bool]] = field(default_factory=dict)
    titles: dict[int, dict[str, str]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect one result."""
        properties: dict[str, Any] = dict(report.user_properties)
        if "versions" in properties:
            self.versions[properties["versions"]["release"]] = properties["versions"]
        if "scenario" in properties and (report.when == "call" or report.failed):
            row, release = properties["scenario"]["row"], properties["scenario"]["release"]
            self.titles[row] = properties["scenario"]
            results = self.results.setdefault(row, {})
            results[release] = results.get(release, True) and report.passed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page's table when every scenario ran on every release."""
        if hasattr(session.config, "workerinput") or set(self.versions) != set(SUITES):
            return
        if any(set(results) != set(SUITES) for results in self.results.values()):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for language in WORDS:
            part = self.folder / f"tested-with.{language}.part"
            part.write_text(self.table(language), encoding="utf-8")
            part.replace(self.folder / f"tested-with.{language}.md")

    def table(self, language: str) -> str:
        """Both tables as Markdown."""
        date, scenario, passed, failed = WORDS[language]
        brought = [[tool, *(self.versions[release][tool] for release in SUITES)] for tool in TOOLS]
        rows = [
            [self.titles[row][language], *(passed if results[release] else failed for release in SUITES)]
            for row, results in sorted(self.results.items())
        ]
        head = [f"Slurm {release}" for release in SUITES]
        tables = [markdown(["", *head], brought), markdown([scenario, *head], rows)]
        head_line, last_line = "<!-- Written by `make matrix`. Do not edit. -->", date.format(datetime.now(UTC).date())
        found = [passed for results in self.results.values() for passed in results.values()]
        counts = {"good": sum(found), "all": len(found), "rows": len(self.results), "releases": len(SUITES)}
        return "\n\n".join([head_line, RESULT[language].format(**counts), *tables[::-1], last_line]) + "\n"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

"""The fault matrix: words for its rows, and the table of the page Reliability in both languages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from diffueraser_docs.facts import LOADER
from diffueraser_docs.markdown import markdown_table
from diffueraser_docs.schema.base import LANGUAGES, Model, Text
from diffueraser_docs.site import GENERATED

WORDS = Path(__file__).with_name("faults.yaml")
WRITTEN_BY = "<!-- Written by `make reliability`. Do not edit. -->"
RUN = {"en": "Run of {date} on {cores} cores.", "zh": "{date} 在 {cores} 核机器上运行。"}
RESULT = {
    "en": "**{cases} cases of {rows} faults**: in {survived} the run finished by itself, in {fixed} it ended with a clear error "
    "and finished once that was fixed, in {refused} a clear error came before anything was started.",
    "zh": "**{rows} 种故障、{cases} 个用例**：{survived} 个自动恢复并完成，{fixed} 个给出明确报错、修正后完成，"
    "{refused} 个在开始任何工作之前就给出明确报错。",
}


class Faults(Model):
    """Names of the faults that the tests cause, of the steps in which they do, of the ways it ends, and of the columns."""

    headings: list[Text]
    faults: dict[str, Text]
    steps: dict[str, Text]
    outcomes: dict[str, Text]

    def texts(self, row: dict[str, Any]) -> list[Text]:
        """The words of a row; KeyError names what has none."""
        return [self.steps[row["step"]], self.faults[row["fault"]], self.outcomes[row["outcome"]]]


def faults() -> Faults:
    """The words of ``faults.yaml``."""
    return Faults.model_validate(yaml.load(WORDS.read_text(encoding="utf-8"), Loader=LOADER))  # a safe loader


def page(words: Faults, rows: Sequence[dict[str, Any]], date: str, cores: int | None, language: str) -> str:
    """The result in a sentence, the table by step, and the run that it comes from, in one language."""
    cells = []
    steps_in_order = list(words.steps)
    for row in sorted(rows, key=lambda row: steps_in_order.index(row["step"])):
        again = "–" if row.get("repeated_bytes") is None else f"{row['repeated_bytes'] / 1e6:.1f}".removesuffix(".0") + " MB"
        steps = "–" if row.get("repeated_steps") is None else str(row["repeated_steps"])
        names = [getattr(text, language) for text in words.texts(row)]
        cells.append([*names, str(row["cases"]), f"{row['seconds']} s", again, steps])
    table = markdown_table([getattr(heading, language) for heading in words.headings], cells)
    return f"{WRITTEN_BY}\n\n{result(rows, language)}\n\n{table}\n\n{RUN[language].format(date=date, cores=cores or '–')}\n"


def result(rows: Sequence[dict[str, Any]], language: str) -> str:
    """How many cases ended how."""

    def cases(*outcomes: str) -> int:
        return sum(int(row["cases"]) for row in rows if not outcomes or row["outcome"] in outcomes)

    counts = {"survived": cases("survived", "comes back"), "fixed": cases("clear error"), "refused": cases("refused")}
    return RESULT[language].format(cases=cases(), rows=len(rows), **counts)


def write(rows: Sequence[dict[str, Any]], date: str, cores: int | None, folder: Path = GENERATED) -> None:
    """Write the page in both languages."""
    words = faults()
    for name, text in {f"reliability.{each}.md": page(words, rows, date, cores, each) for each in LANGUAGES}.items():
        part = folder / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(folder / name)

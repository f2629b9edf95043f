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


class Faults(Model):
    """Names of the faults that the tests cause, of the steps in which they do, of the ways it ends, and of the columns."""

    headings: list[Text]
    faults: dict[str, Text]
    steps: dict[str, Text]
    outcomes: dict[str, Text]

    def texts(self, row: dict[str, Any]) -> list[Text]:
        """The words of a row; KeyError names what has none."""
        return [self.faults[row["fault"]], self.steps[row["step"]], self.outcomes[row["outcome"]]]


def faults() -> Faults:
    """The words of ``faults.yaml``."""
    return Faults.model_validate(yaml.load(WORDS.read_text(encoding="utf-8"), Loader=LOADER))  # a safe loader


def page(words: Faults, rows: Sequence[dict[str, Any]], date: str, cores: int | None, language: str) -> str:
    """The table and the run that it comes from, in one language."""
    cells = []
    for row in rows:
        again = "–" if row.get("repeated_bytes") is None else f"{row['repeated_bytes'] / 1e6:.1f} MB"
        steps = "–" if row.get("repeated_steps") is None else str(row["repeated_steps"])
        names = [getattr(text, language) for text in words.texts(row)]
        cells.append([*names, str(row["cases"]), f"{row['seconds']} s", again, steps])
    table = markdown_table([getattr(heading, language) for heading in words.headings], cells)
    return f"{WRITTEN_BY}\n\n{table}\n\n{RUN[language].format(date=date, cores=cores or '–')}\n"


def write(rows: Sequence[dict[str, Any]], date: str, cores: int | None, folder: Path = GENERATED) -> None:
    """Write the page in both languages."""
    words = faults()
    for name, text in {f"reliability.{each}.md": page(words, rows, date, cores, each) for each in LANGUAGES}.items():
        part = folder / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(folder / name)

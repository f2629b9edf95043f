"""The results file, and the table that the terminal shows."""

from datetime import UTC, datetime
from pathlib import Path

import yaml

from diffueraser_docs.facts import FACTS, Benchmarks, Machine, Measurement, Measurements
from diffueraser_docs.macros import figure, figures, goal_text
from tests.bench import data

FILE = FACTS / "measurements.yaml"
SOURCE = "make bench, which writes this file"
MARKS = {True: "yes", False: "NO", None: ""}


def results(machine: Machine, measured: dict[str, Measurement], seconds: float) -> Measurements:
    """What is written down of a run of so many seconds."""
    return Measurements(
        source=SOURCE,
        date=datetime.now(UTC).date(),
        seconds=round(seconds),
        machine=machine,
        data_gb=round(data.large_bytes() / 1e9, 1),
        small_files=data.SMALL_FILES,
        pairs_files=data.pairs_files(),
        measured=measured,
    )


def write(found: Measurements, path: Path = FILE) -> None:
    """Write the results file, whole or not at all."""
    part = path.with_suffix(".part")
    text = yaml.safe_dump(found.model_dump(), sort_keys=False, allow_unicode=True, width=1000)
    part.write_text(f"# Written by `make bench`; never edited by hand.\n{text}", encoding="utf-8")
    part.replace(path)


def missed(goals: Benchmarks, found: Measurements) -> list[str]:
    """Names of the goals that were measured and not met."""
    return [
        goal.name for goal in goals.goals if goal.name in found.measured and goal.met(found.measured[goal.name].value) is False
    ]


def table(goals: Benchmarks, found: Measurements) -> str:
    """Goal, value, whether it is met, and the single figures, in columns for the terminal."""
    rows = [("measured", "goal", "value", "met", "figures")]
    for goal in goals.goals:
        if value := found.measured.get(goal.name):
            met = MARKS[goal.met(value.value)]
            rows.append((goal.name, goal_text(goal), figure(value.value, goal.unit), met, figures(goal, value)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)

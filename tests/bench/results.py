"""The results file, the pages made of it, and the table that the terminal shows."""

from datetime import UTC, datetime
from pathlib import Path

import yaml

from diffueraser_docs.facts import LOADER
from diffueraser_docs.markdown import markdown_table
from diffueraser_docs.schema.base import LANGUAGES, Text
from diffueraser_docs.site import GENERATED
from tests.bench import data
from tests.bench.models import Goal, Goals, Machine, Measurement, Measurements

FILE = Path(__file__).with_name("results.yaml")
WRITTEN_BY = "Written by `make bench`. Do not edit."
MARKS = {"yes": "yes", "no": "NO", "noise": "noise", "none": ""}


def results(machine: Machine, measured: dict[str, Measurement], seconds: float) -> Measurements:
    """What is written down of a run of so many seconds."""
    return Measurements(
        date=datetime.now(UTC).date(),
        seconds=round(seconds),
        machine=machine,
        data_gb=round(data.large_bytes() / 1e9, 1),
        small_files=data.SMALL_FILES,
        pairs_files=data.pairs_files(),
        measured=measured,
    )


def read(path: Path = FILE) -> Measurements:
    """What the last run found."""
    return Measurements.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER))  # a safe loader


def write(goals: Goals, found: Measurements, file: Path = FILE, folder: Path = GENERATED) -> None:
    """Write the results file and the pages in both languages, each file as a whole or not at all."""
    text = yaml.safe_dump(found.model_dump(), sort_keys=False, allow_unicode=True, width=1000)
    texts = {file: f"# {WRITTEN_BY}\n{text}"}
    for language in LANGUAGES:
        texts[folder / f"benchmarks.{language}.md"] = results_page(goals, found, language)
        texts[folder / f"benchmark-machine.{language}.md"] = machine_page(goals, found, language)
    for path, content in texts.items():
        part = path.with_name(f"{path.name}.part")
        part.write_text(content, encoding="utf-8")
        part.replace(path)


def missed(goals: Goals, found: Measurements) -> list[str]:
    """Names of the goals that were measured and not met."""
    return [goal.name for goal in goals.goals if goal.name in found.measured and goal.met(found.measured[goal.name]) == "no"]


def figure(value: float, unit: str) -> str:
    """A value as it is compared and shown: two digits at most."""
    return f"{round(value, 2):g} {unit}"


def value_text(goal: Goal, measured: Measurement) -> str:
    """The value, and from where to where the single pairs say it lies."""
    text = figure(measured.value, goal.unit)
    if len(measured.pairs) > 1:
        text += f" ({round(min(measured.pairs), 2):g} … {round(max(measured.pairs), 2):g})"
    return text


def goal_text(goal: Goal) -> str:
    """A goal in signs that both languages read."""
    if goal.at_most is not None:
        return f"≤ {figure(goal.at_most, goal.unit)}"
    return "–" if goal.at_least is None else f"≥ {figure(goal.at_least, goal.unit)}"


def figures(goal: Goal, measured: Measurement, against: str = "against") -> str:
    """The figures of every round, ours against the reference."""
    ours, reference = (", ".join(f"{value:.4g}" for value in values) for values in (measured.ours, measured.reference))
    return f"{ours} {goal.figures}" + (f" {against} {reference} {goal.figures}" if reference else "")


def table(goals: Goals, found: Measurements) -> str:
    """Goal, value, whether it is met, and the single figures, in columns for the terminal."""
    rows = [("measured", "goal", "value", "met", "figures")]
    for goal in goals.goals:
        if value := found.measured.get(goal.name):
            rows.append((goal.name, goal_text(goal), value_text(goal, value), MARKS[goal.met(value)], figures(goal, value)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def results_page(goals: Goals, found: Measurements, language: str) -> str:
    """The result in a sentence, then a heading and a table for each group."""

    def say(text: Text) -> str:
        return str(getattr(text, language))

    words = {name: say(text) for name, text in goals.words.items()}
    marks = [goal.met(found.measured[goal.name]) for goal in goals.goals if goal.name in found.measured]
    counts = [marks.count(mark) for mark in ("yes", "noise", "no")]
    parts = [f"<!-- {WRITTEN_BY} -->", words["result"].format(sum(counts), *counts)]
    for group in goals.groups:
        rows = []
        for goal in goals.goals:
            value = found.measured.get(goal.name)
            if goal.group == group.name and value:
                cells = [goal_text(goal), value_text(goal, value), words[goal.met(value)], figures(goal, value, words["against"])]
                rows.append([say(goal.what), *cells])
            elif goal.group == group.name:
                rows.append([say(goal.what), goal_text(goal), words["unmeasured"], "–", "–"])
        table = markdown_table([say(heading) for heading in goals.headings], rows)
        parts += [f"## {say(group.title)} {{: #{group.name} }}", table]
    return "\n\n".join(parts) + "\n"


def machine_page(goals: Goals, found: Measurements, language: str) -> str:
    """The machine, and the data on which was measured."""
    machine = found.machine
    values = [
        machine.cpu,
        str(machine.cores),
        f"{machine.memory_gb:g} GB",
        machine.disk,
        "–" if machine.load is None else f"{machine.load:.2f}",
        str(found.date),
        f"{found.seconds} s",
        f"{found.data_gb:.1f} GB",
        f"{found.small_files:,}",
        f"{found.pairs_files:,}",
    ]
    heading, *names = [str(getattr(text, language)) for text in goals.machine]
    rows = [[name, value] for name, value in zip(names, values, strict=True)]
    rows += [[f"`{name}`", value] for name, value in machine.versions.items()]
    return f"<!-- {WRITTEN_BY} -->\n\n{markdown_table([heading, ''], rows)}\n"

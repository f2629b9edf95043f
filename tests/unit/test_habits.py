"""The plan names functions, tests and files that exist."""

import re

from diffueraser_docs.render import ROOT, SCRIPTS
from tests.syntax import parse


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

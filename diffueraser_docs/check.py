"""Checks that nothing false is committed: generated files, paths, embedded scripts, messages, pages and their languages."""

import re
from collections.abc import Iterable
from pathlib import Path

from .facts import FACTS, Facts, facts
from .markdown import code_blocks
from .page_checks import (
    Problem,
    check_languages,
    check_navigation,
    check_pages,
    check_paths,
    check_variables,
    line_of,
    pages,
)
from .render import READMES, ROOT, SCRIPTS, TEMPLATES, Rendered, render_all

MESSAGE = re.compile(
    r"^(?!\s*#).*?(?<![\w-])(?:(?:die|problem|value_problem|must) |die_with_cause \"\$\w+\" |blame \"[^ ]+\" )([a-z][a-z0-9-]*) "
    r"|^(?!\s*#).*?ERROR\[([a-z][a-z0-9-]*)\]",
    re.MULTILINE,
)
"""A call in a script that prints the message of an id."""


def ids_of(text: str) -> dict[str, int]:
    """The ids of the errors that a script prints by itself, each with the line of its first call."""
    found: dict[str, int] = {}
    for match in MESSAGE.finditer(text):
        found.setdefault(match[1] or match[2], text[: match.end()].count("\n") + 1)
    return found


def check_drift(root: Path, rendered: Iterable[Rendered]) -> list[Problem]:
    """Generated files that differ from what would be rendered."""
    problems = []
    for entry in rendered:
        path = root / entry.path
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if text != entry.text:
            pairs = zip(text.splitlines(), entry.text.splitlines(), strict=False)
            shorter = min(len(text.splitlines()), len(entry.text.splitlines())) + 1
            line = next((number for number, (a, b) in enumerate(pairs, 1) if a != b), shorter)
            problems.append(Problem(entry.path, line, "differs from what the facts render: run make docs"))
    return problems


def check_embedded(root: Path) -> list[Problem]:
    """Embedded scripts are the files in scripts/, and every command calls a script that exists."""
    problems = []
    scripts = {
        name: (root / "scripts" / name).read_text(encoding="utf-8") for name in SCRIPTS if (root / "scripts" / name).exists()
    }
    for readme in READMES.values():
        if not (root / readme).exists():
            continue
        blocks = code_blocks(root / readme, readme)
        for name, text in scripts.items():
            if not any(block.text == text for block in blocks):
                line = next((b.line for b in blocks if _head(b.text) == _head(text)), 1)
                problems.append(Problem(readme, line, f"{name} is not embedded byte for byte as in scripts/{name}"))
    for page in pages(root):
        if page.exists():
            name = str(page.relative_to(root))
            problems += _commands(name, page.read_text(encoding="utf-8"), [*scripts.values()])
    return problems


def _head(text: str) -> list[str]:
    """The lines by which an embedded script is recognised although it differs."""
    return text.splitlines()[:2]


def _commands(page: str, text: str, scripts: list[str]) -> list[Problem]:
    """Every script that a page tells to submit or run, in a code block or in running text, is one of ours."""
    for script in scripts:  # what an embedded script calls is looked at in the script
        text = text.replace(script, re.sub(r"[^\n]", " ", script))
    return [
        Problem(page, number, f"calls {name}, which is no script of scripts/")
        for number, line in enumerate(text.splitlines(), 1)
        for name in re.findall(r"\b(?:sbatch|bash)\s+(?:-\S+\s+)*([\w./$-]+\.(?:sbatch|sh))\b", line)
        if Path(name).name not in SCRIPTS
    ]


def check_messages(root: Path, data: Facts) -> list[Problem]:
    """Every message id of a script has its entry in messages.yaml, and every entry its script."""
    entries = {message.id for message in data.messages.messages if message.id}
    scripts = {name: root / "scripts" / name for name in SCRIPTS if (root / "scripts" / name).exists()}
    texts = {f"scripts/{name}": path.read_text(encoding="utf-8") for name, path in scripts.items()}
    problems = [
        Problem(path, line, f"{id_} has no entry: add one to facts/messages.yaml")
        for path, text in texts.items()
        for id_, line in ids_of(text).items()
        if id_ not in entries
    ]
    rows = [*(row.id for row in data.causes.causes), *(row.id for row in data.causes.refusals)]
    problems += [
        Problem("diffueraser_docs/facts/causes.yaml", 1, f"{id_} has no entry: add one to facts/messages.yaml")
        for id_ in rows
        if id_ not in entries
    ]
    everything = "\n".join(texts.values())
    source = (FACTS / "messages.yaml").read_text(encoding="utf-8")
    return problems + [
        Problem(
            "diffueraser_docs/facts/messages.yaml",
            line_of(source, f"id: {message.id}"),
            f"{message.id} is printed by no script: remove the entry, or say `by: slurm`, `trainer` or `tools`",
        )
        for message in data.messages.messages
        if message.id and message.by == "script" and not re.search(rf"(?<![\w-]){message.id}(?![\w-])", everything)
    ]


def check_all(root: Path = ROOT, data: Facts | None = None, templates: Path = TEMPLATES) -> list[Problem]:
    """Run every check.

    Args:
        root: the project's root.
        data: the facts to compare with; those of the package when left out.
        templates: the folder of templates that scripts and READMEs are rendered from.

    Returns:
        All problems, sorted by file and line; empty when all is well.
    """
    data = data or facts()
    problems = [
        *check_drift(root, render_all(data, templates)),
        *check_paths(root),
        *check_embedded(root),
        *check_variables(root, data),
        *check_pages(root),
        *check_navigation(root),
        *check_languages(templates),
        *check_messages(root, data),
    ]
    return sorted(set(problems), key=lambda problem: (problem.path, problem.line, problem.reason))

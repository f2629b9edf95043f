"""Checks that nothing false is committed: generated files, paths, embedded scripts, messages, pages and their languages."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from jinja2 import TemplateError

from .facts import FACTS, Facts, facts
from .markdown import code_blocks, first_difference
from .render import READMES, ROOT, SCRIPTS, TEMPLATES, Rendered, render_all
from .schema.base import LANGUAGES

HOME_PATH = re.compile(r"(?<![\w$])~/|/home/hj/")
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


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and why."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        """File, line and reason, as editors read it."""
        return f"{self.path}:{self.line}: {self.reason}"


def check_drift(root: Path, rendered: Iterable[Rendered]) -> list[Problem]:
    """Generated files that differ from what would be rendered."""
    problems = []
    for entry in rendered:
        path = root / entry.path
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        pairs = zip_longest(text.splitlines(keepends=True), entry.text.splitlines(keepends=True))
        if line := next((number for number, (here, there) in enumerate(pairs, 1) if here != there), None):
            problems.append(Problem(entry.path, line, "differs from what the facts render: run make docs"))
    return problems


def pages(root: Path) -> list[Path]:
    """READMEs, the site's pages, the plan."""
    folders = (root / "docs", root / "PRD")
    return [root / name for name in READMES.values()] + [page for folder in folders for page in sorted(folder.rglob("*.md"))]


def _lines(root: Path, paths: Iterable[Path]) -> Iterator[tuple[str, int, str]]:
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else [], 1):
            yield str(path.relative_to(root)), number, line


def check_paths(root: Path) -> list[Problem]:
    """No `~/` and no developer's home folder anywhere that a collaborator reads."""
    return [
        Problem(name, number, f"{match[0]} is hard-coded: write $PROJECT_HOME")
        for name, number, line in _lines(root, [root / "scripts" / name for name in SCRIPTS] + pages(root))
        if (match := HOME_PATH.search(line))
    ]


def check_embedded(root: Path) -> list[Problem]:
    """Embedded scripts are the files in scripts/, and every command calls a script that exists."""
    problems = []
    scripts = _scripts(root)
    for readme in filter(lambda name: (root / name).exists(), READMES.values()):
        blocks = code_blocks(root / readme, readme)
        for name, text in scripts.items():
            if not any(block.text == text for block in blocks):
                head = text.splitlines()[:2]  # by these a script is recognised although it differs
                line = next((block.line for block in blocks if block.text.splitlines()[:2] == head), 1)
                problems.append(Problem(readme, line, f"{name} is not embedded byte for byte as in scripts/{name}"))
    for page in filter(Path.exists, pages(root)):
        problems += _commands(str(page.relative_to(root)), page.read_text(encoding="utf-8"), [*scripts.values()])
    return problems


def _scripts(root: Path) -> dict[str, str]:
    paths = {name: root / "scripts" / name for name in SCRIPTS}
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.exists()}


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


def check_variables(root: Path, data: Facts) -> list[Problem]:
    """Every variable that a page assigns or names in capitals with a stage exists."""
    known = set(data.variable_names())
    return [
        Problem(page, number, f"{name} is no variable of config.env")
        for page, number, line in _lines(root, pages(root))
        for name in re.findall(r"\b(STAGE[12]_[A-Z0-9_]*[A-Z0-9])\b", line)
        if name not in known
    ]


def check_pages(root: Path) -> list[Problem]:
    """Each page exists in both languages, its macros expand, and what they say holds no home folder either."""
    from .mkdocs_hook import expand  # noqa: PLC0415 - MkDocs is slow to import, and the hook imports this package

    docs = root / "docs"
    names = {language: {str(p.relative_to(docs / language)) for p in (docs / language).rglob("*.md")} for language in LANGUAGES}
    problems = []
    for language in LANGUAGES:
        for other in LANGUAGES:
            problems += [
                Problem(f"docs/{other}/{name}", 1, f"the page is missing: docs/{language}/{name} has no counterpart")
                for name in sorted(names[language] - names[other])
            ]
        for name in sorted(names[language]):
            path = f"docs/{language}/{name}"
            try:
                text = expand((root / path).read_text(encoding="utf-8"), language)
            except (TemplateError, LookupError, AttributeError, TypeError) as error:
                problems.append(Problem(path, getattr(error, "lineno", None) or 1, f"does not expand: {error}"))
                continue
            if match := HOME_PATH.search(text):
                problems.append(Problem(path, 1, f"{match[0]} is hard-coded in the page or its macros: write $PROJECT_HOME"))
    return problems


def check_navigation(root: Path) -> list[Problem]:
    """Every page has its place in the navigation, and every title its Chinese."""
    from mkdocs.utils.yaml import yaml_load  # noqa: PLC0415 - MkDocs is slow to import

    text = (root / "mkdocs.yml").read_text(encoding="utf-8")
    settings = yaml_load(text)
    titles = dict(re.findall(r"^ *- (.+?): *(\S*)$", text.split("\nnav:\n")[-1], re.MULTILINE))  # a group has no page
    i18n = next(plugin["i18n"] for plugin in settings["plugins"] if "i18n" in plugin)
    chinese = next(each for each in i18n["languages"] if each["locale"] == "zh")["nav_translations"]
    missing = sorted(path.name for path in (root / "docs" / "en").glob("*.md") if path.name not in titles.values())
    problems = [Problem(f"docs/en/{name}", 1, f"is not in mkdocs.yml: add '- Title: {name}' to nav") for name in missing]
    return problems + [
        Problem("mkdocs.yml", _line_of(text, f"- {title}:"), f"{title} has no Chinese title: add it to nav_translations")
        for title in titles
        if title not in chinese
    ]


def _line_of(text: str, words: str) -> int:
    return text[: text.find(words)].count("\n") + 1 if words in text else 1


def check_languages(templates: Path) -> list[Problem]:
    """The README templates have the same parts with the same number of sentences in both languages."""
    names = [f"README.{language}.md" for language in LANGUAGES]
    english, chinese = ((templates / name).read_text(encoding="utf-8") for name in names)
    found = first_difference(english, chinese)
    if found is None:
        return []
    (line, here), (other_line, there) = found
    reason = f"{there} here, {here} in {names[0]} line {line}: change both languages"
    return [Problem(f"diffueraser_docs/templates/{names[1]}", other_line, reason)]


def check_messages(root: Path, data: Facts) -> list[Problem]:
    """Every message id of a script has its entry in messages.yaml, and every entry its script."""
    entries = {message.id for message in data.messages.messages if message.id}
    texts = {f"scripts/{name}": text for name, text in _scripts(root).items()}
    used = [(path, line, id_) for path, text in texts.items() for id_, line in ids_of(text).items()]
    rows = [*(row.id for row in data.causes.causes), *(row.id for row in data.causes.refusals)]
    used += [("diffueraser_docs/facts/causes.yaml", 1, id_) for id_ in rows]
    problems = [
        Problem(path, line, f"{id_} has no entry: add one to facts/messages.yaml")
        for path, line, id_ in used
        if id_ not in entries
    ]
    everything = "\n".join(texts.values())
    source = (FACTS / "messages.yaml").read_text(encoding="utf-8")
    return problems + [
        Problem(
            "diffueraser_docs/facts/messages.yaml",
            _line_of(source, f"id: {message.id}"),
            f"{message.id} is printed by no script: remove the entry, or say `by: slurm`, `trainer` or `tools`",
        )
        for message in data.messages.messages
        if message.id and message.by == "script" and not re.search(rf"(?<![\w-]){message.id}(?![\w-])", everything)
    ]


def check_all(root: Path = ROOT, data: Facts | None = None, templates: Path = TEMPLATES) -> list[Problem]:
    """All problems, sorted by file and line; empty when all is well."""
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

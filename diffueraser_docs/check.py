"""Checks that nothing false is committed: generated files, paths, embedded scripts, messages, pages and their languages."""

import re
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from jinja2 import TemplateError

from .facts import FACTS, Facts, facts
from .macros import TEMPLATES
from .markdown import code_blocks, outline
from .render import READMES, ROOT, SCRIPTS, Rendered, render_all, text_of
from .schema.base import LANGUAGES

HOME_PATH = re.compile(r"(?<![\w$])~/|/home/hj/")
STAGE_VARIABLE = re.compile(r"\bSTAGE[12]_[A-Z0-9_]*[A-Z0-9]\b")
SCRIPT_CALL = re.compile(r"\b(?:sbatch|bash)\s+(?:-\S+\s+)*([\w./$-]+\.(?:sbatch|sh))\b")
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


@dataclass(frozen=True, order=True)
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
        pairs = zip_longest(text_of(root / entry.path).splitlines(keepends=True), entry.text.splitlines(keepends=True))
        if line := next((number for number, (here, there) in enumerate(pairs, 1) if here != there), None):
            problems.append(Problem(entry.path, line, "differs from what the facts render: run make docs"))
    return problems


def pages(root: Path) -> list[Path]:
    """READMEs, the site's pages, the plan."""
    folders = (root / "docs", root / "PRD")
    return [root / name for name in READMES.values()] + [page for folder in folders for page in sorted(folder.rglob("*.md"))]


def _found(root: Path, paths: Iterable[Path], pattern: re.Pattern[str]) -> Iterator[tuple[str, int, re.Match[str]]]:
    """Every place of a pattern: file, line and match."""
    for path in paths:
        for number, line in enumerate(text_of(path).splitlines(), 1):
            for match in pattern.finditer(line):
                yield str(path.relative_to(root)), number, match


def check_paths(root: Path) -> list[Problem]:
    """No `~/` and no developer's home folder anywhere that a collaborator reads."""
    paths = [root / "scripts" / name for name in SCRIPTS] + pages(root)
    found = _found(root, paths, HOME_PATH)
    return [Problem(name, line, f"{match[0]} is hard-coded: write $PROJECT_HOME") for name, line, match in found]


def check_embedded(root: Path) -> list[Problem]:
    """Embedded scripts are the files in scripts/, and every command calls a script that exists."""
    problems = [
        Problem(page, line, f"calls {match[1]}, which is no script of scripts/")
        for page, line, match in _found(root, pages(root), SCRIPT_CALL)
        if Path(match[1]).name not in SCRIPTS
    ]
    scripts = _scripts(root)
    for readme in READMES.values():
        blocks = code_blocks(text_of(root / readme), readme)
        for name, text in scripts.items():
            if not any(block.text == text for block in blocks):
                head = text.splitlines()[:2]  # by these a script is recognised although it differs
                line = next((block.line for block in blocks if block.text.splitlines()[:2] == head), 1)
                problems.append(Problem(readme, line, f"{name} is not embedded byte for byte as in scripts/{name}"))
    return problems


def _scripts(root: Path) -> dict[str, str]:
    return {name: text_of(root / "scripts" / name) for name in SCRIPTS}


def check_variables(root: Path, data: Facts) -> list[Problem]:
    """Every variable that a page assigns or names in capitals with a stage exists."""
    known = set(data.variable_names())
    return [
        Problem(page, line, f"{match[0]} is no variable of config.env")
        for page, line, match in _found(root, pages(root), STAGE_VARIABLE)
        if match[0] not in known
    ]


def check_pages(root: Path) -> list[Problem]:
    """Each page exists in both languages, its macros expand, and what they say holds no home folder either."""
    from .mkdocs_hook import expand  # noqa: PLC0415 - MkDocs is slow to import, and the hook imports this package

    problems = []
    for language, other in zip(LANGUAGES, reversed(LANGUAGES), strict=True):
        folder = root / "docs" / language
        for page in sorted(folder.rglob("*.md")):
            name, path = page.relative_to(folder), str(page.relative_to(root))
            if not (root / "docs" / other / name).exists():
                problems.append(Problem(f"docs/{other}/{name}", 1, f"the page is missing: {path} has no counterpart"))
            try:
                text = expand(text_of(page), language)
            except (TemplateError, LookupError, AttributeError, TypeError) as error:
                lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
                line = getattr(error, "lineno", None) or next(iter(lines), None) or 1
                problems.append(Problem(path, line, f"does not expand: {error}"))
                continue
            if match := HOME_PATH.search(text):
                problems.append(Problem(path, 1, f"{match[0]} is hard-coded in the page or its macros: write $PROJECT_HOME"))
    return problems


def check_navigation(root: Path) -> list[Problem]:
    """Every page has its place in the navigation, and every title its Chinese."""
    from mkdocs.utils.yaml import yaml_load  # noqa: PLC0415 - MkDocs is slow to import

    text = (root / "mkdocs.yml").read_text(encoding="utf-8")
    titles = dict(re.findall(r"^ *- (.+?): *(\S*)$", text.split("\nnav:\n")[-1], re.MULTILINE))  # a group has no page
    i18n = next(plugin["i18n"] for plugin in yaml_load(text)["plugins"] if "i18n" in plugin)
    chinese = next(each for each in i18n["languages"] if each["locale"] == "zh")["nav_translations"]
    missing = sorted(path.name for path in (root / "docs" / "en").glob("*.md") if path.name not in titles.values())
    problems = [Problem(f"docs/en/{name}", 1, f"is not in mkdocs.yml: add '- Title: {name}' to nav") for name in missing]
    return problems + [
        Problem("mkdocs.yml", _line_of(text, f"- {title}:"), f"{title} has no Chinese title: add it to nav_translations")
        for title in titles
        if title not in chinese
    ]


def _line_of(text: str, words: str) -> int:
    return text[: max(text.find(words), 0)].count("\n") + 1


def check_used(templates: Path, data: Facts) -> list[Problem]:
    """Every variable of configuration.yaml is read by a script, those of the stages as STAGE$1_NAME."""
    text = "\n".join(text_of(templates / name) for name in SCRIPTS if name != "config.env")
    path, source = "diffueraser_docs/facts/configuration.yaml", text_of(FACTS / "configuration.yaml")
    return [
        Problem(path, _line_of(source, f"- name: {name}\n"), f"{name} is read by no script: use it, or remove the entry")
        for name in (variable.name for variable in data.configuration.variables)
        if not re.search(rf"{re.sub('^STAGE[12]', '', name)}\b", text)
    ]


def check_languages(templates: Path) -> list[Problem]:
    """The README templates have the same parts with the same number of sentences in both languages."""
    english, chinese = (outline(text_of(templates / f"README.{language}.md")) for language in LANGUAGES)
    for (line, here), (other_line, there) in zip_longest(english, chinese, fillvalue=(1, "nothing more")):
        if here != there:
            reason = f"{there} here, {here} in README.en.md line {line}: change both languages"
            return [Problem("diffueraser_docs/templates/README.zh.md", other_line, reason)]
    return []


def check_messages(root: Path, data: Facts) -> list[Problem]:
    """Every message id of a script has its entry in messages.yaml, and every entry its script."""
    entries = {message.id for message in data.messages.messages}
    scripts = _scripts(root)
    used = [(f"scripts/{name}", line, id_) for name, text in scripts.items() for id_, line in ids_of(text).items()]
    rows = [*(row.id for row in data.causes.causes), *(row.id for row in data.causes.refusals)]
    used += [("diffueraser_docs/facts/causes.yaml", 1, id_) for id_ in rows]
    problems = [
        Problem(path, line, f"{id_} has no entry: add one to facts/messages.yaml")
        for path, line, id_ in used
        if id_ not in entries
    ]
    everything, source = "\n".join(scripts.values()), text_of(FACTS / "messages.yaml")
    return problems + [
        Problem(
            "diffueraser_docs/facts/messages.yaml",
            _line_of(source, f"id: {message.id}"),
            f"{message.id} is printed by no script: remove the entry, or say `by: slurm`, `trainer` or `tools`",
        )
        for message in data.messages.messages
        if message.by == "script" and not re.search(rf"(?<![\w-]){message.id}(?![\w-])", everything)
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
        *check_used(templates, data),
        *check_languages(templates),
        *check_messages(root, data),
    ]
    return sorted(set(problems))

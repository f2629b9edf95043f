"""Checks of pages and READMEs: paths, variables, both languages, the navigation."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from .facts import Facts
from .markdown import first_difference
from .render import READMES, SCRIPTS
from .schema.base import LANGUAGES

HOME_PATH = re.compile(r"(?<![\w$])~/|/home/hj/")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and why."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        """File, line and reason, as editors read it."""
        return f"{self.path}:{self.line}: {self.reason}"


def pages(root: Path) -> list[Path]:
    """READMEs, the site's pages, the plan."""
    folders = (root / "docs", root / "PRD")
    return [root / name for name in READMES.values()] + [page for folder in folders for page in sorted(folder.rglob("*.md"))]


def check_paths(root: Path) -> list[Problem]:
    """No `~/` and no developer's home folder anywhere that a collaborator reads."""
    problems = []
    for path in [root / "scripts" / name for name in SCRIPTS] + pages(root):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else [], 1):
            if match := HOME_PATH.search(line):
                name = str(path.relative_to(root))
                problems.append(Problem(name, number, f"{match[0]} is hard-coded: write $PROJECT_HOME"))
    return problems


def check_variables(root: Path, data: Facts) -> list[Problem]:
    """Every variable that a page assigns or names in capitals with a stage exists."""
    known = set(data.variable_names())
    problems = []
    for page in pages(root):
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines() if page.exists() else [], 1):
            for name in re.findall(r"\b(STAGE[12]_[A-Z0-9_]*[A-Z0-9])\b", line):
                if name not in known:
                    problems.append(Problem(str(page.relative_to(root)), number, f"{name} is no variable of config.env"))
    return problems


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
    titles = _titles(settings["nav"])
    i18n = next(plugin["i18n"] for plugin in settings["plugins"] if "i18n" in plugin)
    chinese = next(each for each in i18n["languages"] if each["locale"] == "zh")["nav_translations"]
    missing = sorted(path.name for path in (root / "docs" / "en").glob("*.md") if path.name not in titles.values())
    problems = [Problem(f"docs/en/{name}", 1, f"is not in mkdocs.yml: add '- Title: {name}' to nav") for name in missing]
    return problems + [
        Problem("mkdocs.yml", line_of(text, f"- {title}:"), f"{title} has no Chinese title: add it to nav_translations")
        for title in titles
        if title not in chinese
    ]


def _titles(nav: list[dict[str, Any]]) -> dict[str, str]:
    """Titles of the navigation and their pages; a group has none."""
    found: dict[str, str] = {}
    for entry in nav:
        for title, page in entry.items():
            found |= {title: page} if isinstance(page, str) else {title: "", **_titles(page)}
    return found


def line_of(text: str, words: str) -> int:
    """The line in which words stand first; 1 when they do not."""
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

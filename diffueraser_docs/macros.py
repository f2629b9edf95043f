"""Macros of READMEs and site pages. Tables are in ``templates/parts.md``; here is what they call, in one language."""

import re
from collections.abc import Callable
from functools import cache, partial
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from .estimates import training_hours
from .facts import Facts
from .markdown import markdown_table, table_cell
from .schema.base import Text
from .schema.hub import Content, size_text
from .schema.project import FlowStep

TEMPLATES = Path(__file__).parent / "templates"
ARCHIVE = "scripts.tar.gz"
"""All scripts in one file, offered by the site."""
LINK = re.compile(r"\[([^]]*)\]\(([\w-]*)(?:\.md)?(#[\w-]+)?\)")


@cache
def page_templates(folder: Path = TEMPLATES) -> Environment:
    """Jinja2 for Markdown and HTML."""
    return Environment(
        loader=FileSystemLoader(folder),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - facts are ours
    )


class Macros:
    """What templates may call or read: every public name of a subclass."""

    def __init__(self, data: Facts) -> None:
        """Keep the facts."""
        self.facts, self.hub, self.project, self.groups = data, data.hub, data.project, data.configuration.groups

    def names(self) -> dict[str, Any]:
        """The public names, with what they stand for."""
        return {name: getattr(self, name) for name in dir(self) if not name.startswith("_")}


class PageMacros(Macros):
    """The macros in one language."""

    def __init__(self, data: Facts, language: str, scripts: dict[str, str], site_url: str = "") -> None:
        """Keep facts, language, the rendered scripts, and where the site is published."""
        super().__init__(data)
        self._scripts = scripts
        self.script_names, self.archive, self.language = list(scripts), ARCHIVE, language
        self.site_url = site_url or data.project.site_url
        self.training_hours = partial(training_hours, data)

    def names(self) -> dict[str, Any]:
        """What a page may use: the macros and the facts."""
        names = super().names()
        helpers = {"say": self._cell, "word": self._word, "head": self._head, "content": self._content, "linked": self._linked}
        module = page_templates().get_template("parts.md").make_module(names | helpers)
        return names | {name: _stripped(macro) for name, macro in vars(module).items() if not name.startswith("_")}

    def _say(self, text: Text | None, /, **values: Any) -> str:
        """A text in this language, with the measured figures and values that it shows."""
        if text is None:
            return ""
        said = str(getattr(text, self.language))
        measured = self.facts.measured
        names = {"setting": measured.setting, "saving": measured.saving, "measured": measured, **values}
        try:
            return page_templates().from_string(said).render(names) if "{{" in said else said
        except (TemplateError, LookupError) as error:
            raise TemplateError(f"{error} in the text {said[:60]!r} of the facts") from None

    def _cell(self, text: Text | None, /, **values: Any) -> str:
        return table_cell(self._say(text, **values))

    def _word(self, name: str) -> str:
        if name not in self.facts.words.words:
            raise TemplateError(f"words.yaml: words: {name} is missing")
        return self._say(self.facts.words.words[name])

    def _head(self, name: str) -> str:
        """The first two lines of a table: its headings, and what is below them."""
        if name not in self.facts.words.headings:
            raise TemplateError(f"words.yaml: headings: {name} is missing")
        return markdown_table([self._say(heading) for heading in self.facts.words.headings[name]], [])

    def number(self, count: int) -> str:
        """A small number as a word."""
        return self._word(f"number_{count}")

    def script(self, name: str, *, numbered: bool = False) -> str:
        """A script, byte for byte, as a fenced code block."""
        options = ' linenums="1"' if numbered else ""
        return f"```bash{options}\n{self._scripts[name]}```"

    def folded_script(self, name: str) -> str:
        """A script, byte for byte, folded."""
        return f"<details>\n<summary><code>{escape(name)}</code></summary>\n\n{self.script(name)}\n\n</details>"

    def _content(self, content: Content) -> str:
        """A file or folder of a repository, with its sizes and its note."""
        count = f"{content.count} × " if content.count else ""
        size = size_text(content.size_bytes) if content.size_bytes else ""
        unpacked = self._word("unpacked").format(size_text(content.unpacked_bytes)) if size and content.unpacked_bytes else ""
        parts = [part for part in (size, unpacked, self._say(content.note)) if part]
        extra = self._word("brackets").format(self._word("list_comma").join(parts))
        return f"{count}`{content.path}`" + (extra if parts else "")

    def example(self, name: str) -> str:
        """What config.env shows for a variable."""
        variable = self.facts.configuration.variable(name)
        return variable.shown or variable.default

    def _linked(self, text: str) -> str:
        """A text of a page for a README: its links lead to the published site, or are left out."""
        return LINK.sub(lambda link: f"[{link[1]}]({self.page(link[2])}{link[3] or ''})" if self.site_url else link[1], text)

    def page(self, name: str) -> str:
        """Address of a page of the published site in this language."""
        return f"{self.site_url}{'zh/' if self.language == 'zh' else ''}{name}/"

    def flow_chart(self) -> str:
        """What happens, as a Mermaid diagram, which GitHub draws."""
        return "\n".join(["```mermaid", "flowchart LR", *self._flow_lines(self.project.flow), "```"])

    def _flow_lines(self, steps: list[FlowStep]) -> list[str]:
        lines: list[str] = []
        previous = None
        for step in steps:
            box = f'{step.id}["{self._say(step.title)}"]'
            lines += [f"  subgraph {box}", *self._flow_lines(step.parts), "  end"] if step.parts else [f"  {box}"]
            if source := step.after or previous:
                lines.append(f"  {source} --> {step.id}")
            previous = step.id
        return lines

    def directory_tree(self) -> str:
        """Everything below PROJECT_HOME, as a code block."""
        notes = {entry.path: self._say(entry.note) for entry in self.project.tree_entries()}
        for repository in self.hub.repositories:
            notes.setdefault(f"{self.project.downloads}/{repository.name}/", "")
        return "\n".join(["```text", "$PROJECT_HOME/", *_tree_lines(notes), "```"])


def _tree_lines(notes: dict[str, str], prefix: str = "") -> list[str]:
    """Paths with their notes as a tree; a trailing slash marks a folder."""
    below: dict[str, dict[str, str]] = {}
    for path, note in notes.items():
        name, slash, rest = path.partition("/")
        below.setdefault(name + slash, {})[rest] = note
    lines = []
    for name, inner in below.items():
        last = name == list(below)[-1]
        note = inner.pop("", "")
        line = f"{prefix}{'└── ' if last else '├── '}{name}"
        lines.append(f"{line:<50}# {note}" if note else line)
        lines += _tree_lines(inner, prefix + ("    " if last else "│   "))
    return lines


def _stripped(macro: Callable[..., Any]) -> Callable[..., str]:
    """A macro of a template as a function whose text has no blank lines around it."""
    return lambda *arguments, **values: str(macro(*arguments, **values)).strip()

"""Macros of READMEs and site pages: tables, tree and scripts, made from the facts in one language."""

import re
from html import escape
from typing import Any

from jinja2 import Environment, StrictUndefined

from .facts import Facts
from .markdown import markdown_table
from .schema.base import STAGES, VERSIONS, Stage, Text
from .schema.hub import Content, size_text
from .schema.messages import Message
from .schema.training import Parameter

PAGE_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
NEEDS = ("gpu", "time", "disk", "account")
FIGURES = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - Markdown
NAMES = (
    "script",
    "folded_script",
    "repositories_table",
    "configuration_table",
    "parameters_table",
    "messages_table",
    "requirements_table",
    "example",
    "download_gigabytes",
    "disk_gigabytes",
    "number",
    "patches_table",
    "flow_chart",
    "directory_tree",
)
"""The macros that READMEs and pages may call."""


class PageMacros:
    """The macros in one language."""

    def __init__(self, data: Facts, language: str, scripts: dict[str, str]) -> None:
        """Keep facts, language and the rendered scripts."""
        self._facts = data
        self._language = language
        self._scripts = scripts

    def _say(self, text: Text | None, /, **values: Any) -> str:
        """A text in this language, with the measured figures and values that it shows."""
        if text is None:
            return ""
        said = str(getattr(text, self._language))
        measured = self._facts.measured
        names = {"setting": measured.setting, "saving": measured.saving, "measured": measured, **values}
        return FIGURES.from_string(said).render(names) if "{{" in said else said

    def _word(self, name: str) -> str:
        return self._say(self._facts.words.words[name])

    def _table(self, name: str, rows: list[list[str]]) -> str:
        return markdown_table([self._say(heading) for heading in self._facts.words.headings[name]], rows)

    def names(self) -> dict[str, Any]:
        """What a page may use: the macros and the facts."""
        return {
            **{name: getattr(self, name) for name in NAMES},
            "hub": self._facts.hub,
            "project": self._facts.project,
            "groups": self._facts.configuration.groups,
            "training_groups": self._facts.training.groups,
            "script_names": list(self._scripts),
            "language": self._language,
        }

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
        unpacked = self._word("unpacked").format(size_text(content.unpacked_bytes))
        parts = [part for part in (size, unpacked if content.unpacked_bytes else "", self._say(content.note)) if part]
        extra = self._word("brackets").format(self._word("list_comma").join(parts))
        return f"{count}`{content.path}`" + (extra if parts else "")

    def repositories_table(self) -> str:
        """The repositories, what they hold, and when that was verified."""
        rows = []
        for number, repository in enumerate(self._facts.hub.repositories, 1):
            checked = repository.verified
            rows.append(
                [
                    str(number),
                    f"`{repository.name}`",
                    self._word("list_comma").join(self._content(content) for content in repository.contents),
                    repository.size,
                    self._say(repository.used_by),
                    f"✅ {checked.date}" if checked else self._word("expected"),
                ]
            )
        return self._table("repositories", rows)

    def configuration_table(self, group: str) -> str:
        """The variables of one group of config.env."""
        kinds = self._facts.configuration.kinds
        rows = [
            [
                f"`{v.name}`",
                f"`{v.default}`" if v.default else "–",
                self._say(v.meaning),
                self._say(kinds[v.kind].words),
            ]
            for v in self._facts.configuration.variables
            if v.group == group
        ]
        return self._table("configuration", rows)

    def _default(self, parameter: Parameter, stage: Stage) -> str:
        plain, prompt = (parameter.default(stage, version) for version in VERSIONS)
        if plain:
            return f"`{plain}`" if plain == prompt else f"`{plain}` (`{prompt}` {self._word('in_prompt')})"
        return (
            f"`{parameter.trainer_default}` ({self._word('trainer_default')})"
            if parameter.trainer_default
            else self._word("unset")
        )

    def parameters_table(self, group: str | None = None, *, common: bool = False) -> str:
        """The training parameters: of one group, or those that people change."""
        rows = []
        for parameter in self._facts.training.parameters:
            if (group and parameter.group != group) or (common and not parameter.common):
                continue
            defaults = [self._default(parameter, stage) for stage in STAGES]
            rows.append(
                [
                    f"`{parameter.variable}`",
                    *defaults,
                    self._say(parameter.meaning),
                    self._say(parameter.change),
                ]
            )
        return self._table("parameters", rows)

    def messages_table(self) -> str:
        """The errors that people meet most, for the README, each with a link to its entry where the site's address is known."""
        rows = [
            [self._headline(m), *(PAGE_LINK.sub(r"\1", self._say(text)) for text in (m.cause, m.fix))]
            for m in self._facts.messages.messages
            if m.common
        ]
        return self._table("messages", rows)

    def _headline(self, message: Message) -> str:
        """The id of a message, with a link to its entry, and its title."""
        site = getattr(self._facts.project, "site_url", "")
        folder = "zh/" if self._language == "zh" else ""
        name = f"[`{message.id}`]({site}{folder}troubleshooting/#{message.id})" if site else f"`{message.id}`"
        return f"{name} {self._say(message.title)}"

    def requirements_table(self) -> str:
        """What a run needs: GPUs, time, disk, accounts."""
        values = {
            "hours": self.training_hours(),
            "download": round(self._facts.hub.download_gigabytes() * 8 / 0.1 / 3600),
            "disk": self._facts.disk_gigabytes(),
            "less": self._facts.disk_gigabytes(dpo=False),
        }
        words = self._facts.words.words
        rows = [[self._word(f"need_{name}"), self._say(words[f"need_{name}_text"], **values)] for name in NEEDS]
        return self._table("requirements", rows)

    def training_hours(self) -> int:
        """Hours of both stages with the defaults at the speed that was measured, with saving, validation and conversion."""
        seconds = 0.0
        for stage in STAGES:
            names = ("max_train_steps", "checkpointing_steps", "validation_steps")
            steps, every, validations = (int(self._facts.training.parameter(name).default(stage, "non-prompt")) for name in names)
            saving = self._facts.measured.saving[stage]
            seconds += steps / 1000 * self._facts.training.seconds_per_1000_steps[stage] + saving.convert_seconds
            seconds += steps / every * saving.save_seconds + (1 + steps / validations) * saving.validation_seconds
        return round(seconds / 3600)

    def example(self, name: str) -> str:
        """What config.env shows for a variable."""
        return next(v.shown or v.default for v in self._facts.configuration.variables if v.name == name)

    def download_gigabytes(self) -> int:
        """GB to download."""
        return int(self._facts.hub.download_gigabytes())

    def disk_gigabytes(self) -> int:
        """GB on disk when all is done, with the defaults."""
        return self._facts.disk_gigabytes()

    def patches_table(self) -> str:
        """The patches of upstream's code."""
        rows = [[f"`{r.name}`", self._say(r.meaning), self._say(r.without)] for r in self._facts.patches.patches]
        return self._table("patches", rows)

    def flow_chart(self) -> str:
        """What happens, as a Mermaid diagram, which GitHub draws."""
        lines, previous = ["flowchart LR"], None
        for step in self._facts.project.flow:
            lines.append(f'  {step.id}["{self._say(step.title)}"]')
            if source := step.after or previous:
                lines.append(f"  {source} --> {step.id}")
            previous = step.id
        return "\n".join(["```mermaid", *lines, "```"])

    def directory_tree(self) -> str:
        """Everything below PROJECT_HOME, as a code block."""
        children: dict[str, Any] = {}
        notes: dict[str, str] = {}
        entries = self._facts.project.tree_entries()
        for entry in entries:
            node = children
            for part in entry.path.rstrip("/").split("/"):
                node = node.setdefault(part, {})
            notes[entry.path.rstrip("/")] = self._say(entry.note)
        folders = {entry.path.rstrip("/") for entry in entries if entry.path.endswith("/")}
        lines = ["$PROJECT_HOME/"]

        def draw(node: dict[str, Any], prefix: str, path: str) -> None:
            for index, (name, below) in enumerate(node.items()):
                last = index == len(node) - 1
                full = f"{path}{name}"
                slash = "/" if below or full in folders else ""
                line = f"{prefix}{'└── ' if last else '├── '}{name}{slash}"
                note = notes.get(full, "")
                lines.append(f"{line:<50}# {note}" if note else line)
                draw(below, prefix + ("    " if last else "│   "), f"{full}/")

        draw(children, "", "")
        return "```text\n" + "\n".join(lines) + "\n```"

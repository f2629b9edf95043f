"""Macros of READMEs and site pages: tables, tree and scripts, made from the facts in one language."""

from collections.abc import Callable
from html import escape
from typing import Any

from .facts import STAGES, Facts, Text

HEADINGS: dict[str, dict[str, list[str]]] = {
    "repositories": {
        "en": ["#", "Repository", "Contents", "Size", "Used by", "Verified"],
        "zh": ["#", "仓库", "内容", "大小", "用途", "验证"],
    },
    "configuration": {
        "en": ["Variable", "Default", "Meaning", "Must be"],
        "zh": ["变量", "默认值", "含义", "取值"],
    },
    "parameters": {
        "en": ["Parameter", "Stage 1", "Stage 2", "Meaning", "When to change it"],
        "zh": ["参数", "阶段 1", "阶段 2", "含义", "何时修改"],
    },
    "reliability": {
        "en": ["Fault", "Step", "Outcome", "Cases", "Longest case", "Downloaded twice", "Steps trained twice"],
        "zh": ["故障", "步骤", "结果", "用例数", "最长用时", "重复下载", "重复训练步数"],
    },
    "repairs": {
        "en": ["Repair", "What it mends", "Without it"],
        "zh": ["修补", "修正什么", "不修补时"],
    },
}
EXPECTED = {"en": "expected, not checked yet", "zh": "预期值，尚未核对"}
TRAINER = {"en": "trainer: ", "zh": "训练脚本："}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


class PageMacros:
    """The macros in one language."""

    def __init__(self, data: Facts, language: str, scripts: dict[str, str]) -> None:
        """Keep facts, language and the rendered scripts."""
        self._facts = data
        self._language = language
        self._scripts = scripts

    def _say(self, text: Text | None) -> str:
        return "" if text is None else str(getattr(text, self._language))

    def script(self, name: str) -> str:
        """A script, byte for byte, as a fenced code block."""
        return f"```bash\n{self._scripts[name]}```"

    def folded_script(self, name: str) -> str:
        """A script, byte for byte, folded."""
        return f"<details>\n<summary><code>{escape(name)}</code></summary>\n\n{self.script(name)}\n\n</details>"

    def repositories_table(self) -> str:
        """The four repositories."""
        rows = []
        for number, repository in enumerate(self._facts.hub.repositories, 1):
            parts = []
            for content in repository.contents:
                count = f"{content.count} × " if content.count else ""
                extra = ", ".join(part for part in (content.size or "", self._say(content.note)) if part)
                parts.append(f"{count}`{content.path}`" + (f" ({extra})" if extra else ""))
            checked = repository.verified
            state = f"✅ {checked.date}" if checked else EXPECTED[self._language]
            rows.append(
                [
                    str(number),
                    f"`{repository.name}`",
                    ", ".join(parts),
                    repository.size,
                    self._say(repository.used_by),
                    state,
                ]
            )
        return _table(HEADINGS["repositories"][self._language], rows)

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
        return _table(HEADINGS["configuration"][self._language], rows)

    def parameters_table(self, group: str | None = None, *, common: bool = False) -> str:
        """The training parameters: of one group, or those that people change."""
        rows = []
        for parameter in self._facts.training.parameters:
            if (group and parameter.group != group) or (common and not parameter.common):
                continue
            defaults = []
            for stage in STAGES:
                plain, prompt = (parameter.default(stage, version) for version in ("non-prompt", "prompt"))
                value = plain if plain == prompt else f"{plain} / {prompt} (prompt)"
                trainer = parameter.trainer_default
                defaults.append(f"`{value}`" if value else (TRAINER[self._language] + f"`{trainer}`" if trainer else "–"))
            rows.append(
                [
                    f"`{parameter.variable}`",
                    *defaults,
                    self._say(parameter.meaning),
                    self._say(parameter.change),
                ]
            )
        return _table(HEADINGS["parameters"][self._language], rows)

    def repairs_table(self) -> str:
        """The guarded repairs of upstream's code."""
        rows = [[f"`{r.name}`", self._say(r.meaning), self._say(r.without)] for r in self._facts.project.repairs]
        return _table(HEADINGS["repairs"][self._language], rows)

    def reliability_table(self) -> str:
        """The fault matrix."""
        names, rows = self._facts.faults, []
        for result in self._facts.reliability.results:
            again = "–" if result.repeated_bytes is None else f"{result.repeated_bytes / 1e6:.1f} MB"
            steps = "–" if result.repeated_steps is None else str(result.repeated_steps)
            words = (names.faults[result.fault], names.steps[result.step], names.outcomes[result.outcome])
            rows.append([*(self._say(text) for text in words), str(result.cases), f"{result.seconds} s", again, steps])
        return _table(HEADINGS["reliability"][self._language], rows)

    def directory_tree(self) -> str:
        """Everything below PROJECT_HOME, as a code block."""
        children: dict[str, Any] = {}
        notes: dict[str, str] = {}
        for entry in self._facts.project.tree:
            node = children
            for part in entry.path.rstrip("/").split("/"):
                node = node.setdefault(part, {})
            notes[entry.path.rstrip("/")] = self._say(entry.note)
        folders = {entry.path.rstrip("/") for entry in self._facts.project.tree if entry.path.endswith("/")}
        lines = ["$PROJECT_HOME/"]

        def draw(node: dict[str, Any], prefix: str, path: str) -> None:
            for index, (name, below) in enumerate(node.items()):
                last = index == len(node) - 1
                full = f"{path}{name}"
                slash = "/" if below or full in folders else ""
                line = f"{prefix}{'└── ' if last else '├── '}{name}{slash}"
                note = notes.get(full, "")
                lines.append(f"{line:<58}# {note}" if note else line)
                draw(below, prefix + ("    " if last else "│   "), f"{full}/")

        draw(children, "", "")
        return "```text\n" + "\n".join(lines) + "\n```"


def page_macros(data: Facts, language: str, scripts: dict[str, str]) -> dict[str, Any]:
    """Names that a page may use: the macros and the facts."""
    macros = PageMacros(data, language, scripts)
    functions: dict[str, Callable[..., str]] = {name: getattr(macros, name) for name in dir(macros) if not name.startswith("_")}
    return {
        **functions,
        "facts": data,
        "hub": data.hub,
        "project": data.project,
        "reliability": data.reliability,
        "groups": data.configuration.groups,
        "training_groups": data.training.groups,
        "language": language,
    }

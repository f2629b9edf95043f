"""Macros of READMEs and site pages: tables, tree and scripts, made from the facts in one language."""

import re
from html import escape
from typing import Any

from .estimates import estimate_disk
from .facts import STAGES, VERSIONS, Facts, Goal, Measurement, Parameter, Stage, Text

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
    "messages": {
        "en": ["You see", "Why", "Do"],
        "zh": ["看到的提示", "原因", "处理办法"],
    },
    "reliability": {
        "en": ["Fault", "Step", "Outcome", "Cases", "Longest case", "Downloaded twice", "Steps trained twice"],
        "zh": ["故障", "步骤", "结果", "用例数", "最长用时", "重复下载", "重复训练步数"],
    },
    "patches": {
        "en": ["Repair", "What it mends", "Without it"],
        "zh": ["修补", "修正什么", "不修补时"],
    },
    "benchmarks": {
        "en": ["Measured", "Goal", "Value", "Met", "Figures"],
        "zh": ["测量项", "目标", "结果", "达标", "原始数据"],
    },
    "machine": {"en": ["Machine", ""], "zh": ["测试机器", ""]},
}
MACHINE = {
    "en": ["processor", "cores", "memory", "disk", "load average before the run", "date", "duration of the run"],
    "zh": ["处理器", "核数", "内存", "磁盘", "测量前的平均负载", "日期", "测量总时长"],
}
MET = {"en": {True: "✅ yes", False: "❌ no", None: "–"}, "zh": {True: "✅ 是", False: "❌ 否", None: "–"}}
AGAINST = {"en": "against", "zh": "对比"}
UNMEASURED = {"en": "not measured yet", "zh": "尚未测量"}
EXPECTED = {"en": "expected, not checked yet", "zh": "预期值，尚未核对"}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def markdown_table(headings: list[str], rows: list[list[str]]) -> str:
    """A table as Markdown has it."""
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def join_chinese_lines(text: str) -> str:
    """Join lines that break between Chinese characters: Markdown would show a space there."""
    return re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[\u3000-\u9fff\uff00-\uffef])", "", text)


def figure(value: float, unit: str) -> str:
    """A value as it is compared and shown: two digits at most."""
    return f"{round(value, 2):g} {unit}"


def goal_text(goal: Goal) -> str:
    """A goal in signs that both languages read."""
    if goal.at_most is not None:
        return f"≤ {figure(goal.at_most, goal.unit)}"
    return "–" if goal.at_least is None else f"≥ {figure(goal.at_least, goal.unit)}"


def figures(goal: Goal, measured: Measurement, against: str = AGAINST["en"]) -> str:
    """The figures of every round, ours against the reference."""
    ours, reference = (", ".join(f"{value:.4g}" for value in values) for values in (measured.ours, measured.reference))
    return f"{ours} {goal.figures}" + (f" {against} {reference} {goal.figures}" if reference else "")


class PageMacros:
    """The macros in one language."""

    def __init__(self, data: Facts, language: str, scripts: dict[str, str]) -> None:
        """Keep facts, language and the rendered scripts."""
        self._facts = data
        self._language = language
        self._scripts = scripts

    def _say(self, text: Text | None) -> str:
        return "" if text is None else str(getattr(text, self._language))

    def _word(self, name: str) -> str:
        return self._say(self._facts.words.words[name])

    def names(self) -> dict[str, Any]:
        """What a page may use: the macros and the facts."""
        macros = {name: getattr(self, name) for name in dir(self) if not name.startswith("_") and name != "names"}
        return {
            **macros,
            "facts": self._facts,
            "hub": self._facts.hub,
            "project": self._facts.project,
            "reliability": self._facts.reliability,
            "groups": self._facts.configuration.groups,
            "training_groups": self._facts.training.groups,
            "benchmark_groups": self._facts.benchmarks.groups,
            "measurements": self._facts.measurements,
            "script_names": list(self._scripts),
            "language": self._language,
        }

    def script(self, name: str, *, numbered: bool = False) -> str:
        """A script, byte for byte, as a fenced code block."""
        options = ' linenums="1"' if numbered else ""
        return f"```bash{options}\n{self._scripts[name]}```"

    def folded_script(self, name: str) -> str:
        """A script, byte for byte, folded."""
        return f"<details>\n<summary><code>{escape(name)}</code></summary>\n\n{self.script(name)}\n\n</details>"

    def repositories_table(self) -> str:
        """The four repositories."""
        rows = []
        comma, brackets = ("、", "（{}）") if self._language == "zh" else (", ", " ({})")
        for number, repository in enumerate(self._facts.hub.repositories, 1):
            parts = []
            for content in repository.contents:
                count = f"{content.count} × " if content.count else ""
                extra = comma.join(part for part in (content.size or "", self._say(content.note)) if part)
                parts.append(f"{count}`{content.path}`" + (brackets.format(extra) if extra else ""))
            checked = repository.verified
            state = f"✅ {checked.date}" if checked else EXPECTED[self._language]
            rows.append(
                [
                    str(number),
                    f"`{repository.name}`",
                    comma.join(parts),
                    repository.size,
                    self._say(repository.used_by),
                    state,
                ]
            )
        return markdown_table(HEADINGS["repositories"][self._language], rows)

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
        return markdown_table(HEADINGS["configuration"][self._language], rows)

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
        return markdown_table(HEADINGS["parameters"][self._language], rows)

    def messages_table(self) -> str:
        """The error messages that people meet most, for the README."""
        rows = [
            [f"`{m.shown or m.text}`", *(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", self._say(text)) for text in (m.cause, m.cure))]
            for m in self._facts.messages.messages
            if m.common
        ]
        return markdown_table(HEADINGS["messages"][self._language], rows)

    def example(self, name: str) -> str:
        """What config.env shows for a variable."""
        return next(v.shown or v.default for v in self._facts.configuration.variables if v.name == name)

    def download_gigabytes(self) -> int:
        """GB that come down."""
        return int(sum(repository.size_bytes for repository in self._facts.hub.repositories) / 1e9)

    def disk_gigabytes(self) -> int:
        """GB on disk when all is done, with the defaults."""
        return round(estimate_disk(self._facts, {}))

    def patches_table(self) -> str:
        """The patches of upstream's code."""
        rows = [[f"`{r.name}`", self._say(r.meaning), self._say(r.without)] for r in self._facts.patches.patches]
        return markdown_table(HEADINGS["patches"][self._language], rows)

    def flow_chart(self) -> str:
        """What happens, as a Mermaid diagram, which GitHub draws."""
        lines, previous = ["flowchart LR"], None
        for step in self._facts.project.flow:
            lines.append(f'  {step.id}["{self._say(step.title)}"]')
            if source := step.after or previous:
                lines.append(f"  {source} --> {step.id}")
            previous = step.id
        return "\n".join(["```mermaid", *lines, "```"])

    def reliability_table(self) -> str:
        """The fault matrix."""
        names, rows = self._facts.faults, []
        for result in self._facts.reliability.results:
            again = "–" if result.repeated_bytes is None else f"{result.repeated_bytes / 1e6:.1f} MB"
            steps = "–" if result.repeated_steps is None else str(result.repeated_steps)
            words = (names.faults[result.fault], names.steps[result.step], names.outcomes[result.outcome])
            rows.append([*(self._say(text) for text in words), str(result.cases), f"{result.seconds} s", again, steps])
        return markdown_table(HEADINGS["reliability"][self._language], rows)

    def benchmarks_table(self, group: str) -> str:
        """What `make bench` found of a group of goals."""
        rows = []
        for goal in self._facts.benchmarks.goals:
            if goal.group != group:
                continue
            found = self._facts.measurements.measured.get(goal.name)
            if found is None:
                rows.append([self._say(goal.what), goal_text(goal), UNMEASURED[self._language], "–", "–"])
                continue
            met, text = MET[self._language][goal.met(found.value)], figures(goal, found, AGAINST[self._language])
            rows.append([self._say(goal.what), goal_text(goal), figure(found.value, goal.unit), met, text])
        return markdown_table(HEADINGS["benchmarks"][self._language], rows)

    def machine_table(self) -> str:
        """The machine on which `make bench` ran."""
        found = self._facts.measurements
        machine = found.machine
        values = [
            machine.cpu,
            str(machine.cores),
            f"{machine.memory_gb:g} GB",
            machine.disk,
            "–" if machine.load is None else f"{machine.load:.2f}",
            str(found.date),
            f"{found.seconds} s",
        ]
        rows = [[name, value] for name, value in zip(MACHINE[self._language], values, strict=True)]
        rows += [[f"`{name}`", value] for name, value in machine.versions.items()]
        return markdown_table(HEADINGS["machine"][self._language], rows)

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
                lines.append(f"{line:<50}# {note}" if note else line)
                draw(below, prefix + ("    " if last else "│   "), f"{full}/")

        draw(children, "", "")
        return "```text\n" + "\n".join(lines) + "\n```"


def page_macros(data: Facts, language: str, scripts: dict[str, str]) -> dict[str, Any]:
    """Names that a README may use: the macros and the facts."""
    return PageMacros(data, language, scripts).names()

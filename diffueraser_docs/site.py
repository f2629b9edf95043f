"""Macros that only the site has: diagram, figures, recipes, messages and the config.env builder."""

import json
import re
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .facts import FACTS, Facts
from .macros import NAMES, PageMacros
from .markdown import markdown_table
from .schema.base import STAGES, Text
from .schema.guide import Recipe
from .schema.measured import Setting
from .schema.project import FlowStep
from .schema.training import Parameter

TEMPLATES = FACTS.parent / "templates" / "site"
GENERATED = FACTS.parent.parent / "docs" / "generated"
"""Parts of pages that `make bench` and `make reliability` write."""
SITE_NAMES = (
    *NAMES,
    "flow_diagram",
    "settings_figure",
    "loading_table",
    "saving_table",
    "texts",
    "recipe",
    "parameter",
    "messages",
    "builder",
    "builder_facts",
    "generated",
)
"""The macros that pages of the site may call."""
CHOICES = re.compile(r"[A-Za-z0-9_-]+(?:\|[A-Za-z0-9_-]+)+")


def choices_of(pattern: str) -> list[str]:
    """The values of a pattern that is nothing but alternatives; empty for any other."""
    return pattern.split("|") if CHOICES.fullmatch(pattern) else []


def flow_rows(flow: list[FlowStep]) -> list[list[FlowStep]]:
    """Steps of the diagram in rows: what begins after the same step stands side by side, the main line first."""
    rows: list[list[FlowStep]] = []
    for step in flow:
        if rows and step.after and rows[-1][0].after == step.after:
            rows[-1].insert(0, step)
        else:
            rows.append([step])
    return rows


class SiteMacros(PageMacros):
    """The macros of READMEs and those of the site, in one language."""

    def __init__(self, data: Facts, language: str, scripts: dict[str, str]) -> None:
        """Keep facts and language, and prepare the templates."""
        super().__init__(data, language, scripts)
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701 - facts are ours
        )

    def _html(self, name: str, **values: Any) -> str:
        return self._templates.get_template(name).render(say=self._say, word=self._word, **values).strip()

    def names(self) -> dict[str, Any]:
        """What a page of the site may use: the macros and the facts."""
        data = self._facts
        names = {**super().names(), **{name: getattr(self, name) for name in SITE_NAMES}}
        return {**names, "measured": data.measured, "recipes": data.guide.recipes, "parameters": data.training.parameters}

    def generated(self, name: str) -> str:
        """A part of a page that a test run wrote, without the comment that says so."""
        path = GENERATED / f"{name}.{self._language}.md"
        return path.read_text(encoding="utf-8").split("\n", 1)[1].strip() if path.exists() else "–"

    def flow_diagram(self) -> str:
        """What happens, as boxes that wrap on a phone."""
        return self._html("flow.html", rows=flow_rows(self._facts.project.flow))

    def _label(self, setting: Setting) -> str:
        words = [
            f"{setting.nframes} {self._word('frames')}",
            f"{self._word('batch')} {setting.batch}",
            self._word("checkpointing_on" if setting.checkpointing else "checkpointing_off"),
        ]
        words += [setting.precision] if setting.precision != "fp16" else []
        words += [f"{setting.workers} {self._word('workers')}"] if setting.workers else []
        words += [self._word(name) for name in ("upstream", "cached") if getattr(setting, name)]
        return self._word("comma").join(words)

    def settings_figure(self, stage: str) -> str:
        """Memory and speed of the measured settings of a stage, as a table with bars."""
        settings = [setting for setting in self._facts.measured.settings if setting.stage == stage]
        return self._html("settings.html", stage=stage, settings=settings, label=self._label)

    def loading_table(self) -> str:
        """Samples per second that the workers load."""
        headings = [self._word(name) for name in ("videos", "frames", "worker1", "worker2")]
        rows = [[row.source, str(row.nframes), *(f"{rate:.2f}" for rate in row.workers)] for row in self._facts.measured.loading]
        return markdown_table(headings, rows)

    def saving_table(self) -> str:
        """Seconds and sizes of checkpoints, conversion and validation."""
        saving = [self._facts.measured.saving[stage] for stage in STAGES]
        rows = [
            ["checkpoint", *(f"{s.checkpoint_gb} GB" for s in saving)],
            ["saving", *(f"{s.save_seconds} s" for s in saving)],
            ["loading", *(f"{s.load_seconds} s" for s in saving)],
            ["converting", *(f"{s.convert_seconds} s" for s in saving)],
            ["converted", *(" + ".join(f"{gib} GiB" for gib in s.converted_gib) for s in saving)],
            ["validation", *(f"{s.validation_seconds} s" for s in saving)],
        ]
        headings = [self._word(name) for name in ("what", *STAGES)]
        return markdown_table(headings, [[self._word(name), *cells] for name, *cells in rows])

    def texts(self, texts: list[Text]) -> str:
        """A list of sentences."""
        return "\n".join(f"- {self._say(text)}" for text in texts)

    def recipe(self, recipe: Recipe) -> str:
        """One recipe: heading, what it means, and the part of config.env; a script of the page fills in the estimates."""

        def estimate(name: str) -> str:
            return f'<span data-recipe="{recipe.name}" data-figure="{name}">…</span>'

        memory = {stage: estimate(stage) for stage in STAGES}
        text = self._say(recipe.text, memory=memory, **{name: estimate(name) for name in ("hours", "minutes", "jobs")})
        lines = "\n".join(recipe.lines)
        return f'### {self._say(recipe.title)} {{: #{recipe.name} }}\n\n{text}\n\n```bash title="config.env"\n{lines}\n```'

    def parameter(self, parameter: Parameter) -> str:
        """One training parameter: meaning, defaults of both stages, cost, and when to change it."""
        defaults = self._word("semicolon").join(f"{self._word(stage)} {self._default(parameter, stage)}" for stage in STAGES)
        effects = self._facts.training.effects
        return "\n".join(
            [
                f"### {parameter.flag} {{: #{parameter.flag} }}",
                "",
                f"{self._sentence(parameter.meaning)}",
                "",
                f"- **{self._word('default')}** {defaults}",
                f"- **{self._word('gpu_memory')}** {self._say(effects[parameter.memory])}",
                f"- **{self._word('speed')}** {self._say(effects[parameter.speed])}",
                "",
                self._say(parameter.change),
            ]
        )

    def _sentence(self, text: Text) -> str:
        said = self._say(text)
        return said[0].upper() + said[1:] + ("" if said.endswith((".", "。")) else "。" if self._language == "zh" else ".")

    def messages(self) -> str:
        """Every error message with cause and fix, and a field that finds one by its text."""
        facts = self._facts.messages
        return self._html("messages.html", groups=facts.groups, messages=facts.messages)

    def builder(self) -> str:
        """The config.env builder: a form, and the facts that its script reads."""
        kinds = self._facts.configuration.kinds
        return self._html(
            "builder.html",
            groups=self._facts.configuration.groups,
            variables=self._facts.configuration.variables,
            parameters=self._facts.training.parameters,
            recipes=self._facts.guide.recipes,
            gpu_sizes=self._facts.measured.gpu_sizes,
            choices_of=lambda kind: choices_of(kinds[kind].pattern),
            data=self.builder_facts(),
        )

    def builder_facts(self) -> str:
        """The facts of which the page's script makes estimates."""
        data = json.dumps(self._builder_data(), ensure_ascii=False).replace("<", "\\u003c")
        return f'<script type="application/json" id="builder-facts">{data}</script>'

    def _builder_data(self) -> dict[str, Any]:
        data = self._facts
        fields: list[dict[str, Any]] = []
        for v in data.configuration.variables:
            fields.append({"name": v.name, "group": v.group, "kind": v.kind, "default": v.default, "training": ""})
        for p in data.training.parameters:
            for stage in STAGES:
                default = {version: p.default(stage, version) for version in ("non-prompt", "prompt")}
                name = f"{stage.upper()}_{p.variable}"
                fields.append(
                    {"name": name, "group": "training", "kind": p.kind, "default": default, "training": p.trainer_default}
                )
        measured = data.measured
        return {
            "fields": fields,
            "kinds": {name: {"pattern": k.pattern, "words": self._say(k.words)} for name, k in data.configuration.kinds.items()},
            "groups": {**{g.name: self._say(g.title) for g in data.configuration.groups}, "training": self._word("training")},
            "recipes": {r.name: {"values": r.values(), "gpu": r.gpu_gib} for r in data.guide.recipes},
            "disk": {
                "downloads": data.hub.download_gigabytes(),
                "dpo": data.hub.by_role("dpo").size_bytes / 1e9,
                "environment": data.project.environment_gb,
                "unpacked": data.hub.unpacked,
                "training": {stage: measured.saving[stage].disk_gigabytes(0) for stage in STAGES},
            },
            "measured": {
                "gpu_gib": measured.gpu_gib,
                "resolution": measured.resolution,
                "validation_peak": measured.validation_peak,
                "settings": [setting.model_dump() for setting in measured.settings],
                "saving": {stage: measured.saving[stage].model_dump() for stage in STAGES},
            },
            "state": {stage: {bits: measured.state_gib(stage, bits) for bits in ("no", "yes")} for stage in STAGES},
            "gradients": {stage: measured.gradients_gib(stage) for stage in STAGES},
            "memory": {stage: need.model_dump() for stage, need in data.training.memory.items()},
            "words": {name: self._say(text) for name, text in data.words.words.items() if "{{" not in text.en},
        }

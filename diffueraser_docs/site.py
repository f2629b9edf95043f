"""Macros that only the site has: diagram, figures, recipes, messages and the config.env builder."""

from typing import Any

from .builder import form, script_element
from .facts import FACTS
from .figures import lost_time_chart, stage_chart
from .macros import PageMacros, page_templates
from .schema.base import STAGES, Stage
from .schema.guide import Recipe
from .schema.measured import Setting
from .schema.project import FlowStep

GENERATED = FACTS.parent.parent / "docs" / "generated"
"""Parts of pages that `make bench` and `make reliability` write."""


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

    def names(self) -> dict[str, Any]:
        """What a page of the site may use: all that a README may, and more facts."""
        data = self.facts
        more = {"measured": data.measured, "recipes": data.guide.recipes, "training_groups": data.training.groups}
        return super().names() | more

    def _html(self, name: str, **values: Any) -> str:
        return page_templates().get_template(f"site/{name}").render(say=self._say, word=self._word, **values).strip()

    def generated(self, name: str) -> str:
        """A part of a page that a test run wrote, without the comment that says so."""
        path = GENERATED / f"{name}.{self.language}.md"
        return path.read_text(encoding="utf-8").split("\n", 1)[1].strip() if path.exists() else "–"

    def flow_diagram(self) -> str:
        """What happens, as boxes that wrap on a phone."""
        return self._html("flow.html", rows=flow_rows(self.project.flow))

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

    def figure(self, stage: Stage, *, table: bool = True) -> str:
        """Memory and speed of the measured settings of a stage: a chart, and the figures as a table."""
        settings = [setting for setting in self.facts.measured.settings if table and setting.stage == stage]
        panels = stage_chart(self.facts, stage)
        marks = [mark for panel in panels for mark in panel.marks]
        kinds = {mark.kind for mark in marks} | {"cached" for mark in marks if mark.hollow}
        return self._html("figure.html", stage=stage, panels=panels, kinds=kinds, settings=settings, label=self._label)

    def lost_time_figure(self) -> str:
        """Minutes that an interruption costs, by the interval of checkpoints."""
        panel, rows = lost_time_chart(self.facts)
        return self._html("lost_time.html", lost={"panel": panel, "rows": rows})

    def recipe(self, recipe: Recipe) -> str:
        """One recipe: heading, what it means, and the part of config.env; a script of the page fills in the estimates."""

        def estimate(name: str) -> str:
            return f'<span data-recipe="{recipe.name}" data-figure="{name}">…</span>'

        memory = {stage: estimate(stage) for stage in STAGES}
        text = self._say(recipe.text, memory=memory, **{name: estimate(name) for name in ("hours", "minutes", "jobs")})
        lines = "\n".join(recipe.lines)
        return f'### {self._say(recipe.title)} {{: #{recipe.name} }}\n\n{text}\n\n```bash title="config.env"\n{lines}\n```'

    def messages(self) -> str:
        """Every error message with cause and fix, and a field that finds one by its text."""
        facts = self.facts.messages
        return self._html("messages.html", groups=facts.groups, messages=facts.messages)

    def builder(self) -> str:
        """The config.env builder: a form, and the facts that its script reads."""
        return self._html("builder.html", **form(self.facts, self._say))

    def builder_facts(self) -> str:
        """The facts of which the page's script makes estimates."""
        return script_element(self.facts, self._say)

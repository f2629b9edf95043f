"""Charts of the measured figures: what is where, in the coordinates of an SVG; ``templates/site/*.html`` draw it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .facts import Facts
from .schema.base import STAGES, Stage
from .schema.measured import Setting

LEFT, RIGHT, TOP, BOTTOM = 34, 300, 26, 214
"""The plotted area; right of it stand the names of cards or lines."""
CARDS = (24, 40, 48, 80)
"""GB of common GPUs."""
MOST_GIB, MOST_STEPS, MOST_MINUTES = 92.0, 2.0, 30.0
INTERVALS = (500, 1000, 2000, 4000)
"""Steps between checkpoints that the chart of lost time shows."""


@dataclass(frozen=True)
class Mark:
    """A measured point."""

    kind: str
    """on, off (gradient checkpointing), batch, upstream, validation, oom; of the chart of lost time, the stage."""
    x: float
    y: float
    label: str
    side: str
    """Where the label is: above, below, left or right."""
    hollow: bool = False


@dataclass
class Panel:
    """One plot."""

    axis: str
    """The word that names the vertical axis; the horizontal one has the word below it."""
    below: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    cards: list[tuple[float, str]] = field(default_factory=list)
    lines: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """A function from values to coordinates."""
    return lambda value: round(start + (value - low) / (high - low) * (end - start), 1)


def kind_of(setting: Setting) -> str:
    """The sign of a setting."""
    if setting.memory is None:
        return "oom"
    if setting.upstream:
        return "upstream"
    return "batch" if setting.batch > 1 else "on" if setting.checkpointing else "off"


def stage_chart(data: Facts, stage: Stage) -> list[Panel]:
    """Memory and speed over the frames of a clip: a point for each setting, a line for gradient checkpointing on and for off."""
    measured = data.measured
    usual = data.training.number("nframes", stage)
    settings = [s for s in measured.settings if s.stage == stage and s.precision == "fp16"]
    frames = sorted({s.nframes for s in settings})
    x = scale(frames[0] - 2, frames[-1] + 2, LEFT, RIGHT)
    gib, steps = scale(0, MOST_GIB, BOTTOM, TOP), scale(0, MOST_STEPS, BOTTOM, TOP)
    ticks = [(x(number), str(number)) for number in frames]
    cards = [(gib(n), f"{n} GB") for n in CARDS]
    memory = Panel("memory", "nframes", ticks, [(gib(n), str(n)) for n in (0, 20, 40, 60, 80)], cards)
    speed = Panel("steps_per_second", "nframes", ticks, [(steps(n), f"{n:g}") for n in (0, 0.5, 1, 1.5, 2)])
    lost = 0
    for each in sorted(settings, key=lambda s: s.nframes):
        kind, place = kind_of(each), x(each.nframes)
        if each.memory is None:
            memory.marks.append(Mark(kind, place + 48 * lost, gib(86), f"{each.batch}", "above"))
            lost += 1
            continue
        assert each.steps_per_second is not None
        points = ((memory, gib(each.used), f"{each.used}"), (speed, steps(each.steps_per_second), f"{each.steps_per_second:.2f}"))
        for panel, y, label in points:
            if kind == "upstream" and panel is memory:
                continue  # memory is that of the patched code
            side = "right" if kind == "batch" else "below" if kind != "off" else "left" if panel is memory else "above"
            panel.marks.append(Mark(kind, place, y, label, side, each.cached))
            if kind in ("on", "off"):
                panel.lines.setdefault(kind, []).append((place, y))
    if (peak := measured.validation_peak.get(stage)) is not None:
        memory.marks.append(Mark("validation", x(usual), gib(peak), f"{peak}", "right"))
    return [memory, speed]


def lost_time_chart(data: Facts) -> tuple[Panel, list[tuple[int, list[tuple[float, float, float]]]]]:
    """Minutes that an interruption costs on average over the steps between checkpoints, a line for each stage.

    It costs a start, and a share of the steps between two checkpoints. With the chart comes its table: interval, then average,
    most and share of saving for each stage.
    """
    x, y = scale(0, INTERVALS[-1], LEFT, RIGHT), scale(0, MOST_MINUTES, BOTTOM, TOP)
    panel = Panel("lost_minutes", "interval", [(x(n), str(n)) for n in INTERVALS], [(y(n), str(n)) for n in (0, 10, 20, 30)])
    rows = []
    for interval in INTERVALS:
        cells = []
        for stage in STAGES:
            saving, training = data.measured.saving[stage], interval / 1000 * data.training.seconds_per_1000_steps[stage]
            average, most = ((saving.start_seconds + share * training) / 60 for share in (0.5, 1))
            cells.append((average, most, 100 * saving.save_seconds / training))
            panel.lines.setdefault(stage, []).append((x(interval), y(average)))
            panel.marks.append(Mark(stage, x(interval), y(average), f"{average:.0f}", "below" if stage == "stage1" else "left"))
        rows.append((interval, cells))
    return panel, rows

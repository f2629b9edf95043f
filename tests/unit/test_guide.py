"""The training-parameter guide: recipes that the scripts accept, estimates made of what was measured, no stray figure."""

import re
from pathlib import Path

import pytest
from diffueraser_docs.estimates import estimate, estimate_disk, measured_setting

from diffueraser_docs.facts import facts
from diffueraser_docs.markdown import join_chinese_lines
from diffueraser_docs.render import ROOT
from diffueraser_docs.schema.base import LANGUAGES, STAGES
from diffueraser_docs.schema.guide import Recipe
from diffueraser_docs.schema.measured import GIB
from diffueraser_docs.script_macros import ScriptMacros
from diffueraser_docs.site import choices_of, flow_rows, recipe_words, slurm_hours
from tests.unit.test_config_reader import TOKEN, read

RECIPES = facts().guide.recipes
each_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: r.name)


@each_recipe
@pytest.mark.parametrize("version", ["non-prompt", "prompt"])
def test_the_scripts_accept_each_recipe(tmp_path: Path, recipe: Recipe, version: str) -> None:
    text = "\n".join([f"HF_TOKEN={TOKEN}", f"TRAIN_VERSION={version}", *recipe.lines, ""])
    status, values, printed = read(tmp_path, text)
    assert (status, printed) == (0, "")
    for name, value in recipe.values().items():
        assert values[name] == (value, str(text.split("\n").index(f"{name}={value}") + 1))


@pytest.mark.parametrize("words", ["4 × 24 GB", "8 × 80 GB", "12 hours", "out of memory", "quick trial"])
def test_the_questions_that_people_ask_have_a_recipe(words: str) -> None:
    assert any(words in recipe.title.en for recipe in RECIPES)


def recipe(name: str) -> Recipe:
    """A recipe by its name."""
    return next(recipe for recipe in RECIPES if recipe.name == name)


def test_the_recipe_for_12_hours_ends_in_time_also_on_a_slower_machine() -> None:
    chosen = recipe("done-in-12h")
    hours = estimate(facts(), chosen.values(), chosen.gpu_gib).hours
    assert hours
    assert 10 < hours * 1.15 <= slurm_hours(chosen.values()["TRAIN_TIME"]) == 12


def test_the_trial_is_done_within_its_time_limit() -> None:
    chosen = recipe("trial")
    hours = estimate(facts(), chosen.values(), chosen.gpu_gib).hours
    assert hours
    assert hours * 60 < 10 < slurm_hours(chosen.values()["TRAIN_TIME"]) * 60


def test_what_is_said_of_24_gb_is_what_was_measured() -> None:
    smallest = {
        stage: min(s.memory[2] for s in facts().measured.settings if s.stage == stage and s.memory and not s.upstream)
        for stage in STAGES
    }
    floor = {bits: estimate(facts(), {"STAGE1_USE_8BIT_ADAM": bits}, 24).stages["stage1"].floor for bits in ("no", "yes")}
    copies = estimate(facts(), {}, 24).stages["stage1"].copies
    for language in LANGUAGES:
        text = getattr(recipe("four-24").text, language)
        for figure in (*smallest.values(), *floor.values(), copies):
            assert f"{figure:.1f}" in text, figure
    assert min(smallest.values()) > 24
    assert estimate(facts(), {}, 24).stages["stage1"].verdict == "no"


@each_recipe
def test_a_recipe_for_a_gpu_does_not_run_out_of_its_memory_as_far_as_measured(recipe: Recipe) -> None:
    wanted = recipe.values().get("STAGE", "all")
    verdicts = {stage: each.verdict for stage, each in estimate(facts(), recipe.values(), recipe.gpu_gib).stages.items()}
    assert "no" not in [verdict for stage, verdict in verdicts.items() if wanted in ("all", stage[-1])]
    if "unknown" in verdicts.values():
        assert re.search("not measured|measured without", recipe.text.en)


# --- figures ---------------------------------------------------------------------------------------------------


def known_figures() -> set[str]:
    """Every figure that was measured, and the ratios that the texts draw from them."""
    measured = facts().measured
    found: set[float] = {
        measured.cached_fp16_steps_per_second,
        *measured.trained_millions.values(),
        *measured.validation_peak.values(),
    }
    for setting in measured.settings:
        found |= {setting.steps_per_second or 0, *(setting.memory or ())}
    for saving in measured.saving.values():
        found |= {
            saving.checkpoint_gb,
            saving.save_seconds,
            saving.load_seconds,
            saving.convert_seconds,
            saving.validation_seconds,
        }
    for stage in STAGES:
        found |= {estimate(facts(), {f"{stage.upper()}_USE_8BIT_ADAM": bits}, 80).stages[stage].floor for bits in ("no", "yes")}
        found.add(estimate(facts(), {}, 80).stages[stage].copies)
    upstream = next(s.steps_per_second for s in measured.settings if s.upstream)
    fast = {}
    for stage, frames in zip(STAGES, (10, 22), strict=True):
        for checkpointing in (True, False):
            found_setting = measured_setting(measured, stage, frames, 1, checkpointing=checkpointing)
            assert found_setting
            fast[stage, checkpointing] = found_setting.steps_per_second or 0
        found.add(fast[stage, False] / fast[stage, True])
    found.add(fast["stage1", True] / (upstream or 1))
    return {text for figure in found for text in (f"{figure:.1f}", f"{figure:.2f}", f"{figure:.3f}", f"{figure:g}")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_figure_stands_in_a_text_that_was_not_measured(language: str) -> None:
    """GiB, seconds, steps per second and ratios in parameters, repairs and recipes are those of measured.yaml."""
    known = known_figures()
    texts = [p.change for p in facts().training.parameters] + [r.text for r in RECIPES]
    texts += [text for repair in facts().project.repairs for text in (repair.meaning, repair.without)]
    for text in texts:
        said = re.sub(r"\{\{.*?\}\}", "", getattr(text, language))
        assert [figure for figure in re.findall(r"(?<![\w.])\d+\.\d+(?![\w.]*:)", said) if figure not in known | {"0.01"}] == []


def test_the_disk_of_the_facts_is_the_disk_of_the_estimate() -> None:
    measured, data = facts().measured, facts()
    checkpoints = sum(
        3 * measured.saving[stage].checkpoint_gb + sum(measured.saving[stage].converted_gib) * GIB for stage in STAGES
    )
    assert data.project.disk.training == pytest.approx(checkpoints, abs=1)
    assert round(estimate_disk(data, {})) == ScriptMacros(data).gigabytes(dpo=True)
    assert round(estimate_disk(data, {"DPO_DATASET": "no"})) == ScriptMacros(data).gigabytes(dpo=False)


@pytest.mark.parametrize(
    ("values", "gpu", "stage", "verdict"),
    [
        ({}, 80, "stage1", "fits"),
        ({}, 80, "stage2", "fits"),
        ({}, 48, "stage1", "tight"),
        ({}, 40, "stage1", "no"),
        ({}, 48, "stage2", "training"),
        ({"STAGE2_VALIDATION_IMAGE": "[]"}, 48, "stage2", "fits"),
        ({"STAGE1_VALIDATION_IMAGE": "[]", "STAGE1_NFRAMES": "6"}, 48, "stage1", "one"),
        ({"STAGE1_NFRAMES": "12"}, 80, "stage1", "unknown"),
        ({"STAGE1_RESOLUTION": "256"}, 80, "stage1", "unknown"),
        ({"STAGE1_RESOLUTION": "256"}, 24, "stage1", "no"),
        ({"STAGE1_TRAIN_BATCH_SIZE": "4", "STAGE1_GRADIENT_CHECKPOINTING": "yes"}, 80, "stage1", "no"),
        ({"STAGE1_TRAIN_BATCH_SIZE": "4", "STAGE1_GRADIENT_CHECKPOINTING": "yes"}, 141, "stage1", "unknown"),
    ],
)
def test_verdicts(values: dict[str, str], gpu: int, stage: str, verdict: str) -> None:
    assert estimate(facts(), values, gpu).stages[stage].verdict == verdict  # type: ignore[index]


def test_time_grows_with_steps_and_accumulation_and_is_unknown_where_nothing_was_measured() -> None:
    def hours(**values: str) -> float | None:
        return estimate(facts(), values, 80).hours

    usual = hours()
    assert usual
    assert hours(STAGE1_MAX_TRAIN_STEPS="100000") > usual  # type: ignore[operator]
    assert hours(STAGE2_GRADIENT_ACCUMULATION_STEPS="2") > usual  # type: ignore[operator]
    assert hours(STAGE="1") < usual  # type: ignore[operator]
    assert hours(STAGE1_NFRAMES="7") is None
    assert hours(STAGE1_NFRAMES="7", STAGE="2") == hours(STAGE="2")
    assert recipe_words(estimate(facts(), {"STAGE1_NFRAMES": "7"}, 80))["hours"] == "?"


# --- small parts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "hours"), [("24:00:00", 24), ("2-00:00:00", 48), ("1-12", 36), ("90", 1.5), ("30:30", 0.50833), ("0:30:00", 0.5)]
)
def test_slurm_times(time: str, hours: float) -> None:
    assert slurm_hours(time) == pytest.approx(hours, abs=1e-4)


def test_choices_are_patterns_of_nothing_but_alternatives() -> None:
    assert choices_of("yes|no") == ["yes", "no"]
    assert choices_of("[1-9]|1[0-6]") == []
    assert choices_of("0|[1-9][0-9]{0,8}") == []


def test_the_diagram_puts_side_by_side_what_begins_together() -> None:
    rows = [[step.id for step in row] for row in flow_rows(facts().project.flow)]
    assert ["setup", "dpo"] in rows
    assert rows[0] == ["config"]
    assert rows[-1] == ["weights"]


def test_chinese_lines_are_joined_and_others_are_not() -> None:
    assert join_chinese_lines("中文，\n换行") == "中文，换行"
    assert join_chinese_lines("中文\n\n换段\n- 项\nword\n中") == "中文\n\n换段\n- 项\nword\n中"


def test_pages_of_figures_name_the_machine_and_what_was_not_measured() -> None:
    for language in LANGUAGES:
        page = (ROOT / "docs" / language / "training-parameters.md").read_text()
        assert "measured.machine" in page
        assert "texts(measured.caveats)" in page
    assert "H100" in facts().measured.machine.en
    assert any("several GPUs" in caveat.en for caveat in facts().measured.caveats)

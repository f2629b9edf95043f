"""The training-parameter guide: recipes that the scripts accept, estimates made of what was measured, no stray figure."""

import re
from pathlib import Path

import pytest

from diffueraser_docs.builder import choices_of
from diffueraser_docs.facts import facts
from diffueraser_docs.markdown import join_chinese_lines
from diffueraser_docs.render import ROOT
from diffueraser_docs.schema.base import LANGUAGES
from diffueraser_docs.schema.guide import Recipe
from diffueraser_docs.site import flow_rows
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


@pytest.mark.parametrize("words", ["4 × 24 GB", "8 × 80 GB", "12 hours", "out of memory", "mirrors"])
def test_the_questions_that_people_ask_have_a_recipe(words: str) -> None:
    assert any(words in recipe.title.en for recipe in RECIPES)


# --- figures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_take_figures_from_measured(language: str) -> None:
    """A decimal number in a text of parameters, patches or recipes is computed, not written down a second time."""
    texts = [p.change for p in facts().training.parameters] + [r.text for r in RECIPES]
    texts += [text for patch in facts().patches.patches for text in (patch.meaning, patch.without)]
    for text in texts:
        said = re.sub(r"\{\{.*?\}\}", "", getattr(text, language))
        assert re.findall(r"(?<![\w.:])\d+\.\d+(?![\w.]*:)", said) == [], said


# --- small parts -------------------------------------------------------------------------------------------------


def test_choices_are_patterns_of_nothing_but_alternatives() -> None:
    assert choices_of("yes|no") == ["yes", "no"]
    assert choices_of("[1-9]|1[0-6]") == []
    assert choices_of("0|[1-9][0-9]{0,8}") == []


def test_the_diagram_puts_side_by_side_what_begins_together() -> None:
    rows = [[step.id for step in row] for row in flow_rows(facts().project.flow)]
    assert any(len(row) == 2 and row[1] == "dpo" for row in rows), "DPO-dataset stands beside the main line"
    assert rows[0] == ["config"]
    assert rows[-1] == ["train", "dpo"]
    assert facts().project.flow[-1].parts[-1].id == "weights"


def test_chinese_lines_are_joined_and_others_are_not() -> None:
    assert join_chinese_lines("中文，\n换行") == "中文，换行"
    assert join_chinese_lines("- 中文；\n  换行，\n`word`") == "- 中文；换行，`word`"
    assert join_chinese_lines("```bash\n# 中文。\nword\n```") == "```bash\n# 中文。\nword\n```"
    assert join_chinese_lines("中文\n\n换段\n- 项\nword\n中") == "中文\n\n换段\n- 项\nword\n中"


def test_pages_of_figures_name_the_machine_and_what_was_not_measured() -> None:
    for language in LANGUAGES:
        page = (ROOT / "docs" / language / "training-parameters.md").read_text()
        assert "measured.machine" in page
        assert "texts(measured.caveats)" in page
    assert "H100" in facts().measured.machine.en
    assert any("more than two GPUs" in caveat.en for caveat in facts().measured.caveats)

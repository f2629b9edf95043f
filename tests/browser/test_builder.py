"""The config.env builder: what it writes is accepted by the scripts, what it refuses they refuse too."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from diffueraser_docs.facts import facts
from diffueraser_docs.schema.base import STAGES, VERSIONS
from diffueraser_docs.site import choices_of
from tests.bash import run_bash
from tests.browser import LANGUAGES, address
from tests.browser.conftest import Watched
from tests.unit.test_config_reader import kinds, read

TOKEN = "hf_OnlyInThePageAndNowhereElse"
VALID = {
    "token": TOKEN, "count": "3", "whole": "0", "nodes": "2", "time": "2-00:00:00", "memory": "48G", "partition": "gpu,gpu80",
    "email": "you@example.org", "url": "https://mirror.example.org/hub", "mirror": "https://mirror.example.org/simple",
    "channel": "https://mirror.example.org/conda-forge", "modules": "gcc/12 anaconda3", "patches": "trackers no-waste",
    "repository": "me/weights", "organisation": "me", "revision": "v1.0", "word": "a.b-c", "key": "0123456789abcdef",
    "options": "--constraint=a100 --exclude=n7", "arguments": "--flag a b --other=1", "nonnegative": ".01", "frames32": "16",
    "limit": "5", "workers": "3", "list": "['a b','c']",
}  # fmt: skip
WRONG = dict.fromkeys(VALID, "~ wrong !") | {"arguments": "no flag", "list": "a,b"}


@pytest.fixture(params=LANGUAGES)
def page(request: pytest.FixtureRequest, desktop: Watched) -> Page:
    """The builder in each language."""
    return desktop.open(address("builder", request.param))


def choices() -> dict[str, list[str]]:
    """The variables that are chosen from a list."""
    return {name: found for name, kind in kinds().items() if (found := choices_of(kind.pattern))}


def kind_names() -> dict[str, str]:
    """The name of the kind of every variable."""
    by_pattern = {kind.pattern: name for name, kind in facts().configuration.kinds.items()}
    return {name: by_pattern[kind.pattern] for name, kind in kinds().items()}


def put(page: Page, values: dict[str, str]) -> None:
    """Fill in many fields as a script can, with the event that typing would cause."""
    page.evaluate(
        """values => { for (const [name, value] of Object.entries(values)) document.getElementById(`f-${name}`).value = value;
        document.getElementById('builder-form').dispatchEvent(new Event('input')); }""",
        values,
    )


def written(page: Page) -> str:
    """The config.env that the page shows."""
    return page.locator("#builder-output").text_content() or ""


def test_every_field_filled_in_by_hand_is_accepted_by_the_scripts(desktop: Watched, tmp_path: Path) -> None:
    page = desktop.open(address("builder", "zh"))
    page.locator("details.builder-more summary").click()
    wanted: dict[str, str] = {}
    for name, kind in kind_names().items():
        field = page.locator(f"#f-{name}")
        if options := choices().get(name):
            wanted[name] = "conda" if name == "ENV_TOOL" else options[-1]
            field.select_option(wanted[name])
        else:
            wanted[name] = str(tmp_path) if name == "PROJECT_HOME" else VALID[kind]
            field.fill(wanted[name])
    assert set(wanted) == set(facts().variable_names())
    assert page.locator("#builder-problems").text_content() == ""
    assert_accepted(tmp_path, written(page), wanted)
    before = written(page)
    page = desktop.open(address("builder", "en"))
    put(page, wanted)
    assert code_of(written(page)) == code_of(before), "both languages write the same"
    assert_accepted(tmp_path, written(page), wanted)


def code_of(text: str) -> list[str]:
    """The lines of a config.env that are no comments."""
    return [line for line in text.splitlines() if not line.startswith("#")]


def assert_accepted(folder: Path, text: str, wanted: dict[str, str]) -> None:
    """The scripts read exactly what was filled in."""
    status, values, printed = read(folder, text)
    assert (status, printed) == (0, "")
    assert {name: value for name, (value, _) in values.items()} == wanted
    assert "default" not in {origin for _, origin in values.values()}


def test_every_choice_is_accepted_by_the_scripts(desktop: Watched, tmp_path: Path) -> None:
    page = desktop.open(address("builder", "en"))
    longest = max(len(options) for options in choices().values())
    for turn in range(longest):
        chosen = {name: options[turn % len(options)] for name, options in choices().items()}
        put(page, {"HF_TOKEN": TOKEN, **chosen})
        status, values, printed = read(tmp_path, written(page))
        assert (status, printed) == (0, "")
        assert {name: values[name][0] for name in chosen} == chosen


def test_what_stays_empty_keeps_its_default_and_the_token_may_stay_empty(page: Page, tmp_path: Path) -> None:
    assert written(page).splitlines() == ["HF_TOKEN=hf_your_token_here", "TRAIN_VERSION=non-prompt"]
    status, values, printed = read(tmp_path, written(page), HF_TOKEN=TOKEN)
    assert (status, printed) == (0, "")
    assert {origin for name, (_, origin) in values.items() if name not in ("HF_TOKEN", "TRAIN_VERSION")} == {"default"}


def test_the_defaults_shown_are_those_of_the_version(page: Page) -> None:
    for version in VERSIONS:
        page.locator("#f-TRAIN_VERSION").select_option(version)
        shown: dict[str, str] = page.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll('#builder-form [name]')]
            .map(e => [e.name, e.tagName === 'SELECT' ? e.options[0].textContent : e.placeholder]))"""
        )
        for parameter in facts().training.parameters:
            for stage in STAGES:
                default = parameter.default(stage, version) or parameter.trainer_default
                wanted = {default, f"{default} (default)", f"{default} (默认)"} if default else {"", "not set", "不设置"}
                assert shown[f"{stage.upper()}_{parameter.variable}"] in wanted


def test_each_wrong_value_is_said_while_typing_and_cannot_be_copied(desktop: Watched) -> None:
    page = desktop.open(address("builder", "zh"))
    sample = {kind: name for name, kind in kind_names().items() if not choices_of(kinds()[name].pattern)}
    page.locator("details.builder-more summary").click()
    for kind, name in sample.items():
        field = page.locator(f"#f-{name}")
        value = "relative/path" if kind == "path" else WRONG[kind]
        if kind == "name":
            field.press_sequentially(value)
        else:
            field.fill(value)
        error = page.locator(f"#e-{name}").text_content() or ""
        assert len(error) > 5, f"{name}={value} is not refused"
        assert field.get_attribute("aria-invalid") == "true"
        assert page.locator("#builder-copy").is_disabled()
        assert page.locator("#builder-download").is_disabled()
        assert name in (page.locator("#builder-problems").text_content() or "")
        field.fill("")
        if page.locator(f"#e-{name}").text_content():  # the three lists belong together
            pytest.fail(f"{name} is not forgiven")
    assert page.locator("#builder-copy").is_enabled()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"STAGE1_VALIDATION_MASK": "[]"}, "STAGE1_VALIDATION_IMAGE"),
        ({"STAGE2_VALIDATION_IMAGE": "['a','b','c']"}, "STAGE2_VALIDATION_IMAGE"),
        ({"STAGE1_EXTRA_ARGS": "--nframes=3"}, "STAGE1_EXTRA_ARGS"),
        ({"STAGE2_EXTRA_ARGS": "--other --learning_rate 1"}, "STAGE2_EXTRA_ARGS"),
        ({"STAGE1_EXTRA_ARGS": "--a \"b\" 'c'"}, "STAGE1_EXTRA_ARGS"),
        ({"STAGE1_LEARNING_RATE": "$HOME"}, "STAGE1_LEARNING_RATE"),
    ],
)
def test_contradictions_are_found_here_and_by_the_scripts(
    desktop: Watched, tmp_path: Path, values: dict[str, str], field: str
) -> None:
    page = desktop.open(address("builder", "en"))
    put(page, {"HF_TOKEN": TOKEN, **values})
    assert page.locator(f"#e-{field}").text_content()
    assert page.locator("#builder-copy").is_disabled()
    (tmp_path / "config.env").write_text(written(page))
    result = run_bash("read_values; check_before_start", tmp_path, script="02_train.sbatch")
    assert result.returncode == 1
    assert field in result.stderr or "is not NAME=value" in result.stderr


def test_conda_module_contradicts_uv(desktop: Watched) -> None:
    page = desktop.open(address("builder", "en"))
    put(page, {"HF_TOKEN": TOKEN, "ENV_TOOL": "uv", "CONDA_MODULE": "anaconda3"})
    assert page.locator("#e-ENV_TOOL").text_content()
    assert page.locator("#builder-copy").is_disabled()


def test_copy_and_download_give_what_is_shown(page: Page) -> None:
    put(page, {"NUM_GPUS": "4", "STAGE1_SEED": "7"})
    page.locator("#builder-copy").click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('STAGE1_SEED')")
    assert page.evaluate("navigator.clipboard.readText()") == written(page)
    with page.expect_download() as got:
        page.locator("#builder-download").click()
    assert got.value.suggested_filename == "config.env"
    assert Path(got.value.path()).read_text() == written(page)


def test_the_token_is_neither_sent_nor_stored(desktop: Watched) -> None:
    page = desktop.open(address("builder", "en"))
    asked: list[str] = []
    page.wait_for_load_state("networkidle")
    page.on("request", lambda request: asked.append(f"{request.url} {request.post_data}"))
    page.locator("#f-HF_TOKEN").press_sequentially(TOKEN)
    page.locator("#f-HF_TOKEN").press("Enter")
    page.locator("#builder-copy").click()
    assert TOKEN in written(page)
    assert TOKEN not in page.url
    assert asked == []
    stored = page.evaluate(
        """async () => JSON.stringify(
            [{...localStorage}, {...sessionStorage}, document.cookie, (await indexedDB.databases()).length])"""
    )
    assert TOKEN not in stored
    assert stored.endswith('"",0]')
    assert page.locator("#f-HF_TOKEN").get_attribute("type") == "text"  # no browser offers to remember it
    assert page.locator("#f-HF_TOKEN").evaluate("e => getComputedStyle(e).webkitTextSecurity") == "disc"
    page.reload()
    assert page.locator("#f-HF_TOKEN").input_value() == ""


def test_a_recipe_fills_in_its_lines_and_keeps_what_was_typed(desktop: Watched) -> None:
    page = desktop.open(address("builder", "en"))
    for recipe in facts().guide.recipes:
        put(page, {"HF_TOKEN": TOKEN, "TRAIN_VERSION": "prompt", "QOS": "high"})
        page.locator("#builder-recipe").select_option(recipe.name)
        lines = [line for line in code_of(written(page)) if line]
        assert lines[:2] == [f"HF_TOKEN={TOKEN}", "TRAIN_VERSION=prompt"]
        assert sorted(lines[2:]) == sorted([*recipe.lines, "QOS=high"])


VERDICTS: list[tuple[dict[str, str], int, str, str]] = [
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
]


def estimate(page: Page, values: dict[str, str], gpu: int = 80) -> Any:
    """What the page's script says a config.env takes."""
    return page.evaluate("([values, gpu]) => window.estimate(values, gpu)", [values, gpu])


def test_estimate_verdicts(desktop: Watched) -> None:
    page = desktop.open(address("builder", "en"))
    for values, gpu, stage, verdict in VERDICTS:
        assert estimate(page, values, gpu)["stages"][stage]["verdict"] == verdict, (values, gpu, stage)


def test_estimate_time_and_disk(desktop: Watched) -> None:
    page = desktop.open(address("builder", "en"))

    def hours(**values: str) -> Any:
        return estimate(page, values)["hours"]

    assert hours(STAGE1_MAX_TRAIN_STEPS="100000") > hours() > hours(STAGE="1")
    assert hours(STAGE2_GRADIENT_ACCUMULATION_STEPS="2") > hours()
    assert hours(STAGE1_NFRAMES="7") is None
    assert hours(STAGE1_NFRAMES="7", STAGE="2") == hours(STAGE="2")
    assert round(estimate(page, {})["disk"]) == facts().disk_gigabytes()
    assert round(estimate(page, {"DPO_DATASET": "no"})["disk"]) == facts().disk_gigabytes(dpo=False)
    times = {"24:00:00": 1, "2-00:00:00": 1, "0-12": 2, "600": 2, "06:00:00": 4}
    assert {time: estimate(page, {"TRAIN_TIME": time})["jobs"] for time in times} == times


def test_recipes_hold_what_they_promise(desktop: Watched) -> None:
    page = desktop.open(address("training-parameters", "en"))
    assert "…" not in "".join(page.locator("[data-recipe]").all_text_contents())
    assert "?" not in "".join(page.locator("[data-recipe]").all_text_contents())
    found = {recipe.name: estimate(page, recipe.values(), recipe.gpu_gib) for recipe in facts().guide.recipes}
    for recipe in facts().guide.recipes:
        wanted = recipe.values().get("STAGE", "all")
        verdicts = {stage: found[recipe.name]["stages"][stage]["verdict"] for stage in STAGES}
        assert "no" not in [verdict for stage, verdict in verdicts.items() if wanted in ("all", stage[-1])], recipe.name
        if "unknown" in verdicts.values():
            assert re.search("not measured|measured only", recipe.text.en), recipe.name
    assert 10 < found["done-in-12h"]["hours"] * 1.15 <= 12


def test_the_page_says_what_the_estimates_are(desktop: Watched) -> None:
    page = desktop.open(address("builder", "en"))

    def shown(name: str) -> str:
        return page.locator(f'[data-estimate="{name}"]').text_content() or ""

    assert shown("disk") == f"{facts().disk_gigabytes()} GB"
    assert re.fullmatch(r"19\.7 hours, number of jobs: 1", shown("time"))
    page.locator("#f-TRAIN_TIME").fill("06:00:00")
    assert shown("time").endswith(": 4")
    page.locator("#builder-gpu").select_option("24")
    assert shown("stage1").endswith("does not fit")
    put(page, {"STAGE1_RESOLUTION": "256"})
    assert "26.0 GiB of weights, gradients and optimizer alone" in shown("stage1")
    assert shown("time") == "not measured"

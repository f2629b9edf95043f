"""The config.env builder: what it writes is accepted by the scripts, what it refuses they refuse too."""

import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from diffueraser_docs.builder import choices_of
from diffueraser_docs.estimates import training_hours
from diffueraser_docs.facts import facts
from diffueraser_docs.schema.base import STAGES, VERSIONS
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


def unfold(page: Page) -> None:
    """Open what is folded."""
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")


def written(page: Page) -> str:
    """The config.env that the page shows."""
    return page.locator("#builder-output").text_content() or ""


def test_every_field_filled_in_by_hand_is_accepted_by_the_scripts(desktop: Watched, tmp_path: Path) -> None:
    page = desktop.open(address("builder", "zh"))
    unfold(page)
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


def copy_button(page: Page, what: str = "output") -> Locator:
    """The button that copies the file or the block for a shell."""
    return page.locator(f'[data-copies="builder-{what}"]')


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


def test_defaults_and_examples_look_different(page: Page) -> None:
    marks = ("default: ", "默认："), ("not set; e.g. ", "不设置；例如 ")
    for version in VERSIONS:
        page.locator("#f-TRAIN_VERSION").select_option(version)
        shown: dict[str, str] = page.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll('#builder-form [name]')]
            .map(e => [e.name, e.tagName === 'SELECT' ? e.options[0].textContent : e.placeholder]))"""
        )
        defaults = {v.name: (v.default, (v.shown or "").strip('"')) for v in facts().configuration.variables}
        for parameter in facts().training.parameters:
            for stage in STAGES:
                default = parameter.default(stage, version) or parameter.trainer_default
                defaults[f"{stage.upper()}_{parameter.variable}"] = (default, "")
        assert shown.pop("HF_TOKEN") == defaults.pop("HF_TOKEN")[1]
        for name, (default, example) in defaults.items():
            wanted = [mark + default for mark in marks[0]] if default else [mark + example for mark in marks[1]]
            assert shown[name] in (*wanted, "not set", "不设置"), name


def test_every_field_has_a_label_and_help(page: Page) -> None:
    labels = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('#builder input, #builder select, #builder textarea')]
        .map(e => [e.id, [...e.labels].map(label => label.textContent.trim()).join('')]))"""
    )
    assert [name for name, label in labels.items() if not label] == []
    for variable in facts().configuration.variables:
        assert variable.name in labels[f"f-{variable.name}"]
        help_text = page.locator(f"#h-{variable.name}").text_content() if page.locator(f"#h-{variable.name}").count() else ""
        assert help_text or choices_of(kinds()[variable.name].pattern), f"{variable.name} has no help"
    page.locator("label[for='f-NUM_GPUS']").click()
    assert page.evaluate("document.activeElement.id") == "f-NUM_GPUS", "a click on a name goes to its field"


def test_two_edits_and_six_cluster_fields_are_open(page: Page) -> None:
    shown = page.evaluate(
        "() => [...document.querySelectorAll('#builder-form [name]')].filter(e => e.checkVisibility()).map(e => e.name)"
    )
    assert shown[:2] == ["HF_TOKEN", "TRAIN_VERSION"]
    assert sorted(shown[2:]) == sorted(v.name for v in facts().configuration.variables if v.first)
    assert len(shown) == 8
    put(page, {"SETUP_MEM": "wrong"})
    assert page.locator("#f-SETUP_MEM").is_visible(), "a field with a mistake is not folded away"


def test_each_wrong_value_is_said_while_typing_and_cannot_be_copied(desktop: Watched) -> None:
    page = desktop.open(address("builder", "zh"))
    sample = {kind: name for name, kind in kind_names().items() if not choices_of(kinds()[name].pattern)}
    unfold(page)
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
        assert copy_button(page).is_disabled()
        assert page.locator("#builder-download").is_disabled()
        assert name in (page.locator("#builder-problems").text_content() or "")
        field.fill("")
        if page.locator(f"#e-{name}").text_content():  # the three lists belong together
            pytest.fail(f"{name} is not forgiven")
    assert copy_button(page).is_enabled()


CONTRADICTIONS = [
    ({"STAGE1_VALIDATION_MASK": "[]"}, "STAGE1_VALIDATION_IMAGE"),
    ({"STAGE2_VALIDATION_IMAGE": "['a','b','c']"}, "STAGE2_VALIDATION_IMAGE"),
    ({"STAGE1_EXTRA_ARGS": "--nframes=3"}, "STAGE1_EXTRA_ARGS"),
    ({"STAGE2_EXTRA_ARGS": "--other --learning_rate 1"}, "STAGE2_EXTRA_ARGS"),
    ({"STAGE1_EXTRA_ARGS": "--a \"b\" 'c'"}, "STAGE1_EXTRA_ARGS"),
    ({"STAGE1_EXTRA_ARGS": "--output_dir x"}, "STAGE1_EXTRA_ARGS"),
    ({"STAGE1_EXTRA_ARGS": "--nfram 3"}, "STAGE1_EXTRA_ARGS"),
    ({"STAGE1_LEARNING_RATE": "$HOME"}, "STAGE1_LEARNING_RATE"),
    ({"TRAIN_SBATCH_OPTIONS": "--nodelist=a,"}, "TRAIN_SBATCH_OPTIONS"),
    ({"HF_TOKEN": "hf_yourtokenhere"}, "HF_TOKEN"),
    ({"QOS": "hf_" + "exampleexample" * 3}, "QOS"),
    ({"STAGE1_EXTRA_ARGS": "--a b\u00a0c"}, "STAGE1_EXTRA_ARGS"),
    ({"STAGE2_EXTRA_ARGS": "--a b\0c"}, "STAGE2_EXTRA_ARGS"),
    ({"HF_ENDPOINT": "/"}, "HF_ENDPOINT"),
]


def test_contradictions_are_found_here_and_by_the_scripts(desktop: Watched, tmp_path: Path) -> None:
    page = desktop.open(address("builder", "en"))
    for values, field in CONTRADICTIONS:
        put(page, {"HF_TOKEN": TOKEN, **values})
        assert page.locator(f"#e-{field}").text_content(), values
        assert copy_button(page).is_disabled(), values
        (tmp_path / "config.env").write_text(written(page))
        result = run_bash("read_values; check_before_start", tmp_path, script="02_train.sbatch")
        assert result.returncode == 1, values
        assert field in result.stderr or re.search(r"is not NAME=value|\[config-(space|encoding)\]", result.stderr), result.stderr
        put(page, dict.fromkeys(values, ""))


def test_tokens_of_mirrors_are_accepted_here_and_by_the_scripts(desktop: Watched, tmp_path: Path) -> None:
    page = desktop.open(address("builder", "en"))
    token = {"HF_TOKEN": "mirror.token=1"}
    put(page, {**token, "HF_ENDPOINT": "https://mirror.example.org/hub/"})
    assert copy_button(page).is_enabled()
    assert read(tmp_path, written(page))[0] == 0
    put(page, {**token, "HF_ENDPOINT": facts().hub.endpoint})
    assert page.locator("#e-HF_TOKEN").text_content()
    assert read(tmp_path, written(page))[0] == 1


def test_conda_module_contradicts_uv(desktop: Watched) -> None:
    page = desktop.open(address("builder", "en"))
    put(page, {"HF_TOKEN": TOKEN, "ENV_TOOL": "uv", "CONDA_MODULE": "anaconda3"})
    assert page.locator("#e-ENV_TOOL").text_content()
    assert copy_button(page).is_disabled()


def test_copy_and_download_give_what_is_shown(page: Page) -> None:
    put(page, {"NUM_GPUS": "4", "STAGE1_SEED": "7"})
    copy_button(page).click()
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
    copy_button(page).click()
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
    put(page, {"HF_TOKEN": TOKEN, "TRAIN_VERSION": "prompt", "QOS": "high", "NUM_GPUS": "2"})
    for recipe in facts().guide.recipes:
        page.locator("#builder-recipe").select_option(recipe.name)
        lines = [line for line in code_of(written(page)) if line]
        assert lines[:2] == [f"HF_TOKEN={TOKEN}", "TRAIN_VERSION=prompt"]
        own = [] if "NUM_GPUS" in recipe.values() else ["NUM_GPUS=2"]
        assert sorted(lines[2:]) == sorted([*recipe.lines, "QOS=high", *own])
        said = page.locator("#builder-recipe-set").text_content() or ""
        assert [line for line in recipe.lines if line not in said] == [], "it says which lines it sets"
        assert ("NUM_GPUS=2" in said) == (not own), "and what it replaces"
        assert page.locator("#builder-gpu").input_value() == str(recipe.gpu_gib)
    page.locator("#builder-recipe").select_option("")
    assert [line for line in code_of(written(page)) if line][2:] == ["NUM_GPUS=2", "QOS=high"]


PASTED = """\
# my own config.env
export HF_TOKEN='hf_OnlyInThePageAndNowhereElse'
TRAIN_VERSION="prompt"   # captions
NUM_GPUS=4
STAGE1_VALIDATION_PROMPT=[]
STAGE1_VALIDATION_IMAGE=[]
STAGE1_VALIDATION_MASK=[]
"""


def test_an_existing_file_is_read(page: Page, tmp_path: Path) -> None:
    unfold(page)
    put(page, {"ACCOUNT": "before"})
    page.locator("#builder-paste").fill(PASTED)
    page.locator("#builder-read-button").click()
    assert page.locator("#builder-paste").input_value() == "", "the token is not left there"
    assert "6" in (page.locator("#builder-read-result").text_content() or "")
    _, wanted, _ = read(tmp_path, PASTED)
    status, values, printed = read(tmp_path, written(page))
    assert (status, printed) == (0, "")
    assert {name: value for name, (value, _) in values.items()} == {name: value for name, (value, _) in wanted.items()}
    page.locator("#builder-paste").fill("NUM_GPU=3\nQOS = high\nTRAIN_VERSION=other\nHF_TOKEN=hf_your_token_here\nHF_TOKEN=\n")
    page.locator("#builder-read-button").click()
    said = page.locator("#builder-read-result").text_content() or ""
    assert "NUM_GPU" in said
    assert re.search(r"\b2\b", said)
    assert "TRAIN_VERSION=other" in said
    assert re.search(r"\b5\b.*HF_TOKEN", said), "it is set twice"
    page.locator("#builder-paste").fill(f"TRAIN_VERSION={TOKEN}")
    page.locator("#builder-read-button").click()
    assert "TRAIN_VERSION=hf_***" in (page.locator("#builder-read-result").text_content() or "")
    assert page.locator("#f-HF_TOKEN").input_value() == ""


def test_the_block_for_a_shell_writes_the_file(page: Page, tmp_path: Path) -> None:
    lists = {f"STAGE1_VALIDATION_{part}": "['it','a # b']" for part in ("IMAGE", "MASK", "PROMPT")}
    put(page, {"HF_TOKEN": TOKEN, "STAGE1_EXTRA_ARGS": "--zz b --yy=1", **lists})
    copy_button(page, "shell").click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('END_OF_CONFIG')")
    block: str = page.evaluate("navigator.clipboard.readText()")
    (tmp_path / "config.env").write_text("old\n")
    (tmp_path / "config.env").chmod(0o644)
    (tmp_path / "setup_and_train.sbatch").write_text("cat config.env")
    environment = {"HISTFILE": "", "PATH": "/usr/bin:/bin"}
    shell = partial(subprocess.run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    result = shell(["bash"], input=block)
    assert (result.stdout, result.stderr) == (written(page), "")
    assert (tmp_path / "config.env").read_text() == written(page)
    assert (tmp_path / "config.env").stat().st_mode & 0o777 == 0o600
    history = shell(["bash", "--norc", "-i"], input=f"{block}history\n").stdout.removeprefix(written(page))
    assert "set +o history" in history
    assert TOKEN not in history, "the token is not in the shell's history"


VERDICTS: list[tuple[dict[str, str], int, str, str]] = [
    ({}, 80, "stage1", "fits"),
    ({}, 80, "stage2", "fits"),
    ({"NUM_GPUS": "1", "STAGE1_VALIDATION_IMAGE": "[]"}, 48, "stage1", "fits_not"),
    ({"NUM_GPUS": "1", "STAGE1_VALIDATION_IMAGE": "[]", "STAGE1_NFRAMES": "6"}, 48, "stage1", "fits"),
    ({"STAGE1_VALIDATION_IMAGE": "[]", "STAGE1_NFRAMES": "6"}, 48, "stage1", "fits_not"),
    ({"NUM_GPUS": "1"}, 48, "stage2", "fits_not"),
    ({"NUM_GPUS": "1", "STAGE2_VALIDATION_IMAGE": "[]"}, 48, "stage2", "fits"),
    ({"STAGE1_NFRAMES": "12"}, 80, "stage1", "fits"),
    ({"STAGE1_TRAIN_BATCH_SIZE": "2"}, 80, "stage1", "fits"),
    ({"STAGE1_TRAIN_BATCH_SIZE": "2", "STAGE1_GRADIENT_CHECKPOINTING": "no"}, 80, "stage1", "fits_not"),
    ({"STAGE1_TRAIN_BATCH_SIZE": "4", "STAGE1_GRADIENT_CHECKPOINTING": "yes"}, 80, "stage1", "fits_not"),
    ({"STAGE1_RESOLUTION": "256"}, 80, "stage1", "unmeasured"),
    ({"STAGE1_RESOLUTION": "256"}, 24, "stage1", "fits_not"),
    ({"TRAIN_VERSION": "prompt"}, 80, "stage1", "unmeasured"),
    ({"STAGE": "1"}, 24, "stage2", "no_training"),
    ({"STAGE": "2"}, 80, "stage2", "fits"),
]


def estimate(page: Page, values: dict[str, str], gpu: int = 80) -> Any:
    """What the page's script says a config.env takes."""
    return page.evaluate("([values, gpu]) => window.estimate(values, gpu)", [values, gpu])


def test_estimate_verdicts(desktop: Watched) -> None:
    page = desktop.open(address("builder", "en"))
    for values, gpu, stage, verdict in VERDICTS:
        assert estimate(page, values, gpu)["stages"][stage]["verdict"] == verdict, (values, gpu, stage)


def test_estimate_memory_is_that_of_the_scripts(desktop: Watched, tmp_path: Path) -> None:
    page = desktop.open(address("builder", "en"))
    for values, gpus in (
        ({}, 8),
        ({"STAGE1_NFRAMES": "16", "STAGE2_NFRAMES": "32"}, 1),
        ({"STAGE1_TRAIN_BATCH_SIZE": "2", "STAGE2_VALIDATION_IMAGE": "[]"}, 2),
        ({"STAGE1_MIXED_PRECISION": "bf16", "STAGE1_GRADIENT_CHECKPOINTING": "yes"}, 1),
    ):
        found = estimate(page, {**values, "NUM_GPUS": str(gpus)})["stages"]
        (tmp_path / "config.env").write_text(
            "".join(f"{name}={value}\n" for name, value in {"HF_TOKEN": TOKEN, **values}.items())
        )
        for stage in (1, 2):
            on = "yes" if found[f"stage{stage}"]["checkpointing"] else "no"
            command = f"read_values; GPUS={gpus} NODES=1; memory_needed {stage} {on}"
            result = run_bash(command, tmp_path, script="02_train.sbatch")
            assert result.stdout == str(found[f"stage{stage}"]["need"]), (values, gpus, stage)


def test_estimate_time_and_disk(desktop: Watched) -> None:
    page = desktop.open(address("builder", "en"))

    def hours(**values: str) -> Any:
        return estimate(page, values)["hours"]

    assert hours(STAGE1_MAX_TRAIN_STEPS="100000") > hours() > hours(STAGE="1")
    assert hours(STAGE2_GRADIENT_ACCUMULATION_STEPS="2") > hours()
    assert hours(STAGE1_NFRAMES="7") is None
    assert hours(STAGE1_NFRAMES="7", STAGE="2") == hours(STAGE="2")
    assert hours(STAGE="convert") == 0
    assert int(hours()) + 1 == training_hours(facts()), "READMEs and the launcher say the same"
    assert round(estimate(page, {})["disk"]) == facts().disk_gigabytes()
    assert round(estimate(page, {"DPO_DATASET": "no"})["disk"]) == facts().disk_gigabytes(dpo=False)
    times = {"24:00:00": 1, "2-00:00:00": 1, "12:00:00": 2, "06:00:00": 4, "none": 1}
    assert {time: estimate(page, {"TRAIN_TIME": time})["jobs"] for time in times} == times


def test_recipes_hold_what_they_promise(desktop: Watched) -> None:
    page = desktop.open(address("training-parameters", "en"))
    assert "…" not in "".join(page.locator("[data-recipe]").all_text_contents())
    assert "?" not in "".join(page.locator("[data-recipe]").all_text_contents())
    found = {recipe.name: estimate(page, recipe.values(), recipe.gpu_gib) for recipe in facts().guide.recipes}
    for recipe in facts().guide.recipes:
        verdicts = {stage: found[recipe.name]["stages"][stage]["verdict"] for stage in STAGES}
        assert "fits_not" not in verdicts.values(), recipe.name
        if "unmeasured" in verdicts.values():
            assert re.search("not measured|measured only", recipe.text.en), recipe.name
    assert 10 < found["done-in-12h"]["hours"] * 1.15 <= 12


def test_the_page_says_what_the_estimates_are(desktop: Watched) -> None:
    page = desktop.open(address("builder", "en"))

    def shown(name: str) -> str:
        return page.locator(f'[data-estimate="{name}"]').text_content() or ""

    assert shown("disk") == f"about {facts().disk_gigabytes()} GB"
    hours = training_hours(facts())
    assert shown("time") == f"about {hours} hours, one job, {hours * 8} GPU-hours"
    assert "57.2 GiB" in shown("stage1")
    page.locator("#f-TRAIN_TIME").fill("06:00:00")
    assert "4 jobs" in shown("time")
    page.locator("#builder-gpu").select_option("24")
    assert "does not fit" in shown("stage1")
    put(page, {"STAGE1_RESOLUTION": "256"})
    assert "26.0 GiB" in shown("stage1")
    assert shown("time") == "not measured"
    put(page, {"STAGE1_RESOLUTION": "", "TRAIN_VERSION": "prompt"})
    assert shown("time").startswith("not measured for the prompt version")
    put(page, {"TRAIN_VERSION": "", "STAGE": "1"})
    assert shown("stage2") == "no training"


def test_on_a_phone_the_result_is_one_tap_away(open_context: Callable[..., Watched]) -> None:
    page = open_context(width=390, height=844).open(address("builder", "zh"))
    bar = page.locator("#builder-bar")
    assert "286 GB" in (bar.text_content() or "")
    box = bar.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 844, "in sight without scrolling"
    bar.click()
    page.wait_for_function("document.getElementById('result').getBoundingClientRect().top < innerHeight / 2")

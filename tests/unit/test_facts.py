"""Facts: what they promise each other, and what a maintainer reads after a wrong edit."""

import re
import shutil
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub.hf_api import RepoFile
from jinja2 import TemplateError
from pydantic import BaseModel

from diffueraser_docs.check import check_messages
from diffueraser_docs.facts import FACTS, FactError, Facts, facts, load_facts
from diffueraser_docs.macros import page_templates
from diffueraser_docs.render import ROOT, render_all
from diffueraser_docs.schema.base import LANGUAGES, Text
from diffueraser_docs.schema.hub import Verified
from diffueraser_docs.site import SiteMacros
from diffueraser_docs.verify_hub import verify_hub

# Wherever a default may be changed, the case must not depend on its value.
NFRAMES = re.compile(r"(?<=flag: nframes\n)((?:  .*\n)*?  stage2: )'\d+'")
WRONG: list[tuple[str, str | re.Pattern[str], str, str]] = [
    (
        "configuration.yaml",
        "default: gpu\n",
        "default: 'g p u'\n",
        "GPU_PARTITION: default 'g p u' is not of kind 'partition'",
    ),
    ("configuration.yaml", "kind: partition\n", "kind: partitoin\n", "CPU_PARTITION: unknown kind 'partitoin'"),
    ("configuration.yaml", "group: project", "group: projekt", "PROJECT_HOME: unknown group 'projekt'"),
    ("configuration.yaml", "pattern: 'yes|no'", "pattern: 'yes|(no'", "kinds.yesno.pattern:"),
    ("configuration.yaml", "- name: QOS", "- name: ACCOUNT", "ACCOUNT stands twice"),
    ("training.yaml", NFRAMES, r"\g<1>'33'", "nframes: default '33' is not of kind 'frames32'"),
    ("training.yaml", "flag: nframes", "flag: NFrames", "parameters.NFrames.flag: String should match"),
    ("training.yaml", "group: memory\n", "group: memmory\n", "unknown group 'memmory'"),
    ("training.yaml", "flag: seed", "flag: nframes", "nframes stands twice"),
    ("training.yaml", "flag: output_dir", "flag: logging_dir", "logging_dir stands twice"),
    ("hub.yaml", "role: dpo", "role: dop", "repositories.DPO-dataset.role: Input should be"),
    ("hub.yaml", "role: dpo", "role: extra", "repositories: 0 play the role 'dpo', exactly one must"),
    (
        "hub.yaml",
        "size_bytes: 84000000000",
        "size_bytes: much",
        "repositories.DPO-dataset.size_bytes: Input should be a valid integer",
    ),
    ("hub.yaml", "members: [dataset/DAVIS]", "members: []", "members: List should have at least 1 item"),
    ("environment.yaml", "imports: [", "inports: [", "inports: Extra inputs are not permitted"),
    ("project.yaml", "environment_gb: 8", "environment_gb: -1", "environment_gb: Input should be greater than 0"),
    ("project.yaml", "zh: 一条命令", "fr: une commande", "note.zh: Field required"),
    ("project.yaml", "downloads:", "downloads: [", "while parsing a flow sequence: did not find expected"),
    ("training.yaml", "memory: square", "memory: cube", "resolution: unknown effect 'cube'"),
    ("measured.yaml", "stage: stage2, nframes: 16", "stage: stage3, nframes: 16", "settings.12.stage: Input should be"),
    ("guide.yaml", "lines: [NUM_GPUS=8]", "lines: [NUM_GPUS = 8]", "recipes.eight-80.lines.0: String should match"),
    ("guide.yaml", "lines: [NUM_GPUS=8]", "lines: [NUM_GPU=8]", "guide.yaml: eight-80: NUM_GPU is no variable of config.env"),
    ("guide.yaml", "lines: [NUM_GPUS=8]", "lines: [NUM_GPUS=many]", "eight-80: NUM_GPUS 'many' is not of kind"),
    ("guide.yaml", "set: [CPU_PARTITION", "set: [CPU_PARTITON", "cluster: CPU_PARTITON is no variable of config.env"),
    ("messages.yaml", "group: cluster", "group: clusters", "unknown group 'clusters'"),
    ("patches.yaml", "name: trackers", "name: no-waste", "no-waste stands twice"),
    ("words.yaml", "zh: 设置", "zh: ''", "words.setting.zh: String should have at least 1 character"),
]


@pytest.mark.parametrize(("name", "right", "wrong", "reason"), WRONG, ids=[f"{n}-{w[:20].strip()}" for n, _, w, _ in WRONG])
def test_a_wrong_fact_gives_file_key_and_reason(
    tmp_path: Path, name: str, right: str | re.Pattern[str], wrong: str, reason: str
) -> None:
    folder = shutil.copytree(FACTS, tmp_path / "facts")
    text = (folder / name).read_text()
    if isinstance(right, str):
        right, wrong = re.compile(re.escape(right)), wrong.replace("\\", r"\\")
    assert right.search(text), f"the case is out of date: {right.pattern!r} is not in {name}"
    (folder / name).write_text(right.sub(wrong, text, count=1))
    with pytest.raises(FactError) as error:
        load_facts(folder)
    assert reason in str(error.value)
    assert str(error.value).startswith(name)


def test_a_number_without_quotes_is_one_line_with_its_fix(tmp_path: Path) -> None:
    folder = shutil.copytree(FACTS, tmp_path / "facts")
    path = folder / "training.yaml"
    path.write_text(NFRAMES.sub(r"\g<1>24", path.read_text(), count=1))
    with pytest.raises(FactError) as error:
        load_facts(folder)
    reason = "Input should be a valid string: write '24', with the quotes"
    assert str(error.value) == f"training.yaml: parameters.nframes.stage2: {reason}"


def test_a_text_that_names_no_figure_is_named() -> None:
    data = load_facts()
    text = Text(en="{{ houres }} hours", zh="{{ houres }} 小时")
    recipe = data.guide.recipes[0].model_copy(update={"text": text})
    with pytest.raises(TemplateError, match=r"'houres' is undefined in the text '\{\{ houres \}\} hours' of the facts"):
        SiteMacros(data, "en", {}).recipe(recipe)


def test_every_wrong_file_is_said_at_once(tmp_path: Path) -> None:
    folder = shutil.copytree(FACTS, tmp_path / "facts")
    (folder / "hub.yaml").unlink()
    (folder / "project.yaml").write_text("downloads: x\n")
    with pytest.raises(FactError) as error:
        load_facts(folder)
    assert {line.split(":")[0] for line in str(error.value).splitlines()} == {"hub.yaml", "project.yaml"}


def texts(value: object) -> list[Text]:
    """Every bilingual text below a fact."""
    if isinstance(value, Text):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    if isinstance(value, BaseModel):
        return [text for name in type(value).model_fields for text in texts(getattr(value, name))]
    return []


def test_both_languages_hold_the_same_figures() -> None:
    assert len(texts(facts())) > 150
    for text in texts(facts()):
        english, chinese = (sorted(set(re.findall(r"\d+(?:\.\d+)?", getattr(text, each)))) for each in LANGUAGES)
        words = {"once": "1", "twice": "2", "five": "5", "one": "1"}
        missing = [number for number in english if number not in chinese]
        extra = [number for number in chinese if number not in english and number not in words.values()]
        assert not missing, f"{missing} not in {text.zh!r}, which says {text.en!r}"
        assert not extra, f"{extra} not in {text.en!r}"


def models(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and all models of its fields."""
    found = {model}
    for field in model.model_fields.values():
        inner = re.findall(r"diffueraser_docs\.schema\.(\w+)\.(\w+)", repr(field.annotation))
        for module, name in inner:
            each = getattr(sys.modules[f"diffueraser_docs.schema.{module}"], name)
            if isinstance(each, type) and issubclass(each, BaseModel) and each is not model:
                found |= models(each)
    return found


class FakeHub:
    """Just enough of the Hub's client for everything that is compared to be looked at."""

    def __init__(self, **_: object) -> None:
        pass

    def repo_info(self, *_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(sha="0")

    def list_repo_tree(self, *_: object, **__: object) -> list[RepoFile]:
        names = ("davis_bear/meta.json", "ytbv_a/meta.json", "weights_extras.tar")
        return [RepoFile(path=name, size=1000, oid="0") for name in names]  # type: ignore[no-untyped-call]


def verified(data: Facts) -> Facts:
    """The facts with a repository that was verified."""
    first, *others = data.hub.repositories
    entry = Verified(date=date(2026, 3, 1), commit="0", files=1, size_bytes=1)
    repositories = [first.model_copy(update={"verified": entry}), *others]
    return data.model_copy(update={"hub": data.hub.model_copy(update={"repositories": repositories})})


BY_TESTS = {"Parameter.switch", "TreeEntry.trial"}
"""The scripts tell a switch by the kind of its value; tests compare the two, and know what a trial alone leaves."""


def test_facts_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each field of each model is read while scripts, READMEs, pages and the Hub check are made; loading does not count."""
    data = verified(load_facts())
    read: set[str] = set()
    classes = models(Facts)
    assert len(classes) > 20

    def note(self: BaseModel, name: str) -> object:
        if name in type(self).model_fields:
            read.add(f"{type(self).__name__}.{name}")
        return object.__getattribute__(self, name)

    for model in classes:
        monkeypatch.setattr(model, "__getattribute__", note, raising=False)
    texts = {Path(entry.path).name: entry.text for entry in render_all(data)}
    for language in LANGUAGES:
        names = SiteMacros(data, language, texts).names()
        for page in (ROOT / "docs" / language).glob("*.md"):
            page_templates().from_string(page.read_text()).render(names)
    monkeypatch.setattr(sys.modules["diffueraser_docs.verify_hub"], "HfApi", FakeHub)
    verify_hub(None, data=data)
    check_messages(ROOT, data)
    read |= {"Verified.commit", "Verified.files", "Verified.size_bytes"}  # kept for people who ask what was verified
    fields = {f"{model.__name__}.{name}" for model in classes for name in model.model_fields}
    assert fields - read == BY_TESTS, "nothing reads these"

"""Facts: what they promise each other, and what a maintainer reads after a wrong edit."""

import inspect
import re
import shutil
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from diffueraser_docs.facts import FACTS, FactError, Facts, facts, load_facts
from diffueraser_docs.render import ROOT
from diffueraser_docs.schema.base import LANGUAGES, STAGES, VERSIONS, Text

MODULE = sys.modules[Facts.__module__]
SOURCE = inspect.getsource(MODULE)
TEXT = (".md", ".sbatch", ".env", ".html", ".js")

# Wherever a default may be changed, the case must not depend on its value.
NFRAMES = re.compile(r"(?<=flag: nframes\n)((?:  .*\n)*?  stage2: )'\d+'")
WRONG: list[tuple[str, str | re.Pattern[str], str, str]] = [
    (
        "configuration.yaml",
        "default: gpu\n",
        "default: 'g p u'\n",
        "GPU_PARTITION: default 'g p u' is not of kind 'name'",
    ),
    ("configuration.yaml", "kind: gpus", "kind: gpuz", "NUM_GPUS: unknown kind 'gpuz'"),
    ("configuration.yaml", "group: project", "group: projekt", "PROJECT_HOME: unknown group 'projekt'"),
    ("configuration.yaml", "pattern: 'yes|no'", "pattern: 'yes|(no'", "kinds.yesno.pattern:"),
    ("configuration.yaml", "- name: QOS", "- name: ACCOUNT", "ACCOUNT stands twice"),
    ("training.yaml", NFRAMES, r"\g<1>'33'", "nframes: default '33' is not of kind 'frames32'"),
    ("training.yaml", "flag: nframes", "flag: NFrames", "parameters.3.flag: String should match"),
    ("training.yaml", "group: memory\n", "group: memmory\n", "unknown group 'memmory'"),
    ("training.yaml", "flag: seed", "flag: nframes", "nframes stands twice"),
    ("training.yaml", "flag: output_dir", "flag: logging_dir", "logging_dir stands twice"),
    ("hub.yaml", "role: dpo", "role: dop", "repositories.3.role: Input should be"),
    ("hub.yaml", "role: dpo", "role: extra", "repositories: 0 play the role 'dpo', exactly one must"),
    (
        "hub.yaml",
        "size_bytes: 84000000000",
        "size_bytes: much",
        "repositories.3.size_bytes: Input should be a valid integer",
    ),
    ("hub.yaml", "members: [dataset/DAVIS]", "members: []", "members: List should have at least 1 item"),
    ("environment.yaml", "imports: [", "inports: [", "inports: Extra inputs are not permitted"),
    ("project.yaml", "training: 116", "training: -1", "disk.training: Input should be greater than 0"),
    ("project.yaml", "zh: 一条命令", "fr: une commande", "tree.3.note.zh: Field required"),
    ("project.yaml", "source:", "source: [", "project.yaml: while parsing"),
    ("training.yaml", "memory: square", "memory: cube", "resolution: unknown effect 'cube'"),
    ("measured.yaml", "stage: stage2, nframes: 16", "stage: stage3, nframes: 16", "settings.12.stage: Input should be"),
    ("guide.yaml", "lines: [NUM_GPUS=8]", "lines: [NUM_GPUS = 8]", "recipes.1.lines.0: String should match"),
    ("messages.yaml", "group: cluster", "group: clusters", "unknown group 'clusters'"),
    ("messages.yaml", "- text: UPLOAD_REPO is not set.", "- text: This job has no GPUs.", "This job has no GPUs. stands twice"),
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


def test_every_wrong_file_is_said_at_once(tmp_path: Path) -> None:
    folder = shutil.copytree(FACTS, tmp_path / "facts")
    (folder / "hub.yaml").unlink()
    (folder / "project.yaml").write_text("source: x\n")
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


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_defaults_are_those_of_upstreams_launch(stage: str, version: str) -> None:
    precision = {"non-prompt": "fp16", "prompt": "bf16"}[version]
    expected = {
        "nframes": {"stage1": "10", "stage2": "22"}[stage],
        "mixed_precision": precision,
        "resolution": "512",
        "train_batch_size": "1",
        "learning_rate": "5e-06",
        "max_train_steps": "50000",
        "validation_steps": "2000",
        "checkpointing_steps": "2000",
    }
    ours = {p.flag for p in facts().training.parameters if p.source}
    found = {p.flag: p.default(stage, version) for p in facts().training.parameters}  # type: ignore[arg-type]
    for flag in set(expected) - ours:
        assert found[flag] == expected[flag], (
            f"{flag}: upstream launches {stage} with {expected[flag]}; if {found[flag]} is meant, say why in its `source`"
        )


def test_what_imports_need_is_pinned_or_named() -> None:
    environment = facts().environment
    assert set(environment.pins) <= set(environment.needed)
    assert not set(environment.needed) & set(environment.excluded)


def models(model: type[BaseModel], found: set[type[BaseModel]] | None = None) -> set[type[BaseModel]]:
    """A model of facts and all models below it."""
    found = set() if found is None else found
    if model not in found:
        found.add(model)
        for field in model.model_fields.values():
            for each in [*re.findall(r"facts\.(\w+)", repr(field.annotation)), getattr(field.annotation, "__name__", "")]:
                inner = getattr(MODULE, each, None)
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    models(inner, found)
    return found


def test_every_fact_is_read_somewhere() -> None:
    package = FACTS.parent
    texts_ = [path.read_text() for path in package.glob("*.py") if path.name != "facts.py"]
    texts_ += [
        path.read_text() for folder in (package / "templates", ROOT / "docs") for path in folder.rglob("*") if path.suffix in TEXT
    ]
    everything = "\n".join(texts_) + SOURCE.split("class Facts(Fact)")[1]
    everything += "\n".join(re.findall(r"self\.\w+|parameter\.\w+|fixed\.\w+|repository\.\w+", SOURCE))
    classes = models(Facts)
    assert len(classes) > 15
    unread = {
        f"{model.__name__}.{name}"
        for model in classes
        for name in model.model_fields
        if name != "source" and not re.search(rf"[.\"']{name}\b", everything)
    }
    assert unread == set(), "nothing reads these: a slip in them could not show"

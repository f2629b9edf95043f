"""Rendering: complete, repeatable, whole or not at all."""

import stat
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from diffueraser_docs.facts import facts
from diffueraser_docs.markdown import code_blocks
from diffueraser_docs.render import CHECKSUMS, READMES, ROOT, SCRIPTS, EditedError, Rendered, render_all, render_scripts, write
from diffueraser_docs.schema.base import STAGES


@cache
def script(name: str) -> str:
    """Text of a rendered script."""
    return next(entry.text for entry in render_scripts() if entry.path == f"scripts/{name}")


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    rendered = render_all()
    assert write(rendered, tmp_path) == [entry.path for entry in rendered]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert write(render_all(), tmp_path) == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    for entry in rendered:
        executable = bool((tmp_path / entry.path).stat().st_mode & stat.S_IXUSR)
        assert executable == entry.path.endswith(".sbatch"), entry.path


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(render_scripts(), tmp_path)
    old = (tmp_path / "scripts" / "config.env").read_text()
    (tmp_path / "scripts" / "config.env").write_text("old\n")

    def fail(_: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="No space left"):
            write(render_scripts(), tmp_path, force=True)
    assert (tmp_path / "scripts" / "config.env").read_text() == "old\n"
    assert sorted(path.name for path in (tmp_path / "scripts").iterdir()) == sorted(SCRIPTS)
    write(render_scripts(), tmp_path, force=True)
    assert (tmp_path / "scripts" / "config.env").read_text() == old


def test_write_refuses_an_edit_by_hand(tmp_path: Path) -> None:
    write(render_all(), tmp_path)
    for name in ("README.md", "scripts/02_train.sbatch"):
        (tmp_path / name).write_text((tmp_path / name).read_text() + "by hand\n")
    with pytest.raises(EditedError) as error:
        write(render_all(), tmp_path)
    lines = str(error.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["scripts/02_train.sbatch", "README.md"]
    assert "diffueraser_docs/templates/README.en.md" in lines[1]
    assert write(render_all(), tmp_path, force=True) == ["scripts/02_train.sbatch", "README.md"]


def test_write_takes_over_what_it_wrote_itself(tmp_path: Path) -> None:
    older = [replace(entry, text=f"{entry.text}older\n") for entry in render_all()]
    write(older, tmp_path)
    assert write(render_all(), tmp_path) == [entry.path for entry in older]


def test_write_after_a_merge_with_conflicts(tmp_path: Path) -> None:
    """Git leaves both sides of the record, between its own lines."""
    older = [replace(entry, text=f"{entry.text}older\n") for entry in render_all()]
    write(older, tmp_path)
    record = (tmp_path / CHECKSUMS).read_text()
    write(render_all(), tmp_path)
    (tmp_path / CHECKSUMS).write_text(f"<<<<<<< HEAD\n{record}=======\n{(tmp_path / CHECKSUMS).read_text()}>>>>>>> other\n")
    (tmp_path / older[0].path).write_text(older[0].text)
    assert write(render_all(), tmp_path) == [older[0].path]
    assert "HEAD" not in (tmp_path / CHECKSUMS).read_text()


@pytest.mark.parametrize("entry", render_all(), ids=lambda entry: entry.path)
def test_rendered_says_so_at_its_top(entry: Rendered) -> None:
    first, second = entry.text.splitlines()[:2]
    assert f"Generated from the facts and {entry.template}" in (second if first.startswith("#!") else first)


@pytest.mark.parametrize("language", READMES)
def test_readme_embeds_the_scripts_and_shows_the_start(language: str) -> None:
    readme = READMES[language]
    blocks = [block.text for block in code_blocks((ROOT / readme).read_text(), readme)]
    for entry in render_scripts():
        assert blocks.count(entry.text) == 1, f"{entry.path} in {readme}"
    start = (ROOT / readme).read_text().split("## ", 2)[1]
    for words in ("mkdir -p", "config.env", "sbatch setup_and_train.sbatch"):
        assert words in start, f"{words} is not in the first part of {readme}"
    for command in ("make docs", "make test"):
        assert command in (ROOT / readme).read_text()


def test_config_env_starts_with_the_two_edits() -> None:
    lines = (ROOT / "scripts" / "config.env").read_text().splitlines()
    active = [line for line in lines if line and not line.startswith("#")]
    assert [line.split("=")[0] for line in active] == ["HF_TOKEN", "TRAIN_VERSION"]
    common = [f"{stage.upper()}_{p.variable}" for p in facts().training.parameters if p.common for stage in STAGES]
    shown = [v.name for v in facts().configuration.variables if not v.rare] + common
    missing = [name for name in shown if not any(line.lstrip("# ").startswith(f"{name}=") for line in lines)]
    assert not missing

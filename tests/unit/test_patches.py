"""Patches of upstream's code: each does its work on the stand-in's code, and a result that is no Python is not used."""

import ast
from pathlib import Path

import pytest

from diffueraser_docs.facts import facts
from diffueraser_docs.schema.base import VERSIONS
from tests.bash import run_bash
from tests.trainer import code

PATCHES = facts().patches.patches
TOKEN = "hf_UnitTestToken"
APPLY = 'load_config; PYTHON=$1/bin/python; patch_code "$2"'


def upstream(folder: Path, version: str) -> Path:
    """Upstream's code of a version, unpacked."""
    root = folder / "code"
    for name, content in {**code(prompt=False), **(code(prompt=True) if version == "prompt" else {})}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def environment(folder: Path) -> str:
    """An environment whose Python is that of the node."""
    python = folder / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text('#!/bin/bash\nexec python3 "$@"\n')
    python.chmod(0o755)
    return str(folder / "environment")


def apply(folder: Path, root: Path, skip: str = "") -> str:
    """What setup says while it patches."""
    env = {"HF_TOKEN": TOKEN, **({"SKIP_PATCHES": skip} if skip else {})}
    result = run_bash(APPLY, folder, environment(folder), str(root), script="01_setup.sbatch", **env)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def patch_file(folder: Path, file: Path) -> str:
    """What setup says of one patch, which sets x to 2."""
    code = 'load_config; PYTHON=$1/bin/python; patch_file two "$2" "s/^x = 1/x = 2/"'
    return run_bash(code, folder, environment(folder), str(file), script="01_setup.sbatch", HF_TOKEN=TOKEN).stdout


def stages(name: str) -> int:
    """How many trainers a patch changes."""
    return sum(len(edit.stages) for patch in PATCHES if patch.name == name for edit in patch.edits)


@pytest.mark.parametrize("version", VERSIONS)
def test_patch_code_applied(tmp_path: Path, version: str) -> None:
    root = upstream(tmp_path, version)
    said = apply(tmp_path, root)
    for patch in PATCHES:
        assert said.count(f"patch {patch.name}, ") == said.count(f"patch {patch.name}, train") == stages(patch.name)
    assert said.count(": applied") == sum(stages(patch.name) for patch in PATCHES)
    for stage in (1, 2):
        file = root / f"train_DiffuEraser_stage{stage}.py"
        ast.parse(file.read_bytes())
        assert file.with_name(f"{file.name}.orig").read_bytes() != file.read_bytes()
        assert "accelerator.num_processes" in file.read_text()
        assert "repeat_interleave(args.nframes)" in file.read_text()


@pytest.mark.slow
def test_patch_code_again(tmp_path: Path) -> None:
    root = upstream(tmp_path, "non-prompt")
    apply(tmp_path, root)
    before = {path: path.read_bytes() for path in root.rglob("*.py")}
    assert ": applied" not in apply(tmp_path, root)
    assert {path: path.read_bytes() for path in root.rglob("*.py")} == before


@pytest.mark.slow
@pytest.mark.parametrize("name", [patch.name for patch in PATCHES])
def test_patch_code_skipped(tmp_path: Path, name: str) -> None:
    root = upstream(tmp_path, "non-prompt")
    said = apply(tmp_path, root, name)
    assert said.count("skipped (SKIP_PATCHES)") == stages(name)
    assert said.count(": applied") == sum(stages(patch.name) for patch in PATCHES if patch.name != name)


def test_patch_code_all_skipped(tmp_path: Path) -> None:
    root = upstream(tmp_path, "non-prompt")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    apply(tmp_path, root, " ".join(patch.name for patch in PATCHES))
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_patch_file_invalid_result(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("x = 1\nthis is no Python\n")
    assert "NOT APPLIED" in patch_file(tmp_path, file)
    assert file.read_text() == "x = 1\nthis is no Python\n"


def test_rewrite_paths(tmp_path: Path) -> None:
    root = upstream(tmp_path, "prompt")
    (root / "odd name.sh").write_text("export NCCL_TOPO_FILE=/opt/x\ncd /home/hj/Train_Diffueraser/dataset\n")
    rewrite = 'load_config; rewrite_paths "$1"; cp -r "$1" once; rewrite_paths "$1"; diff -r once "$1"'
    result = run_bash(rewrite, tmp_path, str(root), script="01_setup.sbatch", HF_TOKEN=TOKEN, TRAIN_VERSION="prompt")
    assert result.returncode == 0, result.stderr
    texts = [path.read_text() for path in root.rglob("*") if path.is_file()]
    assert not any("/home/hj/" in text for text in texts)
    assert any(f"{tmp_path}/DiffuEraser_finetune_prompt" in text for text in texts)
    assert f"cd {tmp_path}/DiffuEraser_finetune/dataset" in (root / "odd name.sh").read_text()
    assert "# export NCCL_TOPO_FILE" in (root / "odd name.sh").read_text()

"""Steps of 01_setup.sbatch by themselves: the package list, path rewriting, and the guarded repairs."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from diffueraser_docs.facts import facts
from diffueraser_docs.render import ROOT
from tests.trainer import code

PATCHES = facts().patches.patches
REPAIRS = [patch.name for patch in PATCHES]
UPSTREAM_LIST = {
    "name": "diffueraser",
    "channels": ["defaults"],
    "dependencies": [
        "python=3.9.19=h955ad1f_1",
        "pip=24.0=py39h06a4308_0",
        {
            "pip": [
                "torch==2.3.1",
                "torchvision==0.18.1",
                "accelerate==0.25.0",
                "diffusers==0.29.2",
                "transformers==4.41.1",
                "tokenizers==0.19.1",
                "huggingface-hub==0.36.0",
                "numpy==1.26.4",
                "opencv-python==4.9.0.80",
                "opencv-python-headless==4.9.0.80",
                "pillow==10.4.0",
                "imageio==2.34.1",
                "einops==0.8.0",
                "matplotlib==3.9.4",
                "pyyaml==6.0.3",
                "tqdm==4.66.4",
                "peft==0.13.2",
                "protobuf==3.20.3",
                "clip==1.0",
                "timm==0.6.13",
                "open-clip-torch==3.2.0",
                "hpsv2==1.2.0",
                "image-reward==1.5",
                "fairscale==0.4.13",
                "qwen_vl_utils==0.0.8",
                "pytest==7.2.0",
            ]
        },
    ],
}


def run(folder: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run functions of 01_setup.sbatch in a folder with the scripts."""
    for name in ("01_setup.sbatch", "setup_and_train.sbatch"):
        shutil.copy(ROOT / "scripts" / name, folder / name)
    python = folder / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    if not python.exists():
        python.symlink_to(sys.executable)
    places = {"WORK": str(folder), "ENVIRONMENT": str(folder / "environment")}
    settings = {"PROJECT_HOME": "/project", "SKIP_REPAIRS": "", **places, **variables}
    lines = "\n".join(f"{name}='{value}'" for name, value in settings.items())
    return subprocess.run(
        ["bash", "-c", f"source ./01_setup.sbatch\n{lines}\n{script}"], cwd=folder, capture_output=True, text=True, check=False
    )


# --- the package list ------------------------------------------------------------------------------------------


@pytest.fixture
def upstreams_list(tmp_path: Path) -> Path:
    """environment.yml as upstream has it."""
    path = tmp_path / "environment.yml"
    path.write_text(yaml.safe_dump(UPSTREAM_LIST, sort_keys=False))
    return path


def pins(path: Path, mode: str) -> list[str]:
    """The requirements that setup makes of a list."""
    result = run(path.parent, f"pins_of {mode}", LIST=str(path))
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.mark.parametrize("mode", ["all", "needed"])
def test_upstreams_pins_stay_upstreams(upstreams_list: Path, mode: str) -> None:
    found = pins(upstreams_list, mode)
    names = [re.split("[=<>]", line)[0] for line in found]
    assert len(names) == len(set(names)), "a distribution stands twice"
    assert not set(names) & set(facts().environment.excluded)
    assert not set(names) & set(facts().environment.substitutes)
    for name, version in facts().environment.pins.items():
        assert f"{name}=={version}" in found
    assert set(facts().environment.needed) <= set(names)


def test_a_newer_pin_of_upstream_wins_over_the_facts(upstreams_list: Path) -> None:
    upstreams_list.write_text(
        upstreams_list.read_text().replace("torch==2.3.1", "torch==2.4.0").replace("- einops==0.8.0\n", "- other==1\n")
    )
    found = pins(upstreams_list, "all")
    assert "torch==2.4.0" in found
    assert "torch==2.3.1" not in found
    assert {"other==1", f"einops=={facts().environment.pins['einops']}"} <= set(found)
    assert "other==1" not in pins(upstreams_list, "needed")


@pytest.mark.network
@pytest.mark.parametrize("mode", ["all", "needed"])
def test_the_real_list_resolves_for_upstreams_python(upstreams_list: Path, tmp_path: Path, mode: str) -> None:
    (tmp_path / "list.txt").write_text("\n".join(pins(upstreams_list, mode)))
    uv = Path(sys.executable).with_name("uv")
    command = [
        str(uv),
        "pip",
        "compile",
        "--quiet",
        "--python-version",
        "3.9",
        "--python-platform",
        "x86_64-manylinux_2_28",
        "list.txt",
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "torch==2.3.1" in result.stdout


# --- tools and Python ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["on PATH", "CONDA_EXE", "init file", "module", "nowhere"])
def test_conda_is_found_wherever_the_cluster_keeps_it(tmp_path: Path, how: str) -> None:
    conda = tmp_path / "elsewhere" / "bin" / "conda"
    conda.parent.mkdir(parents=True)
    conda.write_text("#!/bin/sh\n")
    conda.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    init = {
        "init file": f"echo welcome; echo $unset; PATH={conda.parent}:$PATH\n",
        "module": f'module() {{ [ "$1 $2" = "load conda/24" ] && PATH={conda.parent}:$PATH; }}\n',
    }
    (home / ".bash_profile").write_text(init.get(how, "echo welcome\n"))
    before = {"on PATH": f"PATH={conda.parent}:$PATH", "CONDA_EXE": f"CONDA_EXE={conda}"}.get(how, ":")
    script = f"export HOME={home}; {before}; CONDA_MODULE={'conda/24' if how == 'module' else ''}; find_conda"
    result = run(tmp_path, script)
    assert result.stdout == ("" if how == "nowhere" else f"{conda}\n"), result.stderr
    assert (result.returncode == 0) == (how != "nowhere")


@pytest.mark.network
def test_uv_is_had_with_an_old_python_too(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "tools"], check=True)
    result = run(tmp_path, "uv_for_old_python", TOOLS=str(tmp_path / "tools"))
    assert result.returncode == 0, result.stderr
    version = subprocess.run([tmp_path / "tools" / "bin" / "uv", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.split()[1] == facts().environment.tools["uv"].version


# --- paths -------------------------------------------------------------------------------------------------------

PATHS = {
    "/home/hj/Train_Diffueraser_prompt/captions": "/project/DiffuEraser_finetune_prompt/captions",
    "/home/hj/Train_Diffueraser/dataset/DAVIS": "/project/DiffuEraser_finetune/dataset/DAVIS",
    "/home/hj/Train_Diffueraser": "/project/DiffuEraser_finetune",
    "/home/hj/DiffuEraser_new/weights/sd-vae-ft-mse": "/project/DiffuEraser_finetune/weights/sd-vae-ft-mse",
    "/home/hj/something_else": "/project/something_else",
}


@pytest.mark.parametrize("name", ["a.py", "deep/er/b.sh", "c.sbatch", "d.yaml", "no_ending"])
def test_every_prefix_in_every_text_file_is_rewritten_once(tmp_path: Path, name: str) -> None:
    tree = tmp_path / "tree"
    (tree / name).parent.mkdir(parents=True)
    (tree / name).write_text(
        "".join(f'x = "{path}"\n' for path in PATHS) + "export NCCL_TOPO_FILE=/opt/x.xml\n  export NCCL_P2P_LEVEL=NVL\n"
    )
    assert run(tmp_path, "rewrite_paths tree").returncode == 0
    once = (tree / name).read_text()
    assert (
        once
        == "".join(f'x = "{path}"\n' for path in PATHS.values())
        + "# export NCCL_TOPO_FILE=/opt/x.xml\n  # export NCCL_P2P_LEVEL=NVL\n"
    )
    assert run(tmp_path, "rewrite_paths tree").returncode == 0
    assert (tree / name).read_text() == once


def test_data_is_not_touched(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    data = b"\x00\xff/home/hj/Train_Diffueraser\x00"
    (tree / "image.png").write_bytes(data)
    assert run(tmp_path, "rewrite_paths tree").returncode == 0
    assert (tree / "image.png").read_bytes() == data


# --- repairs -----------------------------------------------------------------------------------------------------


def unpack(folder: Path, *, prompt: bool) -> Path:
    """Upstream's code in a folder."""
    for name, content in {**code(prompt=False), **(code(prompt=True) if prompt else {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Upstream's code, unpacked."""
    return unpack(tmp_path / "tree", prompt=False)


@pytest.fixture(scope="module", params=["non-prompt", pytest.param("prompt", marks=pytest.mark.slow)])
def repaired(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], str]:
    """A repaired tree, its trainers before, and what was said."""
    folder = unpack(tmp_path_factory.mktemp("repaired") / "tree", prompt=request.param == "prompt")
    before = trainers(folder)
    return folder, before, repair(folder)


def trainers(tree: Path) -> dict[str, str]:
    """Text of both trainers."""
    return {path.name: path.read_text() for path in sorted(tree.glob("train_*.py"))}


def repair(tree: Path, **variables: str) -> str:
    """Repair a tree and give what was said."""
    result = run(tree.parent, "repair_code tree", **variables)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize("name", REPAIRS)
def test_each_repair_is_reported_backed_up_and_compiles(repaired: tuple[Path, dict[str, str], str], name: str) -> None:
    folder, before, said = repaired
    for file in [file for patch in PATCHES if patch.name == name for edit in patch.edits for file in edit.files]:
        assert f"repair {name} in {file}: applied" in said
        assert (folder / f"{file}.before-{name}").exists()
        assert trainers(folder)[file] != before[file]
        ast.parse(trainers(folder)[file])


def test_a_second_time_nothing_is_needed(tree: Path) -> None:
    repair(tree)
    once = trainers(tree)
    said = repair(tree)
    assert trainers(tree) == once
    assert "applied" not in said
    assert said.count("not needed") == sum(len(edit.files) for patch in PATCHES for edit in patch.edits)


@pytest.mark.slow
@pytest.mark.parametrize("name", REPAIRS)
def test_a_repair_left_out_by_name_changes_nothing_of_its_own(tree: Path, name: str) -> None:
    said = repair(tree, SKIP_REPAIRS=name)
    assert f"repair {name} in" in said
    assert re.search(rf"repair {name} in \S+: left out \(SKIP_REPAIRS\)", said)
    assert not list(tree.glob(f"*.before-{name}"))
    others = [other for other in REPAIRS if other != name]
    assert all(re.search(rf"repair {other} in \S+: applied", said) for other in others)


def test_with_all_left_out_the_code_is_upstreams(tree: Path) -> None:
    before = trainers(tree)
    repair(tree, SKIP_REPAIRS=" ".join(REPAIRS))
    assert trainers(tree) == before


def test_code_that_upstream_has_mended_is_left_alone(tree: Path) -> None:
    mended = {
        r"train_dataloader_len=.*": "train_dataloader_len = math.ceil("
        "train_dataset_len / args.train_batch_size / accelerator.num_processes)",
        r" *unet_main\.save_motion_modules.*\n": "",
        r" *(torch\.cuda\.empty_cache|gc\.collect)\(\)\n": "",
        r"# accelerator\.init_trackers": "accelerator.init_trackers",
    }
    for path in tree.glob("train_*.py"):
        text = path.read_text()
        for old, new in mended.items():
            text = re.sub(old, new, text)
        path.write_text(text)
    said = repair(tree)
    for name in ("epoch-length", "stage1-ending", "no-waste", "trackers"):
        assert re.search(rf"repair {name} in \S+: not needed", said), name
        assert not re.search(rf"repair {name} in \S+: applied", said), name


def test_a_repair_that_would_not_compile_is_taken_back(tree: Path) -> None:
    path = tree / "train_DiffuEraser_stage1.py"
    path.write_text(path.read_text() + "\nthis is no Python\n")
    before = path.read_text()
    said = repair(tree)
    assert path.read_text() == before
    assert "would not compile and was taken back" in said


def test_a_comment_in_another_language_is_no_reason_to_take_a_repair_back(tree: Path) -> None:
    path = tree / "train_DiffuEraser_stage1.py"
    path.write_text("# 抑制警告\n" + path.read_text(), encoding="utf-8")
    result = run(tree.parent, "export LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0; repair_code tree")
    assert "repair epoch-length in train_DiffuEraser_stage1.py: applied" in result.stdout
    assert "taken back" not in result.stderr


def test_no_waste_touches_the_loop_only(tree: Path) -> None:
    repair(tree)
    text = trainers(tree)["train_DiffuEraser_stage1.py"]
    validation = text[text.index("def log_validation") : text.index("def parse_args")]
    assert "gc.collect()" in validation
    assert "gc.collect()" not in text[text.index("for step, batch in enumerate") :]

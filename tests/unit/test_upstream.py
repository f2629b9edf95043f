"""The facts against a second record of upstream, read from its code and listing of 2026-03-01 and written down by hand.

Whoever changes a fact about upstream because upstream has changed changes it here too; a slip of the hand shows.
"""

import re
from pathlib import PurePosixPath

import pytest

from diffueraser_docs.facts import STAGES, VERSIONS, Repository, facts

# name: role, size as shown, bytes, bytes once unpacked, contents, archives with their folder and members
HUB = {
    "DiffuEraser-finetune-code": (
        "code",
        "~10.1 GB",
        10_100_000_000,
        844_000_000 + 5_260_000_000,
        {"DAVIS.tar", "YTBV.tar", "code_base.tar.gz", "environment.yml", "setup_project.sh"},
        {"DAVIS.tar": ("DiffuEraser_finetune", {"dataset/DAVIS"}), "YTBV.tar": ("DiffuEraser_finetune", {"dataset/YTBV"})},
    ),
    "DiffuEraser-finetune-prompt-code": (
        "prompt-code",
        "~0.8 MB",
        800_000,
        4_000_000,
        {"captions.tar.gz", "code_base_prompt.tar.gz", "setup_project_prompt.sh"},
        {},
    ),
    "DiffuEraser-finetune-weights": (
        "weights",
        "~48.4 GB",
        48_400_000_000,
        13_100_000_000,
        {"weights_extras.tar", "stable-diffusion-v1-5/"},
        {
            "weights_extras.tar": (
                "DiffuEraser_finetune/weights",
                {"diffuEraser/brushnet", "diffuEraser/unet_main", "sd-vae-ft-mse", "animatediff-motion-adapter-v1-5-2"},
            )
        },
    ),
    "DPO-dataset": ("dpo", "~84 GB", 84_000_000_000, 0, {"davis_*/", "ytbv_*/"}, {}),
}
COUNTS = {"davis_*/": 60, "ytbv_*/": 1964}
NOT_NEEDED = {"setup_project.sh", "setup_project_prompt.sh", "davis_*/", "ytbv_*/"}
NOTES = {
    "DAVIS.tar": {"844"},
    "YTBV.tar": {"5.26"},
    "captions.tar.gz": {"3561", "90", "3471"},
    "davis_*/": {"1", "2", "4"},
}
FIXED = {
    "stage1": {
        "base_model_name_or_path": "weights/stable-diffusion-v1-5", "pretrained_stage1_path": "weights/diffuEraser",
        "vae_path": "weights/sd-vae-ft-mse", "davis_root": "dataset/DAVIS", "ytvos_root": "dataset/YTBV",
        "output_dir": "finetune-stage1", "logging_dir": "logs-finetune-stage1", "resume_from_checkpoint": "latest",
        "caption_yaml": "captions/all_captions_merged.yaml",
    },
    "stage2": {
        "base_model_name_or_path": "weights/stable-diffusion-v1-5", "pretrained_stage1": "converted_weights/finetuned-stage1",
        "motion_adapter_path": "weights/animatediff-motion-adapter-v1-5-2",
        "vae_path": "weights/sd-vae-ft-mse", "davis_root": "dataset/DAVIS", "ytvos_root": "dataset/YTBV",
        "output_dir": "finetune-stage2", "logging_dir": "logs-finetune-stage2", "resume_from_checkpoint": "latest",
        "caption_yaml": "captions/all_captions_merged.yaml",
    },
}  # fmt: skip
# Flags of the trainers beside the fixed ones: without and with a value.
SWITCHES = "gradient_checkpointing scale_lr allow_tf32 use_8bit_adam enable_xformers_memory_efficient_attention set_grads_to_none"
VALUES = (
    "resolution nframes mixed_precision train_batch_size dataloader_num_workers learning_rate validation_steps "
    "checkpointing_steps max_train_steps validation_image validation_mask validation_prompt seed "
    "gradient_accumulation_steps checkpoints_total_limit lr_scheduler lr_warmup_steps lr_num_cycles lr_power max_grad_norm "
    "adam_beta1 adam_beta2 adam_epsilon adam_weight_decay report_to tracker_project_name proportion_empty_prompts "
    "num_train_epochs"
)
IMPORTS = "torch torchvision accelerate diffusers transformers numpy cv2 PIL imageio einops packaging tqdm matplotlib yaml"
PINS = (
    "torch==2.3.1 torchvision==0.18.1 accelerate==0.25.0 diffusers==0.29.2 transformers==4.41.1 tokenizers==0.19.1 "
    "huggingface-hub==0.36.0 numpy==1.26.4 opencv-python-headless==4.9.0.80 pillow==10.4.0 imageio==2.34.1 einops==0.8.0 "
    "matplotlib==3.9.4 pyyaml==6.0.3 tqdm==4.66.4 peft==0.13.2 protobuf==3.20.3"
)
EXCLUDED = "clip hpsv2 image-reward open-clip-torch timm fairscale qwen-vl-utils pytest pytest-split"
NEEDED_WITHOUT_PIN = "packaging safetensors tensorboard wandb"
REWRITES = [
    ("/home/[h]j/Train_Diffueraser_prompt", "$PROJECT_HOME/DiffuEraser_finetune_prompt"),
    ("/home/[h]j/Train_Diffueraser", "$PROJECT_HOME/DiffuEraser_finetune"),
    ("/home/[h]j/DiffuEraser_new/weights", "$PROJECT_HOME/DiffuEraser_finetune/weights"),
    ("/home/[h]j/", "$PROJECT_HOME/"),
]


@pytest.mark.parametrize("repository", facts().hub.repositories, ids=lambda repository: repository.name)
def test_a_repository_is_as_the_hub_lists_it(repository: Repository) -> None:
    if repository.name not in HUB:
        pytest.skip("added since; the four are looked for below")
    role, size, size_bytes, unpacked, contents, archives = HUB[repository.name]
    assert (repository.role, repository.size, repository.size_bytes, repository.unpacked_bytes) == (
        role,
        size,
        size_bytes,
        unpacked,
    )
    assert {content.path for content in repository.contents} == contents
    assert {a.file: (a.into, set(a.members)) for a in repository.archives} == archives
    for content in repository.contents:
        assert content.count == COUNTS.get(content.path), content.path
        assert content.needed == (content.path not in NOT_NEEDED), content.path
        noted = set(re.findall(r"\d+(?:\.\d+)?", content.note.en)) if content.note else set()
        assert not noted or content.path not in NOTES or noted == NOTES[content.path], content.path


def test_all_four_repositories_are_there() -> None:
    assert set(HUB) <= {repository.name for repository in facts().hub.repositories}
    assert (facts().hub.organisation, facts().hub.repo_type) == ("JiaHuang01", "dataset")
    assert facts().hub.endpoint == "https://huggingface.co"
    assert facts().hub.token_page == "https://huggingface.co/settings/tokens"
    assert facts().hub.pointer_line == "version https://git-lfs.github.com/spec/v1"


@pytest.mark.parametrize("repository", facts().hub.repositories, ids=lambda repository: repository.name)
def test_the_size_shown_is_the_size_counted_with(repository: Repository) -> None:
    number, unit = repository.size.removeprefix("~").split()
    assert round(float(number) * {"MB": 10**6, "GB": 10**9}[unit]) == repository.size_bytes


def test_the_disk_holds_what_the_archives_unpack_to() -> None:
    disk = facts().project.disk
    assert facts().hub.unpacked == 19.2
    checkpoints = 3 * (20.95 + 12.42)  # kept per stage, and measured
    converted = (6.6 + 8.2) * 1024**3 / 1e9
    assert disk.training == round(checkpoints + converted)
    assert disk.environment == 8


@pytest.mark.parametrize("stage", STAGES)
def test_the_fixed_flags_are_those_of_upstreams_launch(stage: str) -> None:
    found = {fixed.flag: getattr(fixed, stage) for fixed in facts().training.fixed if getattr(fixed, stage)}
    assert found == FIXED[stage]
    assert [f.flag for f in facts().training.fixed if f.versions != list(VERSIONS)] == ["caption_yaml"]


def test_the_parameters_are_the_flags_of_the_trainers() -> None:
    known = dict.fromkeys(SWITCHES.split(), True) | dict.fromkeys(VALUES.split(), False)
    found = {parameter.flag: parameter.switch for parameter in facts().training.parameters}
    assert {flag: found.get(flag) for flag in known} == known
    told = {p.flag for p in facts().training.parameters if p.source}
    new = set(found) - set(known) - told
    assert not new, f"{new}: upstream's trainers of 2026-03-01 know no such flag; if they do now, say where in `source`"


def test_the_environment_is_upstreams() -> None:
    environment = facts().environment
    assert environment.python == "3.9.19"
    assert environment.imports == IMPORTS.split()
    assert environment.pins == dict(pin.split("==") for pin in PINS.split())
    assert set(environment.excluded) == set(EXCLUDED.split())
    assert set(environment.needed) == set(environment.pins) | set(NEEDED_WITHOUT_PIN.split())
    assert environment.substitutes == {"opencv-python": "opencv-python-headless"}
    assert environment.tools["huggingface_hub"].startswith("2."), "the client before 1.0 has no hf"


def test_the_folders_are_those_of_the_plan() -> None:
    project = facts().project
    assert project.downloads == "DiffuEraser_downloads"
    assert project.roots == {"non-prompt": "DiffuEraser_finetune", "prompt": "DiffuEraser_finetune_prompt"}
    assert (project.converted, project.logs) == ("converted_weights", "logs")
    assert [(rewrite.prefix, rewrite.target) for rewrite in project.rewrites] == REWRITES
    pairs = next(entry for entry in project.tree if entry.path.endswith("DPO-dataset/"))
    assert pairs.note is not None
    assert re.findall(r"\d+", pairs.note.en) == [str(sum(COUNTS.values()))]
    for entry in project.tree:
        pattern = PurePosixPath(entry.path).name + "/"
        if pattern in COUNTS and entry.note:
            assert re.findall(r"\d+", entry.note.en) == [str(COUNTS[pattern])]

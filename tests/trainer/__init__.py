"""Builds the four repositories with the stand-in for upstream's code, as small as their names and layout allow."""

import gzip
import hashlib
import io
import json
import random
import shutil
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from diffueraser_docs.facts import Facts, facts

CODE = Path(__file__).parent / "code"
ROOTS = {False: "/home/hj/Train_Diffueraser", True: "/home/hj/Train_Diffueraser_prompt"}
DAVIS = ("bear", "boat", "camel")
CLIPS = 24
FRAMES = 3
WIDTH = 8


def image(seed: int) -> bytes:
    """A small JPEG."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 24), (seed * 37 % 256, seed * 91 % 256, seed * 53 % 256)).save(buffer, "JPEG")
    return buffer.getvalue()


def weights(name: str) -> bytes:
    """A safetensors file of the tiny model, the same at every build."""
    values = [
        int.from_bytes(hashlib.sha256(f"{name}{i}".encode()).digest()[:2], "big") / 65536 - 0.5 for i in range(WIDTH * WIDTH)
    ]
    weight, bias = struct.pack(f"<{WIDTH * WIDTH}f", *values), struct.pack(f"<{WIDTH}f", *values[:WIDTH])
    head = json.dumps(
        {
            "linear.weight": {"dtype": "F32", "shape": [WIDTH, WIDTH], "data_offsets": [0, len(weight)]},
            "linear.bias": {
                "dtype": "F32",
                "shape": [WIDTH],
                "data_offsets": [len(weight), len(weight) + len(bias)],
            },
        }
    ).encode()
    return struct.pack("<Q", len(head)) + head + weight + bias


def model(folder: str) -> dict[str, bytes]:
    """The two files of a model."""
    return {
        f"{folder}config.json": json.dumps({"width": WIDTH}).encode(),
        f"{folder}diffusion_pytorch_model.safetensors": weights(folder),
    }


def tar(files: Mapping[str, bytes], *, gzipped: bool = False) -> bytes:
    """An archive that is the same at every build."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0) if gzipped else buffer.getvalue()


def code(*, prompt: bool) -> dict[str, bytes]:
    """The files of code_base.tar.gz, or of the overlay of the prompt version."""
    environment = Environment(
        loader=FileSystemLoader(CODE),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    files: dict[str, str] = {}
    for stage in (1, 2):
        values = {"stage": stage, "prompt": prompt, "root": ROOTS[prompt]}
        files[f"train_DiffuEraser_stage{stage}.py"] = environment.get_template("train.py.j2").render(values)
        files[f"save_checkpoint_stage{stage}.py"] = environment.get_template("convert.py.j2").render(values)
        files[f"finetune_stage{stage}.sh"] = environment.get_template("finetune_stage.sh.j2").render(values)
    files["run_finetune_all.sbatch"] = environment.get_template("run_finetune_all.sbatch.j2").render(root=ROOTS[prompt])
    files["dataset/finetune.py"] = (CODE / "finetune.py").read_text()
    if not prompt:
        files |= {
            "libs/models.py": (CODE / "models.py").read_text(),
            "diffueraser/__init__.py": 'WEIGHTS = "/home/hj/DiffuEraser_new/weights"\n',
            "environment.yml": environment_yml(facts()),
        }
    return {name: text.encode() for name, text in files.items()}


def environment_yml(data: Facts) -> str:
    """Upstream's list; the scripts install from the facts."""
    pins = [f"{name}=={version}" for name, version in data.environment.requirements.items()]
    listed = {"name": "diffueraser", "dependencies": [f"python={data.environment.python}", {"pip": pins}]}
    return yaml.safe_dump(listed, sort_keys=False)


def repositories(data: Facts, padding: int = 0) -> dict[str, dict[str, bytes]]:
    """Files of each repository by the repository's name.

    With padding, archives and code hold so many more small files, and unpacking them takes a while.
    """
    more = {f"{number:05}": random.Random(number).randbytes(1000) for number in range(padding)}
    clips = [f"clip{number:04}" for number in range(CLIPS - len(DAVIS))]
    frames = {name: [(f"{i:05}", image(n * 7 + i)) for i in range(FRAMES)] for n, name in enumerate((*DAVIS, *clips))}
    davis = {"dataset/DAVIS/ImageSets/2017/train.txt": "\n".join(DAVIS).encode()}
    for name in DAVIS:
        davis |= {f"dataset/DAVIS/JPEGImages/480p/{name}/{i}.jpg": data_ for i, data_ in frames[name]}
        davis |= {f"dataset/DAVIS/Annotations/480p/{name}/{i}.png": data_ for i, data_ in frames[name]}
    ytbv = {f"dataset/YTBV/JPEGImages/{name}/{i}.jpg": data_ for name in clips for i, data_ in frames[name]}
    # More than one of the client's 10 MB chunks, so that a resumed download can be told from one begun again.
    ytbv["dataset/YTBV/padding.bin"] = hashlib.shake_128(b"padding").digest(24_000_000)
    ytbv |= {f"dataset/YTBV/padding/{name}": data_ for name, data_ in more.items()}
    captions = yaml.safe_dump({name: f"a video of {name}" for name in frames}).encode()
    extras: dict[str, bytes] = {}
    for folder in (
        "diffuEraser/brushnet/",
        "diffuEraser/unet_main/",
        "sd-vae-ft-mse/",
        "animatediff-motion-adapter-v1-5-2/",
    ):
        extras |= model(folder)
    diffusion: dict[str, bytes] = {"stable-diffusion-v1-5/model_index.json": b"{}"}
    for part in ("unet", "vae", "text_encoder"):
        diffusion |= model(f"stable-diffusion-v1-5/{part}/")
    diffusion["stable-diffusion-v1-5/v1-5-pruned.ckpt"] = hashlib.shake_128(b"checkpoint").digest(12_000_000)
    for part in ("tokenizer", "scheduler"):
        diffusion[f"stable-diffusion-v1-5/{part}/config.json"] = b"{}"
    pairs: dict[str, bytes] = {}
    for folder in ("davis_bear", "davis_boat", "ytbv_clip0000"):
        for part in ("gt_frames", "masks", "neg_frames_1", "neg_frames_2"):
            pairs |= {f"{folder}/{part}/{i}.{'png' if part == 'masks' else 'jpg'}": data_ for i, data_ in frames["bear"]}
        pairs |= {f"{folder}/meta.json": b"{}", f"{folder}/comparison.mp4": image(1) * 3}
    hub = data.hub
    return {
        hub.by_role("code").name: {
            "DAVIS.tar": tar(davis),
            "YTBV.tar": tar(ytbv),
            "code_base.tar.gz": tar(code(prompt=False) | padded_code(padding // 10), gzipped=True),
            "environment.yml": environment_yml(data).encode(),
            "setup_project.sh": b"tar xf DAVIS.tar; tar xf YTBV.tar; echo done\nexit 0\n",
        },
        hub.by_role("prompt-code").name: {
            "captions.tar.gz": tar({"captions/all_captions_merged.yaml": captions}, gzipped=True),
            "code_base_prompt.tar.gz": tar(code(prompt=True), gzipped=True),
            "setup_project_prompt.sh": b"tar xzf captions.tar.gz; echo done\nexit 0\n",
        },
        hub.by_role("weights").name: {"weights_extras.tar": tar(extras), **diffusion},
        hub.by_role("dpo").name: pairs,
    }


def padded_code(count: int) -> dict[str, bytes]:
    """Modules with hard-coded paths."""
    return {f"libs/padding/module{number:05}.py": b'ROOT = "/home/hj/Train_Diffueraser/dataset"\n' for number in range(count)}


def build_repositories(root: Path, data: Facts | None = None, padding: int = 0) -> None:
    """Write all four repositories below ROOT/<organisation>."""
    data = data or facts()
    for name, files in repositories(data, padding).items():
        folder = root / data.hub.organisation / name
        shutil.rmtree(folder, ignore_errors=True)
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)

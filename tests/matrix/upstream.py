"""The four repositories as small as their names and layout allow, with trainers that compute nothing."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from diffueraser_docs.facts import facts

STUB = Path(__file__).parent / "stub"
MODEL = {"config.json": b"{}", "diffusion_pytorch_model.safetensors": b"\x02\0\0\0\0\0\0\0{}"}
EXTRAS = ("diffuEraser/brushnet", "diffuEraser/unet_main", "sd-vae-ft-mse", "animatediff-motion-adapter-v1-5-2")
CLIPS = ("bear", "boat")


def tar(files: Mapping[str, bytes]) -> bytes:
    """An archive that is the same at every build."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def code() -> dict[str, bytes]:
    """The trainers and converters."""
    train, convert = (STUB / "train.py").read_bytes(), (STUB / "convert.py").read_bytes()
    names = {f"train_DiffuEraser_stage{stage}.py": train for stage in (1, 2)}
    return names | {f"save_checkpoint_stage{stage}.py": convert for stage in (1, 2)}


def repositories() -> dict[str, dict[str, bytes]]:
    """Files of each repository, by the role that it has."""
    davis = {
        f"dataset/DAVIS/{kind}/480p/{clip}/00000.{end}": b"frame"
        for kind, end in (("JPEGImages", "jpg"), ("Annotations", "png"))
        for clip in CLIPS
    }
    ytbv = {f"dataset/YTBV/JPEGImages/{clip}/00000.jpg": b"frame" for clip in CLIPS}
    diffusion = {f"stable-diffusion-v1-5/{part}/{name}": data for part in ("unet", "vae") for name, data in MODEL.items()}
    return {
        "code": {
            "DAVIS.tar": tar(davis),
            "YTBV.tar": tar(ytbv),
            "code_base.tar.gz": gzip.compress(tar(code()), mtime=0),
            "environment.yml": b"dependencies:\n- python=3.9.19\n- pip:\n  - torch==2.3.1\n",
        },
        "prompt-code": {
            "captions.tar.gz": gzip.compress(tar({"captions/all_captions_merged.yaml": b"bear: a bear\n"}), mtime=0),
            "code_base_prompt.tar.gz": gzip.compress(tar(code()), mtime=0),
        },
        "weights": {
            "weights_extras.tar": tar({f"{folder}/{name}": data for folder in EXTRAS for name, data in MODEL.items()}),
            **diffusion,
        },
        "dpo": {f"{clip}/gt_frames/00000.jpg": b"frame" for clip in CLIPS},
    }


def build_repositories(root: Path) -> None:
    """Write all four repositories below ROOT/<organisation>."""
    hub = facts().hub
    for role, files in repositories().items():
        for path, content in files.items():
            file = root / hub.organisation / hub.by_role(role).name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

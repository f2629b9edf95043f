"""Repositories of a size at which seconds mean something, made of noise that no disk or protocol can shrink."""

import io
import random
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from diffueraser_docs.facts import Facts, facts
from tests.trainer import build_repositories

MB = 1_000_000
SMALL_FILES = 24_000
"""Files of YTBV.tar, of about 30 kB each, as frames are."""
SMALL_BYTES = 30_000
BIG_FILES = (320 * MB, 240 * MB, 120 * MB, 80 * MB)
"""The tensors of weights_extras.tar, one per member."""
PLAIN_FILES = (280 * MB, 160 * MB, 120 * MB, 80 * MB, 60 * MB, 8 * MB, 2 * MB, MB, MB // 10)
"""The plain files of stable-diffusion-v1-5."""
EXTRAS = ("diffuEraser/brushnet", "diffuEraser/unet_main", "sd-vae-ft-mse", "animatediff-motion-adapter-v1-5-2")
PAIRS = {"davis": 60, "ytbv": 1964}
"""Folders of DPO-dataset, as many as upstream has."""
PARTS = {"gt_frames": "jpg", "masks": "png", "neg_frames_1": "jpg", "neg_frames_2": "jpg"}
FRAMES_EACH = 2
"""Frames in each of a pair's folders; upstream has some sixty."""
PAIR_BYTES = 12_000


def large_bytes() -> int:
    """Bytes of the repositories that training needs, without headers and the few small files."""
    return SMALL_FILES * SMALL_BYTES + sum(BIG_FILES) + sum(PLAIN_FILES)


def pairs_files() -> int:
    """Files of DPO-dataset with all its folders."""
    return sum(PAIRS.values()) * (len(PARTS) * FRAMES_EACH + 2)


def noise(seed: int, size: int) -> Iterator[bytes]:
    """So many bytes that cannot be compressed, piece by piece, the same at every build."""
    source = random.Random(seed)
    while size > 0:
        piece = min(size, 8 * MB)
        yield source.randbytes(piece)
        size -= piece


def write_noise(path: Path, seed: int, size: int) -> None:
    """Write a file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(noise(seed, size))


def write_tar(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write an archive without holding it in memory."""
    with tarfile.open(path, "w") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))


def frames(count: int) -> Iterator[tuple[str, bytes]]:
    """The many small files of YTBV.tar, 60 to a folder."""
    source = random.Random(count)
    for number in range(count):
        yield f"dataset/YTBV/JPEGImages/clip{number // 60:04}/{number % 60:05}.jpg", source.randbytes(SMALL_BYTES)


def extras() -> Iterator[tuple[str, bytes]]:
    """The few big files of weights_extras.tar."""
    for number, (folder, size) in enumerate(zip(EXTRAS, BIG_FILES, strict=True)):
        yield f"{folder}/config.json", b"{}"
        yield f"{folder}/diffusion_pytorch_model.safetensors", b"".join(noise(number, size))


def build_large(root: Path, data: Facts | None = None) -> None:
    """The repositories that training needs: over 2 GB, in one big archive, one of many files, and plain files."""
    data = data or facts()
    build_repositories(root, data)
    code, weights_ = (root / data.hub.organisation / data.hub.by_role(role).name for role in ("code", "weights"))
    write_tar(code / "YTBV.tar", frames(SMALL_FILES))
    write_tar(weights_ / "weights_extras.tar", extras())
    for number, size in enumerate(PLAIN_FILES):
        write_noise(weights_ / "stable-diffusion-v1-5" / f"part{number}.safetensors", number, size)


def build_pairs(folder: Path, share: float = 1) -> int:
    """DPO-dataset with a share of its folders.

    Returns:
        How many files it holds.
    """
    source, count = random.Random(0), 0
    for kind, number in PAIRS.items():
        for index in range(max(1, round(number * share))):
            pair = folder / f"{kind}_{index:04}"
            files = {f"{part}/{frame:05}.{end}" for part, end in PARTS.items() for frame in range(FRAMES_EACH)}
            for path in sorted(files | {"comparison.mp4"}):
                (pair / path).parent.mkdir(parents=True, exist_ok=True)
                (pair / path).write_bytes(source.randbytes(PAIR_BYTES))
            (pair / "meta.json").write_text(f'{{"pair": "{kind}_{index:04}"}}')
            count += len(files) + 2
    return count

"""A hostile Hub: listings, archives and answers."""

import io
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz import hostile
from tests.replay.site import Site

DPO, CODE, PROMPT, WEIGHTS = (
    "DPO-dataset",
    "DiffuEraser-finetune-code",
    "DiffuEraser-finetune-prompt-code",
    "DiffuEraser-finetune-weights",
)
ARCHIVES = {
    f"{CODE}/DAVIS.tar": "",
    f"{CODE}/YTBV.tar": "",
    f"{WEIGHTS}/weights_extras.tar": "",
    f"{CODE}/code_base.tar.gz": "gz",
    f"{PROMPT}/captions.tar.gz": "gz",
    f"{PROMPT}/code_base_prompt.tar.gz": "gz",
}


def name(dice: random.Random, canary: Path) -> str:
    """The name of a file that may exist on a disk."""
    text = hostile(dice, canary).replace("/", dice.choice(["_", "/x"])).strip("/") or "-"
    parts = [part[:250] or "-" for part in text.split("/") if part not in ("", ".", "..")]
    return dice.choice(["", "-", "a/", " ", "davis_bear/", "'", "\n"]) + ("/".join(parts) or "-")


def write(path: Path, data: bytes) -> None:
    """A file, unless a file or folder of its name is in the way."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError:
        return


def listing(dice: random.Random, site: Site, canary: Path) -> str:
    """Odd files that are there, or a listing that lies."""
    repository = site.stubs / "hub" / DPO
    if dice.random() < 0.5:
        names = [name(dice, canary) for _ in range(dice.randint(1, 4))]
        for each in names:
            write(repository / each, dice.randbytes(dice.choice([0, 1, 2000])))
        return repr(names)
    lines = []
    for _ in range(dice.randint(1, 6)):
        size = dice.choice(
            ["0", "12", "2000", "5000", "9" * 15, "9" * 25, "-1", "", "08", f"a[$(touch${{IFS}}{canary})]", "1e3", "x"]
        )
        path = dice.choice(
            [name(dice, canary), f"../{canary.name}", str(canary), "a/../../b", "a", "a/b", "x" * 300, "x/" * 200 + "y"]
        )
        lines.append(
            dice.choice([f"{size}  2026-01-02 03:04:05  {path}", f"{size} {path}", f"{path}", "Warning: be careful: a b", ""])
        )
    site.answer("hf", "datasets ls", out="\n".join(lines))
    return repr(lines)


def member(dice: random.Random, canary: Path, kind: bytes | None = None) -> tuple[tarfile.TarInfo, bytes]:
    """One hostile member."""
    target = dice.choice(
        [str(canary.parent / "home"), "/etc", "..", "../../..", "x", "libs", "", "dataset", hostile(dice, canary)]
    )
    where = dice.choice(
        [
            *(
                str(canary),
                f"../{canary.name}",
                f"../../../{canary.name}",
                f"a/../../{canary.name}",
                name(dice, canary),
                "x" * 300,
            ),
            *(
                "libs",
                "dataset",
                "dataset/DAVIS",
                "weights",
                "weights/diffuEraser",
                "train_DiffuEraser_stage1.py",
                ".hidden",
                "libs/.hidden",
            ),
            *(
                "dataset/.hidden",
                "x",
                f"x/{canary.name}",
                "finetune-stage1/checkpoint-1/x",
                "converted_weights/x",
                ".tmp-code",
                "dataset/evil.py",
            ),
        ]
    )
    info = tarfile.TarInfo(where)
    kinds = (
        [tarfile.REGTYPE] * 4
        + [tarfile.SYMTYPE] * 3
        + [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
    )
    info.type = kind or dice.choice(kinds)
    info.mode = dice.choice([0o644, 0o755, 0o6755, 0o777, 0o000, 0o4711])
    info.uid = info.gid = dice.choice([0, 12345])
    info.linkname = target if info.issym() or info.islnk() else ""
    info.devmajor, info.devminor = 1, 3
    data = b"# hostile\n" if info.isreg() else b""
    info.size = len(data)
    return info, data


def archive(dice: random.Random, site: Site, canary: Path) -> str:
    """One archive, or two, with hostile members or cut."""
    said = []
    for path in dice.sample(sorted(ARCHIVES), dice.choice([1, 1, 2])):
        file = site.stubs / "hub" / path
        if dice.random() < 0.15:
            data = file.read_bytes()
            data = dice.choice(
                [b"", data[: dice.randint(1, len(data) - 1)], dice.randbytes(3000), b"<html>", data + dice.randbytes(700)]
            )
            file.write_bytes(data)
            said.append(f"{path}: {len(data)} bytes")
            continue
        buffer, added = io.BytesIO(), []
        with tarfile.open(file) as old, tarfile.open(fileobj=buffer, mode=f"w:{ARCHIVES[path]}") as new:  # type: ignore[call-overload]
            for info in old.getmembers():
                if dice.random() < 0.97:
                    new.addfile(info, old.extractfile(info))
            for _ in range(dice.randint(1, 3)):
                info, data = member(dice, canary)
                added.append(f"{info.name!r} {info.type!r} {info.mode:o} -> {info.linkname!r}")
                new.addfile(info, io.BytesIO(data))
        file.write_bytes(buffer.getvalue())
        said.append(f"{path}: {added}")
    return "\n".join(said)


def answers(dice: random.Random, site: Site, canary: Path) -> str:
    """What the Hub says to a question for a file, for its listing and for the downloads."""
    rules: list[dict[str, Any]] = []
    for _ in range(dice.randint(1, 3)):
        header = dice.choice(
            [
                "Retry-After",
                "RateLimit",
                "X-Repo-Commit",
                "X-Error-Code",
                "Location",
                "Content-Type",
                "Content-Length-X",
                "Set-Cookie",
            ]
        )
        value = dice.choice(
            [hostile(dice, canary), "9" * 30, "-5", "f" * 40, "text/html", "GatedRepo", site.server.address, "r;t=99999999999999"]
        )
        value = value.encode("ascii", "replace").decode().replace("\n", " ").replace("\r", " ")
        rules.append(
            {
                "path": dice.choice(["", CODE, PROMPT, "resolve"]),
                "status": dice.choice([200, 204, 301, 302, 307, 401, 403, 404, 416, 418, 429, 500, 503, 599, 999]),
                "headers": {header: value},
                "body": dice.choice(["", "<html>", hostile(dice, canary), "x" * 100_000]).encode("utf-8", "replace").decode(),
                "times": dice.choice([1, 2, 5, 1000]),
            }
        )
    site.reach_hub(rules)
    said = hostile(dice, canary)
    for words in dice.sample(["datasets ls", "^download", "cache verify"], dice.randint(0, 2)):
        out = dice.choice(
            [
                "",
                said,
                f'{{"sha": "{said}"}}',
                '{"sha": "' + "a" * 40 + '"}' * dice.randint(1, 3),
                f"  - {said}: expected x",
                f"HTTP 429; t={said}",
            ]
        )
        site.answer(
            "hf",
            words,
            out=out,
            err=dice.choice(["", said, f"Error: {said}", "Retry-After: " + "9" * 25]),
            status=dice.choice([0, 1, 2]),
        )
        rules.append({words: out})
    return repr(rules)


KINDS: dict[str, tuple[Callable[[random.Random, Site, Path], str], list[str]]] = {
    "listing": (listing, ["bash 01_setup.sbatch dpo-dataset"]),
    "archive": (archive, ["bash 01_setup.sbatch training", "sbatch 02_train.sbatch"]),
    "answers": (answers, ["bash 01_setup.sbatch dpo-dataset", "bash 01_setup.sbatch training"]),
}
"""Each with the commands that meet it."""


ANSWERS = {
    "access": "/resolve/main/",
    "info": "/revision/main",
    "listing": "/tree/",
    "small file": r"/resolve/[0-9a-f]{40}/(?!.*\.(tar|gz)$)",
    "large file": r"/cdn/.*\.(tar|gz)",
}
"""Of the Hub, by path; hf asks for listings and small files, curl for the others."""


def bodies(dice: random.Random) -> list[dict[str, object]]:
    """Faults of the stand-in Hub: bodies that are cut short or never end."""
    faults: list[dict[str, object]] = []
    for answer in dice.sample(sorted(ANSWERS), dice.choice([1, 1, 2, 3])):
        kind = dice.choice(["cut", "endless"])
        if kind == "cut" and answer.endswith("file"):
            kind = "drop"
        count = 1 if (kind, answer) == ("endless", "small file") else dice.choice([1, 1, 2, None])  # bytes arrive: hf goes on
        faults.append({"match": ANSWERS[answer], "kind": kind, "count": count, "value": dice.choice([0, 1, 700, 5000])})
    return faults

"""A collaborator's folder: the files of a run, the two edits, and what became of them."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from diffueraser_docs.facts import facts
from diffueraser_docs.markdown import code_blocks
from diffueraser_docs.render import READMES, ROOT, SCRIPTS
from diffueraser_docs.schema.base import VERSIONS
from tests.cluster.lab import Lab
from tests.hub import TOKEN, Hub

# A run of seconds: few steps, checkpoints that do not fall on the last one, the same numbers every time.
SHORT = {
    f"STAGE{stage}_{name}": value
    for stage in (1, 2)
    for name, value in {"MAX_TRAIN_STEPS": "12", "CHECKPOINTING_STEPS": "5", "SEED": "1"}.items()
}
TRAINING_OUTPUT = (
    "finetune-stage1",
    "finetune-stage2",
    "logs-finetune-stage1",
    "logs-finetune-stage2",
    "converted_weights",
    "trial",
)
# Beside the weights: parameters, times and jobs of their own.
RECORDS = ("weights.json", "summary.txt")


class Index(Protocol):
    """A package index: its address, and where uv keeps what it has unpacked."""

    url: str
    cache: Path


class Project:
    """The folder in which a collaborator works, and the environment of the shell there."""

    def __init__(self, folder: Path, lab: Lab, hub: Hub, index: Index) -> None:
        self.folder = folder
        self.lab = self.home_lab = lab
        # Where this machine's stand-ins are; a collaborator behind a mirror sets PYPI_MIRROR and HF_ENDPOINT.
        self.env = {"PYPI_MIRROR": index.url, "UV_CACHE_DIR": str(index.cache), "STANDIN_QUICK": "yes", "NUM_GPUS": "2", **SHORT}
        self.ask(hub)

    def ask(self, hub: Hub) -> None:
        """Download from this Hub from now on."""
        self.hub = hub
        self.env["HF_ENDPOINT"] = hub.endpoint

    def copy_scripts(self, readme: str | None = None) -> None:
        """Put the files into the folder; with `readme` ("en", "zh") out of that README's code blocks."""
        self.folder.mkdir(parents=True, exist_ok=True)
        blocks = {block.text for block in code_blocks((ROOT / READMES[readme]).read_text(), readme)} if readme else set()
        for name in SCRIPTS:
            text = (ROOT / "scripts" / name).read_text()
            assert not readme or text in blocks, f"{name} is not in the README byte for byte"
            (self.folder / name).write_text(text)

    def large_from(self, size: int) -> None:
        """Let setup take files of more bytes than this for large ones, in this folder's copy of it."""
        self._change("01_setup.sbatch", r"(?m)^LARGE=\d+", f"LARGE={size}")

    def look_every(self, seconds: int) -> None:
        """Let training look at its trainer so often, in this folder's copy of it: once a minute is seldom for a test."""
        self._change("02_train.sbatch", "while pause 60;", f"while pause {seconds};")

    def _change(self, script: str, pattern: str, text: str) -> None:
        path = self.folder / script
        changed, count = re.subn(pattern, text, path.read_text())
        assert count == 1, f"{script} has no {pattern}"
        path.write_text(changed)

    def edit(self, **values: str) -> None:
        """Set variables in config.env: on their own line when it has one, else at the end."""
        path = self.folder / "config.env"
        text = path.read_text()
        for name, value in values.items():
            text, count = re.subn(rf"^#?\s*{name}=[^\s#]*", f"{name}={value}", text, count=1, flags=re.MULTILINE)
            text += "" if count else f"{name}={value}\n"
        path.write_text(text)

    def line(self, name: str) -> int:
        """The number of the line in config.env that sets a variable."""
        lines = (self.folder / "config.env").read_text().splitlines()
        return next(number for number, line in enumerate(lines, 1) if line.startswith(f"{name}="))

    def two_edits(self, version: str) -> None:
        """What every collaborator edits."""
        self.edit(HF_TOKEN=TOKEN, TRAIN_VERSION=version)

    def sbatch(self, *arguments: str, **env: str) -> int:
        """Submit as typed; gives the job id."""
        return self.lab.sbatch(*arguments, cwd=self.folder, env={**self.env, **env})

    def bash(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`bash …` as typed on the login node."""
        return self.lab.run(["bash", *arguments], self.folder, {**self.env, **env})

    def run(self, *arguments: str, timeout: float = 240, **env: str) -> str:
        """Submit a script, wait for its end, give its final state."""
        return self.lab.wait(self.sbatch(*arguments, **env), timeout)

    @property
    def environment(self) -> Path:
        """The training environment."""
        return self.folder / "environments" / facts().environment.name

    def root(self, version: str) -> Path:
        """Where a version's code and weights are."""
        return self.folder / ("DiffuEraser_finetune_prompt" if version == "prompt" else "DiffuEraser_finetune")

    def record(self, version: str, stage: int) -> dict[str, Any]:
        """weights.json of a stage."""
        path = self.root(version) / "converted_weights" / f"finetuned-stage{stage}" / "weights.json"
        return dict(json.loads(path.read_text()))

    def log(self, pattern: str = "*") -> str:
        """All text of the logs whose names match."""
        files = [path for path in (*(self.folder / "logs").glob(pattern), *self.folder.glob(f"{pattern}.log")) if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in sorted(files, key=lambda path: path.stat().st_mtime_ns))

    def _training(self) -> list[Path]:
        """What training and jobs have left."""
        outputs = [self.root(version) / name for version in VERSIONS for name in TRAINING_OUTPUT]
        markers = [
            path
            for pattern in ("training-*", "progress-*", "history-*", "estimate-*", "lock-*", "no-progress-*", "submitted")
            for path in (self.folder / ".state").glob(pattern)
        ]
        return [path for path in (*outputs, *markers, self.folder / "logs") if path.exists()]

    def copy_to(self, folder: Path) -> None:
        """A copy elsewhere. Environments are linked file by file; where a text names the old place it names the new one."""
        shutil.copytree(self.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("environments"))
        subprocess.run(["cp", "-al", self.folder / "environments", folder], check=True)
        grep = ["grep", "--recursive", "--files-with-matches", "--binary-files=without-match", "--exclude-dir=site-packages"]
        found = subprocess.run([*grep, "--fixed-strings", self.folder, folder], capture_output=True, text=True, check=True)
        for path in map(Path, found.stdout.splitlines()):
            part = path.with_name(f"{path.name}.part")
            shutil.copy(path, part)
            part.write_bytes(part.read_bytes().replace(bytes(self.folder), bytes(folder)))
            part.replace(path)

    def forget_training(self) -> None:
        """Back to the state after setup, for the next test."""
        for path in self._training():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (self.folder / "logs").mkdir()

    @contextmanager
    def training_put_aside(self) -> Iterator[None]:
        """For a while as after setup; afterwards as before."""
        aside = {path: self.folder / ".aside" / str(number) for number, path in enumerate(self._training())}
        (self.folder / ".aside").mkdir()
        for path, place in aside.items():
            path.rename(place)
        (self.folder / "logs").mkdir()
        yield
        self.forget_training()
        (self.folder / "logs").rmdir()
        for path, place in aside.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            place.rename(path)
        (self.folder / "logs").mkdir(exist_ok=True)
        (self.folder / ".aside").rmdir()

    def forget_setup(self, *repositories: str) -> None:
        """Back to an empty folder, except for tools and environment, which take long to build.

        With names of repositories only these are to be downloaded again.
        """
        self.forget_training()
        others = [each.name for each in facts().hub.repositories if repositories and each.name not in repositories]
        for folder in self.folder.glob("DiffuEraser_*"):
            for path in folder.iterdir():
                if path.name not in others:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        kept = {f"{mark}-{name}" for mark in ("download", "commit", "listing") for name in others}
        for path in (self.folder / ".state").iterdir():
            if path.name not in {"tools", "environment", *kept}:
                path.unlink()

    def keep_environments(self) -> None:
        """Nothing is left but tools and environment."""
        for path in (*self.folder.iterdir(), *(self.folder / ".state").iterdir()):
            if path.name not in ("environments", ".state", "tools", "environment"):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def state(self, mark: str) -> Path:
        """What the scripts remember of a step."""
        return self.folder / ".state" / mark

    def downloaded_twice(self) -> int:
        """Bytes that the Hub sent beyond each file's size."""
        sent = self.hub.payload()
        return sum(max(0, count - (self.hub.root / name).stat().st_size) for name, count in sent.items())

    def last_line(self) -> str:
        """The end of what setup wrote."""
        return (self.log("diffueraser-setup*").strip() or self.log().strip()).splitlines()[-1]

    def weights(self, version: str) -> dict[str, bytes]:
        """Every converted file and its bytes, records left out: they hold parameters and times of their own."""
        folder = self.root(version) / "converted_weights"
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in RECORDS
        }

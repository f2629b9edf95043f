"""Looks for the token in every place where another user of a cluster, or a reader of a log, could see it."""

import re
import subprocess
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from diffueraser_docs.render import READMES, ROOT
from tests.cluster.lab import Lab

HF = b"/environments/tools/hub/bin/hf"
"""The one program that reads the token from its environment."""
SCRIPTS = re.compile(rb"^(\S*/)?((ba)?sh\0\S*(\.sbatch|/slurm_script)|sbatch\0--chdir\S*)\0")
"""A script of the project, or a copy of it that Slurm runs, or a submission: a user may export the token to it."""


class SecretWatch:
    """Samples command lines, environments and Slurm's spool while jobs run: what stands there is gone when they have ended.

    Only processes that belong to a lab below `root` count: other tests may run on this machine.
    """

    def __init__(self, root: Path, secret: str, interval: float = 1) -> None:
        self.root = root
        self.secret = secret.encode()
        self.mine = f"SLURM_CONF={root}/".encode()
        self.interval = interval
        self.given_to_hf = False
        self.seen: set[str] = set()
        self.samples = 0
        self.found = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="secret-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(self.interval):
            self.look()

    def look(self) -> None:
        """Look once."""
        self.samples += 1
        for process in Path("/proc").glob("[0-9]*"):
            self._look_at(process)
        with suppress(FileNotFoundError):  # the folder of a test that has passed is removed
            for path in self.root.glob("*/spool-*/job*/*"):
                if path.is_file() and self.secret in _read(path):
                    self.seen.add(f"Slurm's spool: {path.relative_to(self.root)}")
        if self.seen:
            self.found.set()

    def _look_at(self, process: Path) -> None:
        """Look at one process."""
        if self.mine not in _read(process / "environ"):
            return
        # In this order: a script that has become another program since is still taken for a script.
        line, environment = _read(process / "cmdline"), _read(process / "environ")
        text = line.replace(b"\0", b" ").replace(self.secret, b"<token>").decode(errors="replace")
        if self.secret in line:
            self.seen.add(f"command line: {text}")
        if self.secret in environment and HF in line:
            self.given_to_hf = True
        elif self.secret in environment and not SCRIPTS.match(line):
            self.seen.add(f"environment: {text}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process or the job has ended
        return b""


def files_with(secret: str, places: Iterable[Path]) -> list[Path]:
    """Every file below the places that holds the secret; config.env may, environments and caches of packages are not read."""
    command = ["grep", "--recursive", "--files-with-matches", "--no-messages", "--fixed-strings", "--devices=skip", "--file=-"]
    command += ["--exclude=config.env", "--exclude-dir=environments", "--exclude-dir=.cache", "--", *map(str, places)]
    found = subprocess.run(command, input=f"{secret}\n", capture_output=True, text=True, check=False)
    return [Path(line) for line in found.stdout.splitlines()]


def published() -> list[Path]:
    """What anybody can read: the site, the READMEs, the pages, the scripts."""
    return [ROOT / name for name in ("site", "docs", "scripts", "PRD", *READMES.values()) if (ROOT / name).exists()]


def jobs_with(secret: str, lab: Lab) -> list[str]:
    """What scontrol says of a job, and the script that Slurm keeps of it, where they hold the secret."""
    found = []
    for job in lab.jobs():
        for question in (["show", "job", "--details", str(job)], ["write", "batch_script", str(job), "-"]):
            if secret in lab.run(["scontrol", *question], lab.folder).stdout:
                found.append(f"scontrol {' '.join(question)}")
    return found

"""A cluster made of recorded answers: the five scripts, programs that replay, a Hub, and what became of a command."""

import hashlib
import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import threading
import urllib.parse
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from diffueraser_docs.facts import facts
from diffueraser_docs.render import ROOT, SCRIPTS
from tests.trainer import code, tar

HERE = Path(__file__).parent
TOKEN = "hf_exampleexample"
PROGRAMS = (
    *("sinfo", "sbatch", "squeue", "scancel", "scontrol", "sacct", "srun", "nvidia-smi", "df", "flock", "curl"),
    *("python", "python3", "python3.8", "python3.9", "python3.10", "python3.11", "python3.12", "python3.13"),
)
JOBS = {
    "01_setup.sbatch": "diffueraser-setup",
    "02_train.sbatch": "diffueraser-train",
    "setup_and_train.sbatch": "diffueraser-launch",
}
GPU_JOB = {"SLURMD_NODENAME": "n1", "SLURM_GPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "48"}
VARIABLES = facts().variable_names()
FAILURE = re.compile(r"ERROR\[([a-z0-9-]+)\] (.*)")
# What bash itself says of a script; no case may bring it about.
BASH_WORDS = re.compile(
    r"(sbatch|common\.sh|slurm_script|bash|environment): line \d+: |syntax error|unbound variable|bad substitution|"
    r"value too great|integer expression|ignored null byte|invalid (option name|timeout)|ambiguous redirect|"
    r"not a valid identifier"
)


@dataclass
class Result:
    """What a command did."""

    status: int
    printed: str
    """Standard output and error, and the logs of the project's jobs."""
    calls: list[str]
    """Program and arguments of everything that the stubs were asked."""
    secrets: set[str]
    """Program and variable, where a program saw a secret in its environment."""
    slept: list[str]

    @property
    def errors(self) -> list[str]:
        """Ids of the errors, in order."""
        return [match[1] for match in FAILURE.finditer(self.printed)]

    @property
    def error_lines(self) -> str:
        """The errors alone."""
        return "\n".join(match[0] for match in FAILURE.finditer(self.printed))

    def named(self) -> set[str]:
        """Variables of config.env that the errors name."""
        return set(re.findall(r"[A-Z][A-Z0-9_]+", self.error_lines)) & set(VARIABLES)

    @property
    def submitted(self) -> list[str]:
        """The jobs: arguments of sbatch, without dry runs."""
        return [call for call in self.calls if call.startswith("sbatch ") and "--test-only" not in call]


class Server:
    """Answers as the Hub does, unless a case has a rule for the path."""

    def __init__(self) -> None:
        outer = self
        self.rules: list[dict[str, Any]] = []
        self.files = Path()
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Give the first rule's answer, or a file."""
        path = urllib.parse.unquote(request.path)
        self.asked.append(path)
        for rule in self.rules:
            if re.search(rule.get("path", ""), path) and rule.get("times", -1):
                rule["times"] = rule.get("times", -1) - 1
                if "longer" in rule or "no_ranges" in rule:
                    break
                self.send(request, int(rule.get("status", 200)), rule.get("headers", {}), str(rule.get("body", "")).encode())
                return
        else:
            rule = {}
        match = re.fullmatch(r"/datasets/[^/]+/([^/]+)/resolve/[^/]+/(.+)", path)
        if not match:
            self.send(request, 200, {}, b"")
            return
        commit = {"X-Repo-Commit": commit_of(match[1])}
        file = self.files / match[1] / match[2]
        if not file.is_file():
            self.send(request, 404, {**commit, "X-Error-Code": "EntryNotFound"}, b"Entry not found")
            return
        self.send_file(request, file.read_bytes() + bytes(rule.get("longer", 0)), commit, ranges="no_ranges" not in rule)

    def send_file(self, request: BaseHTTPRequestHandler, data: bytes, headers: Mapping[str, str], *, ranges: bool) -> None:
        """A file, whole or from an offset."""
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", "")) if ranges else None
        start = int(wanted[1]) if wanted else 0
        if start >= len(data):
            self.send(request, 416, {"Content-Range": f"bytes */{len(data)}"}, b"")
            return
        part = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if wanted else {}
        self.send(request, 206 if wanted else 200, {**headers, **part}, data[start:])

    @staticmethod
    def send(request: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """One answer."""
        request.send_response(status)
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


def commit_of(repository: str) -> str:
    """The commit that the replayed Hub names."""
    return hashlib.sha1(repository.encode()).hexdigest()


def safetensors() -> bytes:
    """The smallest valid file."""
    head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(head)) + head + bytes(4)


def build_world(folder: Path) -> Path:
    """What all cases share: repositories of the Hub, a checkpoint, converted weights."""
    data = facts().hub
    member = {f"dataset/{name}/a/{i}.jpg": b"frame" for name in ("DAVIS", "YTBV") for i in (1, 2)}
    member |= {
        f"dataset/DAVIS/{kind}/480p/{clip}/0.png": b"frame" for kind in ("JPEGImages", "Annotations") for clip in ("bear", "boat")
    }
    extras = [m for r in data.repositories for a in r.archives if a.file == "weights_extras.tar" for m in a.members]
    files = {
        data.by_role("code").name: {
            "DAVIS.tar": tar({k: v for k, v in member.items() if "DAVIS" in k}),
            "YTBV.tar": tar({k: v for k, v in member.items() if "YTBV" in k}),
            "code_base.tar.gz": tar(code(prompt=False), gzipped=True),
        },
        data.by_role("prompt-code").name: {
            "captions.tar.gz": tar({"captions/all_captions_merged.yaml": b"{}\n"}, gzipped=True),
            "code_base_prompt.tar.gz": tar(code(prompt=True), gzipped=True),
        },
        data.by_role("weights").name: {
            "weights_extras.tar": tar({f"{m}/config.json": b"{}" for m in extras}),
            "stable-diffusion-v1-5/model_index.json": b"{}",
        },
        data.by_role("dpo").name: {"davis_bear/meta.json": b"{}"},
    }
    for name, held in files.items():
        for path, content in held.items():
            (folder / "hub" / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "hub" / name / path).write_bytes(content)
    write_checkpoint(folder / "checkpoint")
    for part in ("unet_main", "brushnet"):
        (folder / "converted" / part).mkdir(parents=True)
        (folder / "converted" / part / "config.json").write_text("{}")
        (folder / "converted" / part / "diffusion_pytorch_model.safetensors").write_bytes(safetensors())
    return folder


def write_checkpoint(folder: Path) -> None:
    """A complete checkpoint."""
    folder.mkdir()
    for name in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl", "scaler.pt"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("x", "x")
    for name in ("model.safetensors", "model_1.safetensors"):
        (folder / name).write_bytes(safetensors())


@dataclass
class Site:
    """A folder with the scripts, on a cluster of recorded answers."""

    folder: Path
    world: Path
    server: Server
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.project = self.folder / "project"
        self.stubs = self.folder / "stubs"
        for path in (self.project, self.stubs / "rules", self.folder / "bin", self.folder / "home"):
            path.mkdir(parents=True)
        for name in SCRIPTS:
            shutil.copy(ROOT / "scripts" / name, self.project / name)
        self.shorten_pauses()
        text = (HERE / "stub.sh").read_text()
        (self.stubs / "stub").write_text(text.replace("@HERE@", str(self.stubs)).replace("@PYTHON@", sys.executable))
        (self.stubs / "stub").chmod(0o755)
        for name in PROGRAMS:
            self.add(name)
        for name in ("checkpoint", "converted"):
            (self.stubs / name).symlink_to(self.world / name)
        shutil.copytree(self.world / "hub", self.stubs / "hub")
        self.configure("")

    def shorten_pauses(self) -> None:
        """The one change to the scripts: a pause is noted and takes no time."""
        common = self.project / "common.sh"
        text, count = re.subn(
            r"^pause\(\) \{.*\}",
            f'pause() {{ echo "$1" >>{self.stubs}/slept; /bin/sleep 0.05; }}',
            common.read_text(),
            flags=re.MULTILINE,
        )
        assert count == 1, "common.sh has no pause() on one line any more"
        common.write_text(text)

    def add(self, name: str) -> None:
        """Put a program on PATH."""
        path = self.folder / "bin" / name
        if not path.is_symlink():
            path.symlink_to(self.stubs / "stub")

    def configure(self, lines: str) -> None:
        """Write config.env: the two edits, where no line replaces them, and these lines."""
        given = [line.split("=")[0] for line in lines.splitlines()]
        edits = {"HF_TOKEN": TOKEN, "TRAIN_VERSION": "non-prompt"}
        text = "".join(f"{name}={value}\n" for name, value in edits.items() if name not in given)
        (self.project / "config.env").write_text(text + lines.rstrip("\n") + "\n", encoding="utf-8")

    def answer(self, program: str, words: str = "", out: str = "", err: str = "", status: int = 0, run: str = "") -> None:
        """What a program says when its arguments match; the first answer that was given counts."""
        if re.fullmatch(r"[a-z]+", program):
            self.add(program)
        text = f'words={shlex.quote(words)}\nif [[ "$*" =~ $words ]]; then\n'
        text += f"printf '%s\\n' {shlex.quote(out)}\n" if out else ""
        text += f"printf '%s\\n' {shlex.quote(err)} >&2\n" if err else ""
        text += f"{run}\n" if run else f"exit {status}\n"
        with (self.stubs / "rules" / program).open("a", encoding="utf-8") as file:
            file.write(f"{text}fi\n")

    def reach_hub(self, rules: list[dict[str, Any]]) -> None:
        """Let the local server play every Hub."""
        self.server.rules, self.server.files, self.server.asked = [dict(rule) for rule in rules], self.stubs / "hub", []
        (self.stubs / "server").write_text(self.server.address)

    def environment(self, job: str = "", number: str = "50") -> dict[str, str]:
        """The environment of a shell, or of a job."""
        env = {
            "PATH": f"{self.folder}/bin:/usr/bin:/bin",
            "HOME": f"{self.folder}/home",
            "USER": "you",
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.folder),
            "REPLAY_PYTHON": sys.executable,
        }
        if job:
            env |= {
                "SLURM_JOB_ID": number,
                "SLURM_JOB_NAME": job,
                "SLURM_JOB_NODELIST": "n1",
                "SLURM_JOB_NUM_NODES": "1",
                "SLURM_CLUSTER_NAME": "here",
                "SLURM_SUBMIT_DIR": str(self.project),
            }
        if job == "diffueraser-train":
            env |= GPU_JOB
        return env

    def run(self, command: str, cwd: Path | None = None, env: Mapping[str, str | None] | None = None) -> Result:
        """Run a command as it is typed; `sbatch SCRIPT` runs the script as its job would. None unsets a variable."""
        words, typed, job = shlex.split(command), dict(env or {}), ""
        while "=" in words[0]:
            name, value = words.pop(0).split("=", 1)
            typed[name] = value
        if words[0] == "sbatch":
            script = Path(words[1])
            spool = self.folder / "spool"
            spool.mkdir(exist_ok=True)
            shutil.copy(self.project / script.name, spool / "slurm_script")
            job, words = JOBS[script.name], ["bash", str(spool / "slurm_script"), *words[2:]]
        variables: dict[str, str | None] = {**self.environment(job), **self.env, **typed}
        started = subprocess.run(
            words, cwd=cwd or self.project, env={k: v for k, v in variables.items() if v is not None},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=120,
        )  # fmt: skip
        printed = started.stdout.decode(errors="replace")
        logs = (variables.get("PROJECT_HOME") or self.project_home()) + "/logs"
        with suppress(OSError, ValueError):  # a name that no folder can have
            for log in sorted(Path(logs).glob("diffueraser-*.log")):
                printed += log.read_text(errors="replace")
        return Result(started.returncode, printed, self.lines("calls"), set(self.lines("secrets")), self.lines("slept"))

    def project_home(self) -> str:
        """Where config.env puts the project."""
        config = self.project / "config.env"
        match = re.search(r"^PROJECT_HOME=(\S+)", config.read_text(errors="replace"), re.MULTILINE) if config.is_file() else None
        return match[1] if match else str(self.project)

    def lines(self, name: str) -> list[str]:
        """Lines that the stubs wrote."""
        path = self.stubs / name
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    def forget(self) -> None:
        """What was asked so far is of no interest."""
        for name in ("calls", "secrets", "slept"):
            (self.stubs / name).unlink(missing_ok=True)

    def set_up(self, version: str = "non-prompt") -> None:
        """Run setup for training, as far as the stubs go."""
        before = (self.project / "config.env").read_bytes()
        self.configure(f"TRAIN_VERSION={version}")
        self.reach_hub([])
        result = self.run("bash 01_setup.sbatch training")
        assert result.status == 0, result.printed
        (self.project / "config.env").write_bytes(before)
        self.forget()

    def written(self) -> Iterator[Path]:
        """All files that the scripts left, but for config.env."""
        for folder in (self.project, self.folder / "data"):
            for root, _, names in os.walk(folder):
                yield from (Path(root, name) for name in names if name != "config.env")

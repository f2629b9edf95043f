"""A real Slurm on this machine: munge, slurmctld and a slurmd per node, all in one folder, all on loopback."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

ENDED = frozenset(
    {
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "TIMEOUT",
        "NODE_FAIL",
        "PREEMPTED",
        "OUT_OF_MEMORY",
        "DEADLINE",
        "BOOT_FAIL",
    }
)
NVIDIA_SMI = """#!/usr/bin/env bash
# Stand-in for nvidia-smi: lists the GPUs of the job, or answers the query for their memory.
memory=$(cat "{folder}/gpu-memory-mib")
IFS=, read -ra gpus <<<"${{CUDA_VISIBLE_DEVICES:-0,1}}"
for gpu in "${{gpus[@]}}"; do
    if [[ $1 == --list-gpus ]]; then echo "GPU $gpu: stand-in"; else echo "$memory"; fi
done
"""


@dataclass(frozen=True)
class Node:
    """One node of the lab."""

    name: str
    gres: str = ""


@dataclass(frozen=True)
class Partition:
    """One partition of the lab; options are written as in slurm.conf."""

    name: str
    nodes: str
    options: str = ""


NODES = (Node("c1"), Node("g1", "gpu:8"), Node("g2", "gpu:8"))
PARTITIONS = (Partition("compute", "c1", "Default=YES"), Partition("gpu", "g1,g2"))


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, drawn from below those that the system gives away by itself."""
    sockets: list[socket.socket] = []
    for port in random.SystemRandom().sample(range(10000, 20000), 1000):
        each = socket.socket()
        try:
            each.bind(("127.0.0.1", port))
        except OSError:
            each.close()
            continue
        sockets.append(each)
        if len(sockets) == count:
            break
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(
    condition: Callable[[], object], what: str, timeout: float, note: Callable[[], str] = str, *, costly: bool = False
) -> None:
    """Wait until a condition holds; say what was waited for when it never does.

    A costly condition runs a program: it is asked the less often the longer it takes.
    """
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        if waited > timeout:
            raise TimeoutError(f"after {timeout:.0f} s still not: {what}\n{note()}")
        time.sleep(min(1, 0.2 + waited / 20) if costly else 0.1)


class Lab:
    """A running Slurm.

    Use it as a context manager: everything it started is gone afterwards.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nodes: Sequence[Node] = NODES,
        partitions: Sequence[Partition] = PARTITIONS,
        extra: str = "",
    ) -> None:
        self.folder = folder
        self.nodes = nodes
        self.partitions = partitions
        self.extra = extra
        self.home = Path("/proc")  # nobody, not even root, can write there: a read-only home
        self.bin = folder / "bin"
        self.daemons: dict[str, int] = {}

    @property
    def env(self) -> dict[str, str]:
        """A user's clean environment: nothing of the developer's leaks into jobs."""
        python = Path(sys.executable).resolve().parent  # itself, not what a version manager puts before it
        return {
            "PATH": f"{self.bin}:{python}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "USER": "collaborator",
            "LANG": "C.UTF-8",
            "SLURM_CONF": str(self.folder / "slurm.conf"),
        }

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (self.bin, self.folder / "state"):
            path.mkdir(exist_ok=True)
        (self.folder / "gpu-memory-mib").write_text("81559\n")
        smi = self.bin / "nvidia-smi"
        smi.write_text(NVIDIA_SMI.format(folder=self.folder))
        smi.chmod(0o755)
        self._write_config()
        self._start_munge()
        self._spawn("slurmctld", ["slurmctld", "-D"])
        for node in self.nodes:
            self.start_node(node.name)
        names = {node.name for node in self.nodes}
        wait_for(lambda: names <= self._idle(), "all nodes idle", 30, self._logs, costly=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _write_config(self) -> None:
        folder = self.folder
        ports = free_ports(len(self.nodes) + 1)
        lines = [
            "ClusterName=lab",
            f"SlurmctldHost={socket.gethostname()}(127.0.0.1)",
            f"SlurmctldPort={ports[0]}",
            "AuthType=auth/munge",
            f"AuthInfo=socket={folder}/munge.socket,cred_expire=5",  # so long a requeued job waits: as a rule two minutes
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core_Memory",
            "SlurmdParameters=config_overrides",
            "GresTypes=gpu",
            "ReturnToService=2",
            "JobRequeue=1",
            "SlurmUser=root",
            "SlurmdUser=root",
            f"StateSaveLocation={folder}/state",
            f"SlurmdSpoolDir={folder}/spool-%n",
            f"SlurmctldPidFile={folder}/slurmctld.pid",
            f"SlurmdPidFile={folder}/slurmd-%n.pid",
            "KillWait=3",
            "MessageTimeout=5",
            "SlurmdTimeout=10",
            "InactiveLimit=0",
            "MinJobAge=7200",
            "SchedulerParameters=sched_interval=1,bf_interval=1",
        ]
        gres = ["AutoDetect=off"]
        for node, port in zip(self.nodes, ports[1:], strict=True):
            extra = f" Gres={node.gres}" if node.gres else ""
            lines.append(f"NodeName={node.name} NodeAddr=127.0.0.1 Port={port} CPUs=64 RealMemory=500000{extra}")
            for entry in filter(None, node.gres.split(",")):
                kind = f" Type={entry.split(':')[1]}" if entry.count(":") == 2 else ""
                count = int(entry.split(":")[-1])
                for index in range(count):
                    device = folder / f"gpu{index}"
                    if not device.exists():
                        os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
                gres.append(f"NodeName={node.name} Name=gpu{kind} File={folder}/gpu[0-{count - 1}]")
        lines += [f"PartitionName={p.name} Nodes={p.nodes} State=UP {p.options}" for p in self.partitions]
        (folder / "slurm.conf").write_text("\n".join([*lines, self.extra, ""]))
        (folder / "gres.conf").write_text("\n".join([*gres, ""]))

    def _start_munge(self) -> None:
        folder = self.folder
        subprocess.run(["mungekey", "--create", f"--keyfile={folder}/munge.key"], check=True)
        options = [
            f"--{name}={folder}/munge.{end}"
            for name, end in (
                ("key-file", "key"),
                ("socket", "socket"),
                ("pid-file", "pid"),
                ("log-file", "log"),
                ("seed-file", "seed"),
            )
        ]
        self._spawn("munged", ["munged", "--foreground", "--force", *options])
        wait_for((folder / "munge.socket").exists, "munge listens", 10)

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log, start_new_session=True)
        self.daemons[name] = process.pid

    def stop(self) -> None:
        """End every daemon and every process of every job."""
        marker = str(self.folder)
        for process in psutil.process_iter():
            try:
                if process.environ().get("SLURM_CONF", "").startswith(marker) and process.pid != os.getpid():
                    process.kill()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        for pid in self.daemons.values():
            _kill(pid)
        for node in self.nodes:
            shutil.rmtree(self.folder / f"spool-{node.name}", ignore_errors=True)

    def _idle(self) -> set[str]:
        result = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%n %t"],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        return {line.split()[0] for line in result.stdout.splitlines() if line.split()[1] == "idle"}

    def _logs(self) -> str:
        return "\n".join((self.folder / f"{name}.log").read_text(errors="replace")[-2000:] for name in self.daemons)

    # --- nodes

    def start_node(self, name: str) -> None:
        """Start the slurmd of a node."""
        self._spawn(f"slurmd-{name}", ["slurmd", "-D", "-N", name])

    def kill_node(self, name: str) -> None:
        """Power failure: slurmd and all processes of its jobs are killed at once."""
        _kill(self.daemons[f"slurmd-{name}"])
        while left := [process for process in psutil.process_iter() if self._on_node(process, name)]:
            steps = {step for process in left for step in _parents(process) if step.name().startswith("slurmstepd")}
            for process in [*steps, *left]:  # a supervisor first, or it would report the death of its job
                _kill(process.pid)

    def _on_node(self, process: psutil.Process, name: str) -> bool:
        """Whether a living process belongs to this node: its jobs' and their supervisors'."""
        try:
            environment, folder = process.environ(), process.cwd()
            alive = process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
        mine = environment.get("SLURM_CONF", "").startswith(f"{self.folder}/")
        return alive and mine and (environment.get("SLURMD_NODENAME") == name or folder == str(self.folder / f"spool-{name}"))

    # --- jobs

    def run(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the collaborator would type it."""
        return subprocess.run(
            list(command),
            cwd=cwd,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def sbatch(self, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> int:
        """Submit a job and give its id."""
        result = self.run(["sbatch", "--parsable", *arguments], cwd, env)
        if result.returncode:
            raise RuntimeError(f"sbatch {' '.join(arguments)}: {result.stderr}")
        return int(result.stdout.strip().split(";")[0])

    def job(self, job: int) -> dict[str, str]:
        """What scontrol says of a job."""
        text = self.run(["scontrol", "show", "job", str(job), "--oneliner"], self.folder).stdout
        return dict(part.split("=", 1) for part in text.split() if "=" in part)

    def jobs(self) -> dict[int, str]:
        """State of every job that Slurm remembers."""
        text = self.run(["squeue", "--noheader", "--states=all", "--format=%i %T"], self.folder).stdout
        return {int(line.split()[0]): line.split()[1] for line in text.splitlines()}

    def wait(self, job: int, timeout: float = 240, states: frozenset[str] = ENDED) -> str:
        """Wait until a job is in one of the states, and give that state."""
        wait_for(
            lambda: self.job(job).get("JobState", "") in states,
            f"job {job} in {sorted(states)}",
            timeout,
            lambda: str(self.job(job)),
            costly=True,
        )
        return self.job(job)["JobState"]

    def wait_all(self, timeout: float = 300) -> dict[int, str]:
        """Wait until no job is queued or running, and give all states."""
        wait_for(lambda: set(self.jobs().values()) <= ENDED, "all jobs ended", timeout, lambda: str(self.jobs()), costly=True)
        return self.jobs()

    def clear(self) -> None:
        """Cancel every job and bring every node back."""
        self.run(["scancel", "--user=root"], self.folder)
        wait_for(lambda: set(self.jobs().values()) <= ENDED, "all jobs ended", 60, lambda: str(self.jobs()), costly=True)
        for node in self.nodes:
            if not psutil.pid_exists(self.daemons[f"slurmd-{node.name}"]):
                self.start_node(node.name)
        self.run(
            ["scontrol", "update", f"NodeName={','.join(n.name for n in self.nodes)}", "State=RESUME"],
            self.folder,
        )
        wait_for(lambda: {node.name for node in self.nodes} <= self._idle(), "all nodes idle", 60, self._logs, costly=True)


def _parents(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.parents()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return

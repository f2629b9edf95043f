"""A real Slurm on this machine: munge, slurmctld and a slurmd per node, all in one folder, all on loopback."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.cluster.processes import is_on_node, is_supervisor, kill, parents, processes_of
from tests.cluster.slurm_conf import NODES, PARTITIONS, Node, Partition, write_config, write_stand_ins
from tests.cluster.waiting import BUSY, free_ports, wait_for

__all__ = ["ENDED", "NODES", "PARTITIONS", "Lab", "Node", "Partition", "free_ports", "wait_for"]

ENDED = frozenset(
    ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "DEADLINE", "BOOT_FAIL"]
)


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
        self.host = socket.gethostname()
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

    def inside(self, command: Sequence[str], cwd: Path) -> list[str]:
        """What runs a command on the machine of this lab: here, the machine itself."""
        return list(command)

    def beside(self, command: Sequence[str]) -> list[str]:
        """What runs a program of this machine on the network of this lab."""
        return list(command)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (self.bin, self.folder / "state"):
            path.mkdir(exist_ok=True)
        write_stand_ins(self.folder)
        write_config(self.folder, self.host, self.nodes, self.partitions, self.extra)
        self._start_munge()
        self._spawn("slurmctld", ["slurmctld", "-D"])
        for node in self.nodes:
            self.start_node(node.name)
        self._wait_for_nodes(30)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _start_munge(self) -> None:
        folder = self.folder
        subprocess.run(self.inside(["mungekey", "--create", f"--keyfile={folder}/munge.key"], folder), env=self.env, check=True)
        ends = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{name}={folder}/munge.{end}" for name, end in ends.items()]
        self._spawn("munged", ["munged", "--foreground", "--force", *options])
        wait_for((folder / "munge.socket").exists, "munge listens", 10)

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.inside(command, self.folder), env=self.env, stdout=log, stderr=log, start_new_session=True
            )
        self.daemons[name] = self._pid_of(process)

    def _pid_of(self, process: subprocess.Popen[bytes]) -> int:
        """The process id of a daemon itself."""
        return process.pid

    def stop(self) -> None:
        """End every daemon and every process of every job."""
        for process in processes_of(self.folder):
            kill(process.pid)
        for pid in self.daemons.values():
            kill(pid)
        for node in self.nodes:
            shutil.rmtree(self.folder / f"spool-{node.name}", ignore_errors=True)

    def _idle(self) -> set[str]:
        said = self.run(["sinfo", "--noheader", "--Node", "--format=%n %t"], self.folder).stdout
        return {line.split()[0] for line in said.splitlines() if line.split()[1] == "idle"}

    def _wait_for_nodes(self, timeout: float) -> None:
        names = {node.name for node in self.nodes}
        wait_for(lambda: names <= self._idle(), "all nodes idle", timeout, self._logs, costly=True)

    def _logs(self) -> str:
        return "\n".join((self.folder / f"{name}.log").read_text(errors="replace")[-2000:] for name in self.daemons)

    # --- nodes

    def start_node(self, name: str) -> None:
        """Start the slurmd of a node."""
        self._spawn(f"slurmd-{name}", ["slurmd", "-D", "-N", name])

    def kill_node(self, name: str) -> None:
        """Power failure: slurmd and all processes of its jobs are killed at once."""
        kill(self.daemons[f"slurmd-{name}"])
        spool = self.folder / f"spool-{name}"
        while left := [process for process in processes_of(self.folder) if is_on_node(process, name, spool)]:
            steps = {step for process in left for step in parents(process) if is_supervisor(step)}
            for process in [*steps, *left]:  # a supervisor first, or it would report the death of its job
                kill(process.pid)

    # --- jobs

    def run(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the collaborator would type it."""
        return subprocess.run(
            self.inside(command, cwd),
            cwd=cwd,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout * BUSY,
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
        self._wait_for_nodes(60)

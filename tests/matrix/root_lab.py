"""A lab of another release of Slurm: the daemons and every command run in a Debian root, in namespaces of their own."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.cluster.lab import PARTITIONS, Lab, Partition, wait_for
from tests.cluster.processes import kill
from tests.matrix.roots import SUITES, build_root

ENTER_ROOT = Path(__file__).parent / "enter-root"
KINDS = ("mount", "pid", "net", "uts", "ipc")
HOST_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
# The Python of this machine runs with this machine's C library, which differs from the root's.
PYTHON_WRAPPER = """#!/usr/bin/env bash
exec /opt/host-lib/{loader} --argv0 "$0" --library-path {lib}:/opt/host-lib {executable} "$@"
"""


class RootLab(Lab):
    """A running Slurm of a release; `share` is a folder that is there at the same path, and holds the lab's own."""

    def __init__(self, release: str, share: Path, partitions: Sequence[Partition] = PARTITIONS, extra: str = "") -> None:
        super().__init__(share / "lab", partitions=partitions, extra=extra)
        self.release = release
        self.share = share
        self.host = "lab"
        self.root = build_root(SUITES[release])

    @property
    def env(self) -> dict[str, str]:
        """A user's clean environment in the root."""
        return {**super().env, "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}

    def inside(self, command: Sequence[str], cwd: Path) -> list[str]:
        """What runs a command as one types it in the root."""
        enter = ["nsenter", f"--target={self.pid}", *(f"--{kind}" for kind in KINDS)]
        return [*enter, "chroot", str(self.root), "env", f"--chdir={cwd}", *command]

    def beside(self, command: Sequence[str]) -> list[str]:
        """What runs a program of this machine on the lab's network."""
        return ["nsenter", f"--target={self.pid}", "--net", *command]

    def __enter__(self) -> Self:
        etc = self.folder / "etc"
        etc.mkdir()
        self.bin.mkdir()
        names = " ".join(node.name for node in self.nodes)
        (etc / "hosts").write_text(f"127.0.0.1 localhost {self.host} {names}\n")
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
        if self.release >= "24":  # of the older ones one dies of an unknown key, the other looks for a cgroup file system
            (self.folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        library, modules = self._write_python()
        command = [ENTER_ROOT, self.root, etc, self.share, modules]
        unshare = ["unshare", *(f"--{kind}" for kind in KINDS), "--propagation=private", "--fork"]
        self.init = subprocess.Popen(
            [*unshare, *command],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOST_LIB": str(library)},
            stdin=subprocess.PIPE,  # the lab ends with this process, however that ends
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.init.stdout
        assert self.init.stderr
        if self.init.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the namespaces were not made:\n{self.init.stderr.read().decode()}")
        self.pid = psutil.Process(self.init.pid).children()[0].pid
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _write_python(self) -> tuple[Path, Path]:
        """Put this machine's Python on the PATH of the root; gives its folders: the C library's, its modules'."""
        executable, modules = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
        linked = [Path(word) for line in _ldd(executable) for word in line.split() if word.startswith("/")]
        loader = next(path.resolve() for path in linked if path.name.startswith("ld-linux"))
        lib = self.folder / "lib"
        lib.mkdir()
        (lib / HOST_PYTHON).symlink_to(modules)  # where this Python looks for its modules: in the lib beside its bin
        shutil.copy2(executable, lib / "host-python")
        for path in linked:
            if path.name.startswith("libpython"):
                shutil.copy2(path, lib / path.name)
        wrapper = self.bin / HOST_PYTHON
        wrapper.write_text(PYTHON_WRAPPER.format(loader=loader.name, lib=lib, executable=lib / "host-python"))
        wrapper.chmod(0o755)
        return loader.parent, modules

    def _pid_of(self, process: subprocess.Popen[bytes]) -> int:
        """The daemon is the child of what entered the namespaces."""
        entered = psutil.Process(process.pid)
        wait_for(lambda: process.poll() is not None or entered.children(), f"{process.args!r} starts", 10)
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        return entered.children()[0].pid

    def _wait_for_nodes(self, timeout: float) -> None:
        """A node that says idle may still be refused: Slurm is asked whether it would start a job there."""
        super()._wait_for_nodes(timeout)
        for node in self.nodes:
            partition = next(part.name for part in self.partitions if node.name in part.nodes.split(","))
            command = ["sbatch", "--test-only", f"--partition={partition}", f"--nodelist={node.name}", "--wrap=true"]
            command += [f"--gres={node.gres}"] if node.gres else []
            wait_for(lambda: self.run(command, self.folder).returncode == 0, f"{node.name} takes jobs", 30, costly=True)  # noqa: B023

    def stop(self) -> None:
        """End the first process of the namespaces, and with it all others."""
        kill(self.pid)
        self.init.wait()


def _ldd(program: Path) -> list[str]:
    return subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.splitlines()

"""Processes of a lab, wherever they were started: they are known by the SLURM_CONF of their environment."""

import os
import signal
from pathlib import Path

import psutil


def processes_of(folder: Path) -> list[psutil.Process]:
    """The living processes of the lab in this folder, without this one."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("SLURM_CONF", "").startswith(f"{folder}/")
            if mine and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def is_on_node(process: psutil.Process, name: str, spool: Path) -> bool:
    """Whether a process belongs to this node: its jobs' and their supervisors'."""
    try:
        return process.environ().get("SLURMD_NODENAME") == name or process.cwd().endswith(str(spool))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def parents(process: psutil.Process) -> list[psutil.Process]:
    """Those above a process, or none if it is gone."""
    try:
        return process.parents()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def is_supervisor(process: psutil.Process) -> bool:
    """Is it a slurmstepd that has not ended?"""
    try:
        return process.name().startswith("slurmstepd")
    except psutil.NoSuchProcess:
        return False


def kill(pid: int) -> None:
    """End a process at once, and reap it if it is a child."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return

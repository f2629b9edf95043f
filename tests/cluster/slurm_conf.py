"""The configuration of a lab: one slurm.conf and gres.conf for every release of Slurm."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.waiting import free_ports

NVIDIA_SMI = """#!/usr/bin/env bash
# Stand-in for nvidia-smi: lists the GPUs of the job, or answers the query for their memory.
memory=$(cat "{folder}/gpu-memory-mib")
IFS=, read -ra gpus <<<"${{CUDA_VISIBLE_DEVICES:-0,1}}"
for gpu in "${{gpus[@]}}"; do
    if [[ $1 == --list-gpus ]]; then echo "GPU $gpu: stand-in"; else echo "$memory"; fi
done
"""
DF = """#!/usr/bin/env bash
# Stand-in for a large disk: a hundred times the real one, because the scripts ask for the space of the real repositories.
PATH=/usr/bin:/bin df "$@" | awk 'NR > 1 { for (i = 2; i < 5; i++) $i = sprintf("%.0f", $i * 100) } { print }'
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


def write_config(folder: Path, host: str, nodes: Sequence[Node], partitions: Sequence[Partition], extra: str) -> None:
    """Write slurm.conf and gres.conf, and make the devices that the nodes show as GPUs."""
    ports = free_ports(len(nodes) + 1)
    lines = [
        "ClusterName=lab",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={ports[0]}",
        f"FirstJobId={ports[0]}",  # training's port follows from it: two labs of one machine do not take the same
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
    for node, port in zip(nodes, ports[1:], strict=True):
        claimed = f" Gres={node.gres}" if node.gres else ""
        lines.append(f"NodeName={node.name} NodeAddr=127.0.0.1 Port={port} CPUs=64 RealMemory=500000{claimed}")
        gres += [_gpus(folder, node.name, entry) for entry in filter(None, node.gres.split(","))]
    lines += [f"PartitionName={p.name} Nodes={p.nodes} State=UP {p.options}" for p in partitions]
    (folder / "slurm.conf").write_text("\n".join([*lines, extra, ""]))
    (folder / "gres.conf").write_text("\n".join([*gres, ""]))


def _gpus(folder: Path, node: str, entry: str) -> str:
    """A line of gres.conf for gpu:8 or gpu:h100:8; its devices are made."""
    kind = f" Type={entry.split(':')[1]}" if entry.count(":") == 2 else ""
    count = int(entry.rsplit(":", maxsplit=1)[-1])
    for index in range(count):
        device = folder / f"gpu{index}"
        if not device.exists():
            os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
    return f"NodeName={node} Name=gpu{kind} File={folder}/gpu[0-{count - 1}]"


def write_stand_ins(folder: Path) -> None:
    """Put the stand-ins for nvidia-smi and df into FOLDER/bin."""
    (folder / "gpu-memory-mib").write_text("81559\n")
    for name, text in (("nvidia-smi", NVIDIA_SMI.format(folder=folder)), ("df", DF)):
        path = folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

"""The machine that measured, in the words of the results file."""

import platform
import re
import subprocess
from pathlib import Path

import psutil

from tests.bench.models import Machine

VERSIONS = {
    "bash": ["bash", "--version"],
    "curl": ["curl", "--version"],
    "tar": ["tar", "--version"],
    "coreutils": ["sha256sum", "--version"],
    "openssl": ["openssl", "version"],
    "slurm": ["slurmctld", "-V"],
}


def first_number(text: str) -> str:
    """The first thing in a text that looks like a version."""
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else "?"


def version(command: list[str]) -> str:
    """What a program says its version is."""
    try:
        return first_number(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    except FileNotFoundError:
        return "–"


def cpu_name(text: str) -> str:
    """The processor's name in the text of /proc/cpuinfo."""
    found = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    return " ".join(found[1].split()) if found else platform.machine()


def disk_of(folder: Path) -> str:
    """File system of a folder, and the kind of its disk; a virtual one does not know what it lies on."""
    mounted = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    part = max(mounted, key=lambda each: len(each.mountpoint))
    name = Path(part.device).resolve().name
    turns = Path(f"/sys/class/block/{name}/queue/rotational")
    kind = {"0": "SSD", "1": "hard disk"}.get(turns.read_text().strip(), "") if turns.exists() else ""
    kind = "virtual disk" if name.startswith(("vd", "xvd")) else kind
    return ", ".join(word for word in (part.fstype, kind) if word)


def describe(folder: Path) -> Machine:
    """The machine, with the disk that holds a folder."""
    versions = {"kernel": first_number(platform.release()), "python": platform.python_version()}
    versions |= {name: version(command) for name, command in VERSIONS.items()}
    return Machine(
        cpu=cpu_name(Path("/proc/cpuinfo").read_text()),
        cores=psutil.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        disk=disk_of(folder),
        load=round(psutil.getloadavg()[0], 2),
        versions=versions,
    )

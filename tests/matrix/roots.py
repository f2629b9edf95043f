"""Debian roots, each with the Slurm, bash, curl and Python of its release: built once, kept in .cache."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache" / "roots"
MAKE_ROOT = Path(__file__).parent / "make-root"
SUITES = {"20.11": "bullseye", "22.05": "bookworm", "24.11": "trixie", "26.05": "forky"}
"""The Debian suite that brings a release of Slurm."""
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge", "curl", "procps", "python3-venv", "git", "ca-certificates", "nano")


def is_native(release: str) -> bool:
    """Whether this machine itself is of the suite."""
    return f"VERSION_CODENAME={SUITES[release]}\n" in Path("/etc/os-release").read_text()


def build_root(suite: str, packages: tuple[str, ...] = PACKAGES) -> Path:
    """The root of a suite, made on first use; its name holds the hash of what it is made from."""
    key = hashlib.sha256(MAKE_ROOT.read_bytes() + " ".join(packages).encode()).hexdigest()[:8]
    folder = CACHE / f"{suite}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / f"{suite}.lock"):
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            made = subprocess.run([MAKE_ROOT, suite, part, *packages], capture_output=True, text=True, check=False)
            if made.returncode:
                raise RuntimeError(f"the root of {suite} could not be made:\n{made.stdout}\n{made.stderr}")
            part.rename(folder)
    return folder

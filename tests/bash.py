"""Runs a piece of bash with the scripts beside it, one of them sourced before it."""

import shutil
import subprocess
from pathlib import Path

from diffueraser_docs.render import ROOT, SCRIPTS


def copy_scripts(folder: Path) -> None:
    """The five files, as a collaborator copies them; a config.env that is there stays."""
    for name in SCRIPTS:
        if name != "config.env" or not (folder / name).exists():
            shutil.copy(ROOT / "scripts" / name, folder / name)


def run_bash(code: str, folder: Path, *arguments: str, script: str = "common.sh", **env: str) -> subprocess.CompletedProcess[str]:
    """Source a script in a folder, then run the code.

    Args:
        code: what to run afterwards.
        folder: working directory; the scripts are copied into it.
        arguments: positional parameters of the code.
        script: name of the script to source; it does nothing by itself.
        env: the whole environment besides PATH and HOME.
    """
    copy_scripts(folder)
    given = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **env}
    command = ["bash", "-c", f"set -euo pipefail; source ./{script}\n{code}", "/dev/null", *arguments]
    return subprocess.run(
        command, cwd=folder, env=given, capture_output=True, text=True, errors="replace", check=False, timeout=120
    )

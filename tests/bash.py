"""Runs a piece of bash with one of the scripts sourced before it."""

import subprocess
from pathlib import Path

from diffueraser_docs.render import ROOT

SCRIPTS = ROOT / "scripts"


def run_bash(script: str, code: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Source a script of ``scripts/`` in a folder, then run the code.

    Args:
        script: name of the script; it must do nothing when it is sourced.
        code: what to run afterwards.
        folder: working directory, and PROJECT_HOME unless `env` names another.
        env: the whole environment besides PATH, HOME and PROJECT_HOME.
    """
    given = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PROJECT_HOME": str(folder), **env}
    command = ["bash", "-c", f"set -euo pipefail; source {SCRIPTS / script}\n{code}"]
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)

"""Locks: never two inside, the message names the owner, and the dead hold none."""

import subprocess
from pathlib import Path

from tests.bash import run_bash

LOCK = "STATE=$PWD; acquire_lock setup 'Wait for it.'"


def test_acquire_lock_never_two_inside(tmp_path: Path) -> None:
    inside = f"""flock() {{ command flock --timeout 60 "${{@:3}}"; }}
    for _ in 1 2 3 4 5 6; do
        (for _ in 1 2 3 4 5; do ({LOCK}; mkdir inside || echo two; rmdir inside); done) &
    done; wait"""
    result = run_bash(inside, tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_acquire_lock_names_the_owner(tmp_path: Path) -> None:
    held = f"""flock() {{ command flock --nonblock --conflict-exit-code 75 "${{!#}}"; }}
    mkfifo end; ({LOCK}; echo >locked; read -r _ <end) &
    until [[ -e locked ]]; do pause 0.01; done; {LOCK}"""
    result = run_bash(held, tmp_path, SLURM_JOB_ID="7", SLURM_CLUSTER_NAME="big")
    assert result.returncode == 1
    assert "ERROR[locked] setup is being done by job 7 of cluster big, process " in result.stderr


def test_acquire_lock_of_the_dead(tmp_path: Path) -> None:
    result = run_bash(f"({LOCK}; kill -9 $BASHPID) || true; {LOCK}; cat lock-setup", tmp_path)
    assert result.returncode == 0
    assert result.stdout.startswith("process ")


def test_acquire_lock_on_a_disk_without_locks(tmp_path: Path) -> None:
    result = run_bash(f"flock() {{ return 71; }}; {LOCK}", tmp_path)
    assert result.returncode == 0
    assert "NOTE" in result.stderr


def test_acquire_lock_outlives_no_process(tmp_path: Path) -> None:
    """What a script leaves running in the background would hold its lock."""
    run_bash(f"{LOCK}; sleep 30 & exit 0", tmp_path)
    free = subprocess.run(["flock", "--nonblock", tmp_path / "lock-setup", "true"], check=False)
    assert free.returncode == 0


def test_acquire_lock_frees_only_its_own(tmp_path: Path) -> None:
    """The end of one script frees neither another's lock nor a lock file that was put in its place."""
    code = f"""({LOCK}); exec 8>>lock-setup; flock 8
    (flock() {{ return 75; }}; {LOCK}) || true
    flock --nonblock lock-setup true || echo held"""
    result = run_bash(code, tmp_path)
    assert result.stdout == "held\n"
    replaced = f"({LOCK}; mv lock-setup old; echo 'job 999' >lock-setup); cat lock-setup"
    assert run_bash(replaced, tmp_path).stdout == "job 999\n"

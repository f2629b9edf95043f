"""What all three scripts share when jobs meet: locks, the end of what they began, and a Slurm that does not answer."""

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from diffueraser_docs.render import ROOT

# squeue knows job 7 alone; sleeping would only take time.
PRELUDE = """
cd {scripts} && source ./{script}
STATE={folder} PROJECT_HOME={folder} CONFIG_DIR={folder} JOB_SETUP=s JOB_TRAIN=t JOB_DPO=d JOB_UPLOAD=u
squeue() {{ [[ $* == *jobs=7* ]] && echo RUNNING || {{ echo 'slurm_load_jobs error: Invalid job id specified'; return 1; }}; }}
nap() {{ :; }}
"""


def run(folder: Path, script: str, *, source: str = "setup_and_train.sbatch", **env: str) -> subprocess.CompletedProcess[str]:
    """Run functions of a script with a folder of state."""
    text = PRELUDE.format(scripts=ROOT / "scripts", script=source, folder=folder) + script
    base = {"PATH": "/usr/bin:/bin", "HOSTNAME": "here"}
    return subprocess.run(["bash", "-c", text], env={**base, **env}, capture_output=True, text=True, check=False, timeout=60)


def lock(folder: Path, owner: str) -> Path:
    """A lock that somebody holds."""
    path = folder / "lock-step"
    path.symlink_to(owner)
    return path


def test_a_job_takes_the_lock_by_its_id_and_a_shell_by_its_process(tmp_path: Path) -> None:
    job = run(tmp_path, 'take_lock step; readlink "$STATE/lock-step"', SLURM_JOB_ID="9", ENVIRONMENT="BATCH")
    assert job.stdout == "9\n", job.stderr
    (tmp_path / "lock-step").unlink()
    shell = run(tmp_path, 'take_lock step; readlink "$STATE/lock-step"; echo "$HOSTNAME:$$"', SLURM_JOB_ID="9")
    assert len(set(shell.stdout.split())) == 1, "two shells of one allocation would take each other's lock for their own"


def test_the_lock_of_a_job_that_is_gone_is_taken_over(tmp_path: Path) -> None:
    held = lock(tmp_path, "8")
    assert run(tmp_path, "take_lock step", SLURM_JOB_ID="9", ENVIRONMENT="BATCH").returncode == 0
    assert str(held.readlink()) == "9"
    assert [path.name for path in tmp_path.iterdir()] == ["lock-step"]


@pytest.mark.parametrize(("owner", "said"), [("7", "by job 7 already"), ("elsewhere:1", "if that process is gone: rm ")])
def test_the_lock_of_a_living_one_is_respected(tmp_path: Path, owner: str, said: str) -> None:
    held = lock(tmp_path, owner)
    result = run(tmp_path, "take_lock step")
    assert result.returncode == 1
    assert said in result.stderr
    assert str(held.readlink()) == owner


def test_two_who_find_one_dead_do_not_take_the_lock_from_each_other(tmp_path: Path) -> None:
    held = lock(tmp_path, "7")  # taken by job 7 since this one saw that of job 8
    assert run(tmp_path, f"release_lock {held} 8").returncode == 0
    assert str(held.readlink()) == "7"
    assert [path.name for path in tmp_path.iterdir()] == ["lock-step"]


def test_a_disk_on_which_no_lock_can_be_made_is_said(tmp_path: Path) -> None:
    result = run(tmp_path, "STATE=$STATE/nowhere take_lock step")
    assert result.returncode == 1
    assert "No lock can be made in" in result.stderr
    assert "No such file or directory" in result.stderr


@pytest.mark.slow
def test_what_a_script_began_ends_with_it_even_what_is_just_beginning(tmp_path: Path) -> None:
    sleep = f"sleep 60.{os.getpid()}"  # no other test's
    run(tmp_path, f"( for number in {{1..100}}; do bash -c 'exec {sleep}' & done; wait ) & sleep 0.2; end_children $$")
    left = [each for each in psutil.process_iter(["cmdline"]) if sleep in " ".join(each.info["cmdline"] or [])]
    assert left == []


def test_a_slurm_that_does_not_answer_is_said_and_is_no_end(tmp_path: Path) -> None:
    silent = "squeue() { echo 'slurm_load_jobs error: Unable to contact slurm controller'; return 1; }\n"
    for function in ("refuse_second_submission", "cancel_jobs", "show_status"):
        result = run(tmp_path, silent + function)
        assert result.returncode == 1
        assert "Slurm does not answer: slurm_load_jobs error: Unable to contact" in result.stderr
    cluster = run(tmp_path, "sinfo() { echo 'sinfo: error: no controller'; return 1; }; sbatch() { :; }\ncheck_cluster")
    assert "Slurm does not answer: sinfo: error: no controller" in cluster.stderr
    goes_on = run(tmp_path, f"{silent}leave_if_ended; echo on", source="02_train.sbatch", SLURM_JOB_ID="7")
    assert goes_on.stdout == "on\n", goes_on.stderr
    warned = run(
        tmp_path, "squeue() { echo warning; echo RUNNING; }\nleave_if_ended; echo on", source="02_train.sbatch", SLURM_JOB_ID="7"
    )
    assert warned.stdout == "on\n", warned.stderr
    ended = run(tmp_path, "leave_if_ended; echo on", source="02_train.sbatch", SLURM_JOB_ID="8")
    assert ended.returncode == 143
    assert "on\n" not in ended.stdout


def test_what_slurm_gave_to_the_launcher_is_not_handed_on(tmp_path: Path) -> None:
    script = "sbatch() { env | grep -o '^SLURM_[A-Z_]*' | sort | xargs; }\nsubmit x; echo \"$SLURM_MEM_PER_CPU\""
    result = run(tmp_path, script, SLURM_MEM_PER_CPU="100", SLURM_CPU_BIND="none", SLURM_CONF="/etc/slurm.conf", SLURM_JOB_ID="7")
    assert result.stdout == "SLURM_CONF\n100\n"

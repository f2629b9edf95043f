"""The search for the token finds it wherever it is planted, and does not take another's for ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.secrets import SecretWatch, files_with

SECRET = "hf_PlantedByTheTestOfTheWatch"
SLEEP = "import sys; print(flush=True); sys.stdin.read()"  # lives until its input ends


def look_at_process(root: Path, *arguments: str, **env: str) -> set[str]:
    """What one look finds while a process with these arguments and this environment lives."""
    watch = SecretWatch(root, SECRET)
    command = [sys.executable, "-c", SLEEP, *arguments]
    with subprocess.Popen(command, env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        watch.look()
    return watch.seen


def test_a_token_on_a_command_line_is_found_and_not_repeated(tmp_path: Path) -> None:
    seen = look_at_process(tmp_path, "--token", SECRET, SLURM_CONF=f"{tmp_path}/lab/slurm.conf")
    assert len(seen) == 1
    assert next(iter(seen)).endswith("--token <token> ")


def test_a_token_in_the_environment_is_found_except_of_hf(tmp_path: Path) -> None:
    env = {"HF_TOKEN": SECRET, "SLURM_CONF": f"{tmp_path}/lab/slurm.conf"}
    seen = look_at_process(tmp_path, **env)
    assert len(seen) == 1
    assert next(iter(seen)).startswith("environment: ")
    assert look_at_process(tmp_path, "/project/environments/tools/hub/bin/hf", **env) == set()


def test_a_process_of_another_lab_is_no_finding(tmp_path: Path) -> None:
    assert look_at_process(tmp_path, "--token", SECRET, SLURM_CONF="/elsewhere/slurm.conf") == set()


def test_a_token_in_a_script_of_slurms_spool_is_found(tmp_path: Path) -> None:
    script = tmp_path / "lab0" / "spool-c1" / "job00012" / "slurm_script"
    script.parent.mkdir(parents=True)
    script.write_text(f"export HF_TOKEN={SECRET}\n")
    watch = SecretWatch(tmp_path, SECRET)
    watch.look()
    assert watch.seen == {"Slurm's spool: lab0/spool-c1/job00012/slurm_script"}


def test_the_thread_looks_by_itself(tmp_path: Path) -> None:
    script = tmp_path / "lab0" / "spool-c1" / "job1" / "slurm_script"
    script.parent.mkdir(parents=True)
    script.write_text(SECRET)
    with SecretWatch(tmp_path, SECRET, interval=0.01) as watch:
        found = watch.found.wait(20)
    assert found
    assert watch.seen


@pytest.mark.parametrize(
    "name", ["logs/job.log", "lab/state/hash.1/job.1/environment", "weights.json", "deep/er/.state/work-1/x"]
)
def test_a_token_in_a_file_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"\0binary " + SECRET.encode() + b" \0")
    (tmp_path / "other.log").write_text("nothing here\n")
    assert files_with(SECRET, [tmp_path]) == [tmp_path / name]


def test_config_env_may_hold_it(tmp_path: Path) -> None:
    (tmp_path / "config.env").write_text(f"HF_TOKEN={SECRET}\n")
    assert files_with(SECRET, [tmp_path]) == []

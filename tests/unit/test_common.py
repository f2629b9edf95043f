"""What the scripts share: locks, marks, masks, and the line of a tool's output that names the cause."""

import subprocess
from pathlib import Path

import pytest

from diffueraser_docs.facts import facts
from tests.bash import copy_scripts, run_bash

TOKEN = "hf_UnitTestToken"
OUTPUTS = [
    ("tar: a/b: Cannot write: No space left on device\ntar: Exiting with failure status due to previous errors", "disk-full"),
    ("tar: a/b: Cannot open: Disk quota exceeded\ntar: Error is not recoverable: exiting now", "disk-quota"),
    ("0: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n0: ==========", "gpu-memory"),
    ("0:   exitcode  : -9 (pid: 7)\n0: ============", "host-memory"),
    ("0: [rank1]: Watchdog caught collective operation timeout: x\n0: exitcode : -6", "nccl-timeout"),
    ("WARNING: [SSL: CERTIFICATE_VERIFY_FAILED] self-signed\nERROR: No matching distribution", "certificate"),
    ("0: x.y.InvalidVersion: Invalid version: 'x'\nsrun: error: n1: task 0: Exited with exit code 1", "InvalidVersion"),
    ("Error: Server error '503 Service Unavailable'\nHint: set HF_DEBUG=1", "503"),
    ("CondaHTTPError: HTTP 000\n\nAn HTTP error occurred when trying to retrieve this URL.\n'https://x'", "CondaHTTPError"),
]


@pytest.mark.parametrize(("output", "wanted"), OUTPUTS, ids=[wanted for _, wanted in OUTPUTS])
def test_die_with_cause(tmp_path: Path, output: str, wanted: str) -> None:
    (tmp_path / "log").write_text(f"{output}\n")
    result = run_bash('die_with_cause log some-id "It failed" "Do this."', tmp_path)
    assert result.returncode == 1
    known = {cause.id for cause in facts().causes.causes}
    assert (f"ERROR[{wanted}]" if wanted in known else "ERROR[some-id]") in result.stderr
    assert wanted in result.stderr


def test_printable_masks(tmp_path: Path) -> None:
    text = f"{TOKEN} https://me:pass@host/x wandbkey12345 a\x1b[31m"
    result = run_bash(f'HF_TOKEN={TOKEN} WANDB_API_KEY=wandbkey12345; log "$1"', tmp_path, text)
    for secret in (TOKEN, "pass@", "wandbkey", "\x1b"):
        assert secret not in result.stdout


def test_run_once_skips(tmp_path: Path) -> None:
    code = "load_config; run_once step one echo working; run_once step one echo working; run_once step two echo working"
    result = run_bash(code, tmp_path, HF_TOKEN=TOKEN)
    assert result.stdout.count("working\n") == 2
    assert "step: done before" in result.stdout


@pytest.mark.slow
def test_acquire_lock_second_refused(tmp_path: Path) -> None:
    copy_scripts(tmp_path)
    code = "source ./common.sh; load_config; acquire_lock setup 'Wait.'; echo held; read -r _"
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "HF_TOKEN": TOKEN}
    pipe = subprocess.PIPE
    with subprocess.Popen(["bash", "-c", code], cwd=tmp_path, env=env, stdin=pipe, stdout=pipe, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        second = run_bash("load_config; acquire_lock setup 'Wait.'", tmp_path, HF_TOKEN=TOKEN)
        assert second.returncode == 1
        assert f"ERROR[locked] setup is being done by process {first.pid} on " in second.stderr
        first.kill()
    assert run_bash("load_config; acquire_lock setup 'Wait.'", tmp_path, HF_TOKEN=TOKEN).returncode == 0


def test_trace_shows_no_token(tmp_path: Path) -> None:
    """Somebody exports SHELLOPTS to debug another script."""
    (tmp_path / "config.env").write_text(f"HF_TOKEN={TOKEN}\n")
    said = run_bash("load_config; log $NUM_GPUS", tmp_path, SHELLOPTS="xtrace")
    assert (said.returncode, said.stdout.split()[-1]) == (0, "8")
    assert TOKEN not in said.stderr
    assert "common.sh" in said.stderr, "the case needs a trace"

"""Steps of 01_setup.sbatch by themselves: the Hub's listings, swaps and links of folders, and where conda is looked for."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.bash import run_bash

LISTING = "12345678901  2026-01-02 03:04:05  a b.tar\n2  2026-01-02 03:04:05  folder/c.json\n"
SHA = "1" * 40


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run functions of 01_setup.sbatch."""
    return run_bash(f"load_config; {code}", folder, script="01_setup.sbatch", HF_TOKEN="hf_UnitTestToken")


@pytest.mark.parametrize(
    ("listing", "error"),
    [
        (LISTING, ""),
        (LISTING.replace("  2026-01-02 03:04:05", ""), ""),
        ("", "hub-empty"),
        (LISTING.replace("folder/", "../"), "hub-names"),
        (LISTING.replace("folder/", "/"), "hub-names"),
        (LISTING.replace("folder/", "a\x1b[31m/"), "hub-names"),
    ],
    ids=["dates", "no-dates", "empty", "parent", "root", "escape"],
)
def test_list_files(tmp_path: Path, listing: str, error: str) -> None:
    (tmp_path / "listing").write_text(listing)
    result = run(
        tmp_path, f'hub() {{ cat listing; }}; keep_commit repo {SHA}; list_files repo; cat "$STATE/listing-repo"; commits_of repo'
    )
    assert re.findall(r"ERROR\[(.*?)\]", result.stderr) == ([error] if error else [])
    if not error:
        assert result.stdout == f"12345678901 a b.tar\n2 folder/c.json\n{SHA}\n"


def test_list_files_without_a_commit(tmp_path: Path) -> None:
    """It fails like any attempt, with the status of the Hub's answer as the cause."""
    answer = "printf 'HTTP/1.1 500 Internal Server Error\\r\\n' >\"$STATE/headers-repo\""
    result = run(tmp_path, f'{answer}; list_files repo || telling_line "$TOOL_LOG"')
    assert (result.returncode, result.stdout) == (0, "HTTP/1.1 500 Internal Server Error"), result.stderr


def test_swap_replaces(tmp_path: Path) -> None:
    for name in ("new", "deep/old"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / Path(name).name).touch()
    assert run(tmp_path, "swap new deep/old").returncode == 0
    assert [path.name for path in (tmp_path / "deep" / "old").iterdir()] == ["new"]


def test_link_folder_shares_files(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_text("x")
    assert run(tmp_path, "link_folder from to/there; link_folder from to/there").returncode == 0
    assert (tmp_path / "to" / "there" / "file").stat().st_ino == (tmp_path / "from" / "file").stat().st_ino


@pytest.mark.parametrize("where", ["path", "CONDA_EXE", "home", "module", "nowhere"])
def test_find_conda(tmp_path: Path, where: str) -> None:
    home = tmp_path / "home"
    conda = (home / "miniforge3" if where == "home" else tmp_path / "elsewhere") / "bin" / "conda"
    conda.parent.mkdir(parents=True)
    conda.write_text("#!/bin/sh\n")
    conda.chmod(0o755)
    home.mkdir(exist_ok=True)
    (home / ".bash_profile").write_text(
        "echo welcome; echo $unset\n"
        f'module() {{ [ "$1 $2 $3" = "load gcc/12 conda/24" ] && PATH={conda.parent}:$PATH; }}\n'
        "trap 'echo Goodbye' EXIT\n"
    )
    before = {"path": f"PATH={conda.parent}:$PATH", "CONDA_EXE": f"CONDA_EXE={conda}"}.get(where, ":")
    module = "gcc/12 conda/24" if where == "module" else ""
    result = run(tmp_path, f'export HOME={home}; {before}; CONDA_MODULE="{module}"; find_conda && echo "$CONDA"')
    assert (result.returncode == 0) == (where != "nowhere"), result.stderr
    assert result.stdout.endswith(f"{conda}\n") or where == "nowhere"

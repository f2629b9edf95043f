"""Other awks and plainer tools: what the scripts compute with them comes out the same."""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from diffueraser_docs.bash import parse
from diffueraser_docs.render import ROOT, SCRIPTS
from tests.unit.test_config_reader import VALID
from tests.unit.test_setup_steps import UPSTREAM_LIST

AWKS = {
    "mawk": ["mawk"],
    "original-awk": ["original-awk"],
    "busybox awk": ["busybox", "awk"],
    "gawk --posix": ["gawk", "--posix"],
}
# Tools of busybox in place of the GNU ones, for what the login node computes with: text in, text out.
PLAIN = ("awk", "cut", "dirname", "grep", "head", "sed", "sort", "tail", "tr", "wc", "xargs")
# Options of GNU tools and curl, all there on RHEL 8 (2019, the first with bash 4.4: coreutils 8.30, findutils 4.6, curl 7.61),
# and but for curl's --fail-early (7.52) on CentOS 7 too. A new one is added here once its release was looked up.
SINCE = {
    "cp": {"-al", "-a", "-p", "--remove-destination"},
    "curl": {"--silent", "--show-error", "--fail", "--location", "--continue-at", "--output", "--connect-timeout",
             "--speed-limit", "--speed-time", "--config", "--write-out", "--max-time",
             "--create-dirs", "--dump-header", "--fail-early", "--globoff"},
    "cut": {"-f1", "-f2", "-f3", "-d", "-d ", "-d=", "-f2-", "-c1-40", "-c1-64"},
    "df": {"-P", "-Ph", "-Pk", "--output", "--block-size"},
    "du": {"-s", "-c", "-sh", "-sb", "--block-size"},
    "find": {"-maxdepth", "-type", "-name", "-printf", "-delete", "-exec"},
    "grep": {"-q", "-aE", "-qE", "-qF", "-qiE", "-oE", "-oaE", "-aoE", "-vE", "-v", "-c", "-F", "-rIlE", "-slFx", "-E"},
    "head": {"-c", "-n"},
    "ln": {"-s", "-sfn"},
    "mv": {"-f", "-T"},
    "install": {"-m"},
    "nproc": set(),
    "paste": {"-d"},
    "ps": {"-o", "--ppid"},
    "split": {"-n", "--elide-empty-files"},  # coreutils 8.8, 2010
    "uname": {"-m"},
    "od": {"-An", "-tx1", "-tu8"},
    "readlink": set(),
    "rm": {"-f", "-rf"},
    "sed": {"-n", "-i", "-E", "-e"},  # -E: GNU sed 4.2 knows it, undocumented until 4.3
    "sort": {"-u", "-n", "-z", "-k"},
    "stat": {"-c"},
    "tail": {"-n", "-c"},
    "tar": {"--extract", "--file", "--directory", "--gzip", "--no-same-owner"},
    "timeout": set(),
    "tr": {"-d"},
    "wc": {"-l"},
    "xargs": {"-0", "-r", "-P", "-n"},
}  # fmt: skip
# Options of Slurm's programs that came after 19.05, and what happens without them.
SLURM: dict[tuple[str, str], str] = {}
FROM_LINE_3 = 'declare_variables; for name in "${!PATTERN[@]}"; do ORIGIN[$name]=3; done'
NAMES_OF_PARTITIONS = "PARTITIONS=$'a* gpu:h100:8(S:0-1) 1-00:00:00\\nb (null) infinite\\nc gpu:2,gpu:a100:4 08:00:00'"


Folder = Callable[[str], Path]
pytestmark = pytest.mark.slow


@pytest.fixture
def tools(tmp_path: Path) -> Folder:
    """Makes a folder in which `awk` is another one, or all plain tools are busybox's."""

    def make(name: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        wanted = {tool: ["busybox", tool] for tool in PLAIN} if name == "busybox" else {"awk": AWKS[name]}
        for tool, words in wanted.items():
            found = shutil.which(words[0])
            assert found, f"{words[0]} is missing: make tests/system.stamp installs it"
            (folder / tool).write_text(f'#!/bin/sh\nexec {" ".join([found, *words[1:]])} "$@"\n')
            (folder / tool).chmod(0o755)
        return folder

    return make


def run(folder: Path, script: str, tools: Path | None, *arguments: str, name: str = "setup_and_train.sbatch") -> str:
    """Run functions of a script with these tools before the usual ones; what was printed."""
    for each in SCRIPTS:
        if each != "config.env":
            shutil.copy(ROOT / "scripts" / each, folder / each)
    path = "/usr/bin:/bin" if tools is None else f"{tools}:/usr/bin:/bin"
    result = subprocess.run(
        ["bash", "-c", f"source ./{name}\n{script}", "bash", *arguments],
        cwd=folder, env={"PATH": path, "LC_ALL": "C", "HOME": "/nonexistent"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"{result.returncode}\n{result.stdout}{result.stderr}"


EACH = [*AWKS, "busybox"]
LISTING = [
    {"type": "file", "path": "a b.tar", "size": 12345678901, "blob_id": "1" * 40,
     "lfs": {"size": 12345678901, "sha256": "a" * 64, "pointer_size": 130}},
    {"type": "directory", "path": "folder", "tree_id": "3" * 40},
    {"type": "file", "path": "folder/c.json", "size": 2, "blob_id": "2" * 40, "lfs": None},
]  # fmt: skip
CASES = {
    "partitions are told apart": f"{NAMES_OF_PARTITIONS}; names_of_partitions",
    "a time above a limit is found": f"""{NAMES_OF_PARTITIONS}; {FROM_LINE_3}
        for TRAIN_TIME in 07:59:59 08:00:01 1-01:00:00 90 1000; do check_time TRAIN_TIME c; done
        printf '%s\\n' "${{PROBLEMS[@]}}" """,
    "the most GPUs of a partition": f"""{NAMES_OF_PARTITIONS}; {FROM_LINE_3}
        NUM_GPUS=8 GPU_TYPE= GPU_PARTITION=c; choose_gpu_partition; GPU_TYPE=a100; choose_gpu_partition
        printf '%s\\n' "${{PROBLEMS[@]}}" """,
    "the nearest name": "declare_variables; nearest NUM_GPU; nearest STAGE1_LEARNINGRATE; nearest train_version; nearest HFTOKEN",
    "a run's jobs": """CONFIG_DIR=/p JOB_SETUP=s JOB_TRAIN=t JOB_DPO=d JOB_UPLOAD=u
        squeue() { printf '%s\\n' '1 s RUNNING None /p' '2 t PENDING (a b) /p' '3 t RUNNING None /q' '4 x RUNNING None /p'; }
        project_jobs; printf '%s\\n' "$JOBS" """,
}  # fmt: skip


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("case", CASES)
def test_the_launcher_computes_the_same(tmp_path: Path, tools: Folder, name: str, case: str) -> None:
    expected = run(tmp_path, CASES[case], None)
    assert expected.startswith("0\n"), expected
    assert len(expected.splitlines()) > 1, "the case computes nothing"
    assert run(tmp_path, CASES[case], tools(name)) == expected


@pytest.mark.parametrize("name", EACH)
def test_config_env_is_read_the_same(tmp_path: Path, tools: Folder, name: str) -> None:
    (tmp_path / "config.env").write_text(VALID)
    script = (
        'CONFIG_DIR=$1; read_values; report_problems; for name in "${!PATTERN[@]}"; do printf "%s=%s\\n" "$name" "${!name}"; done'
    )
    expected = run(tmp_path, script, None, str(tmp_path))
    assert "NUM_GPUS=4" in expected
    assert run(tmp_path, script, tools(name), str(tmp_path)) == expected


@pytest.mark.parametrize("name", EACH)
def test_setup_reads_lists_the_same(tmp_path: Path, tools: Folder, name: str) -> None:
    """The package list of upstream, and the Hub's list of files."""
    (tmp_path / "environment.yml").write_text(yaml.safe_dump(UPSTREAM_LIST, sort_keys=False))
    (tmp_path / "answer.json").write_text(json.dumps(LISTING, indent=2))
    script = """LIST=environment.yml STATE=$1 WORK=$1 HF_ORG=org DOWNLOAD_ATTEMPTS=1
        hub() { cat answer.json; }; list_files repo; cat listing-repo
        for file in 'a b.tar' folder/c.json; do expect_files repo "$file"; done
        pins_of all; pins_of needed"""
    expected = run(tmp_path, script, None, str(tmp_path), name="01_setup.sbatch")
    assert f"12345678901\t{'a' * 64}\ta b.tar\n" in expected, expected
    assert f"2\t{'2' * 40}\tfolder/c.json\n" in expected
    assert "torch==2.3.1" in expected
    assert run(tmp_path, script, tools(name), str(tmp_path), name="01_setup.sbatch") == expected


@pytest.mark.parametrize("name", EACH)
def test_wrong_files_are_found_the_same(tmp_path: Path, tools: Folder, name: str) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "good").write_text("good\n")
    (tmp_path / "files" / "bad one").write_text("bad\n")
    good = hashlib.sha1(b"blob 5\0good\n").hexdigest()
    (tmp_path / "list").write_text(f"5\t{good}\tgood\n4\t{'1' * 40}\tbad one\n8\t{'2' * 40}\tmissing\n")
    script = "WORK=$1; wrong_files files <list | cut -f3"
    expected = run(tmp_path, script, None, str(tmp_path), name="01_setup.sbatch")
    assert expected == "0\nbad one\nmissing\n"
    assert run(tmp_path, script, tools(name), str(tmp_path), name="01_setup.sbatch") == expected


def given(programs: set[str]) -> dict[str, set[str]]:
    """The options that the scripts give to programs."""
    found: dict[str, set[str]] = {}
    for script in SCRIPTS:
        for _, words in parse((ROOT / "scripts" / script).read_text(encoding="utf-8")).commands:
            name = words[0].rsplit("/", 1)[-1]
            if name in programs:
                rest = words[1:]
                if name in ("xargs", "timeout"):  # what comes after is another program's
                    rest = rest[
                        : next((i for i, w in enumerate(rest) if w and not w.startswith("-") and not w.isdigit()), len(rest))
                    ]
                found.setdefault(name, set()).update(w.split("=")[0] for w in rest if re.match("--?[A-Za-z0-9]", w))
    return found


@pytest.mark.parametrize("program", SINCE)
def test_no_option_is_younger_than_the_oldest_cluster(program: str) -> None:
    known = {option.split("=")[0] for option in SINCE[program]}
    assert given(set(SINCE)).get(program, set()) - known == set(), "since which release? Add it to SINCE, or do without it"


def test_slurms_younger_options_are_few_and_each_can_be_missed() -> None:
    younger = {
        ("squeue", "--me"),
        ("srun", "--overlap"),
        ("srun", "--exact"),
        ("sbatch", "--gpu-bind"),
        ("squeue", "--json"),
        ("sinfo", "--json"),
    }
    used = {
        (program, option)
        for program, options in given({"squeue", "srun", "sbatch", "sinfo", "scontrol"}).items()
        for option in options
    }
    assert used & younger == set(SLURM)

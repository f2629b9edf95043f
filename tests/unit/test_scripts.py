"""The scripts give programs only options that these programs know, and ask Slurm for what the plan says."""

import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from diffueraser_docs.render import ROOT, SCRIPTS
from tests.syntax import parse

VENV = Path(sys.executable).parent
# Functions and prefixes through which the scripts call a program: the words before the program's own.
CALLED_AS = {"hub": ("hf",), "submit": ("sbatch",)}
SUBCOMMANDS = {"hf": 2, "uv": 2}
# Options of accelerate launch, of the trainers and of conda: these programs are not here. The end-to-end tests run the first two.
ACCELERATE = {
    "--machine_rank", "--num_machines", "--num_processes", "--main_process_ip", "--main_process_port", "--mixed_precision",
    "--dynamo_backend", "--multi_gpu",
}  # fmt: skip
DIRECTIVES = {
    "01_setup.sbatch": [
        "job-name=diffueraser-setup", "partition=compute", "cpus-per-task=16", "mem=32G", "time=24:00:00", "requeue",
        "open-mode=append", "output=01_setup-%j.log",
    ],
    "02_train.sbatch": [
        "job-name=diffueraser-train", "partition=gpu", "nodes=1", "ntasks-per-node=1", "gres=gpu:8", "cpus-per-task=48",
        "mem=256G", "time=24:00:00", "signal=B:USR1@180", "requeue", "open-mode=append", "output=02_train-%j.log",
    ],
    "setup_and_train.sbatch": ["job-name=diffueraser-launch", "time=00:30:00", "output=setup_and_train-%j.log"],
}  # fmt: skip


def text(name: str) -> str:
    """A committed script."""
    return (ROOT / "scripts" / name).read_text()


def options() -> dict[tuple[str, ...], dict[str, str]]:
    """Program, with its subcommands, and the long options that the scripts give it, each with a place."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for script in SCRIPTS:
        for line, words in parse(text(script)).commands:
            name = words[0].rsplit("/", 1)[-1]
            if not name or "$" in name:
                continue
            program: tuple[str, ...] = CALLED_AS.get(name, (name,))
            rest = words[1:]
            if program[0] in SUBCOMMANDS:
                plain = [word for word in rest[: SUBCOMMANDS[program[0]]] if re.fullmatch("[a-z]+", word)]
                program += tuple(plain)
            end = next(
                (i for i, word in enumerate(rest) if program[0] in ("srun", "xargs") and i and not word.startswith("-")),
                len(rest),
            )
            for word in rest[:end]:
                if re.match("--[a-z]", word):
                    found.setdefault(program, {}).setdefault(word.split("=")[0], f"{script}:{line}")
    return found


@cache
def tool(name: str) -> str:
    """Where a program is, that of the virtual environment first; empty where it is not installed."""
    return str(VENV / name) if (VENV / name).exists() else shutil.which(name) or ""


def ask(command: list[str]) -> str:
    """What a program says; Slurm's do not even help without the file of a cluster."""
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder, "slurm.conf")
        conf.write_text("ClusterName=none\nSlurmctldHost=localhost\nAuthType=auth/munge\n")
        env = {"PATH": "/usr/bin:/bin", "COLUMNS": "200", "SLURM_CONF": str(conf)}
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=folder)
    return result.stdout + result.stderr


@cache
def help_of(program: tuple[str, ...]) -> str:
    """The help of a program that lists all its options there."""
    return ask([tool(program[0]), *program[1:], "--help", *(["all"] if program[0] == "curl" else [])])


def knows(program: tuple[str, ...], option: str) -> bool:
    """Whether a program takes an option: by its help where that is complete, else by its word on the option itself."""
    if program[0] in ("curl", "hf"):
        return bool(re.search(rf"{option}(?![\w-])", help_of(program)))
    said = ask([tool(program[0]), *program[1:], f"{option}=1", "--help"])
    return not re.search("unrecognized option|unexpected argument|unknown (gnu long )?option|invalid option", said)


OPTIONS = {program: found for program, found in options().items() if not program[0].startswith(("python", "conda"))}
KNOWN = {
    program: found
    for program, found in OPTIONS.items()
    if tool(program[0]) and program[0] not in ("scontrol", "nvidia-smi", "git")
}


def test_options_were_found() -> None:
    programs = {program[0] for program in OPTIONS}
    assert {"sbatch", "srun", "squeue", "sinfo", "curl", "tar", "hf", "uv"} <= programs
    assert sum(map(len, OPTIONS.values())) > 60


@pytest.mark.parametrize("program", KNOWN, ids=" ".join)
def test_a_program_knows_each_option_that_it_is_given(program: tuple[str, ...]) -> None:
    assert not knows(program, "--no-such-option-of-any-program"), "the case cannot fail"
    for option, place in KNOWN[program].items():
        assert knows(program, option), f"{place}: {' '.join(program)} knows no {option}"


def test_arrays_of_options_for_sbatch_hold_only_its_options() -> None:
    """What collect_options and submit_everything put together before it reaches sbatch."""
    if not tool("sbatch"):
        pytest.skip("slurm-client is not installed; make test installs it")
    launcher = text("setup_and_train.sbatch")
    body = launcher[launcher.index("submit_everything() {") : launcher.index("# --- this project's jobs")]
    arrays = re.findall(r"(?:OPTIONS\+?=|common=|after=)\((.*?)\)(?= |$|\n)", body, re.DOTALL)
    given = {option for each in arrays for option in re.findall(r"(?<![\w-])--[a-z-]+", each)}
    assert len(given) > 14, given
    for option in given:
        assert knows(("sbatch",), option), f"sbatch knows no {option}"


def test_accelerate_is_given_its_own_options() -> None:
    train = text("02_train.sbatch")
    body = train[train.index("arguments=(--num_machines") : train.index('arguments+=("train_DiffuEraser')]
    body += next(line for line in train.splitlines() if '"$0" launch' in line)
    assert set(re.findall(r"--[a-z_]+", body)) == ACCELERATE


@pytest.mark.parametrize("script", DIRECTIVES)
def test_slurm_is_asked_for_what_the_plan_says(script: str) -> None:
    assert re.findall(r"^#SBATCH --(.*)$", text(script), re.MULTILINE) == DIRECTIVES[script]

"""The scripts give programs only options that these programs know."""

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
# Functions through which the scripts call a program: the words before the program's own.
CALLED_AS = {"hub": ("hf",), "curl_hub": ("curl",), "pip_install": ("pip", "install"), "submit": ("sbatch",)}
OWN_ARGUMENTS = {"hub": 1, "curl_hub": 2}  # limits, before the words for the program
SUBCOMMANDS = {"hf": 2, "uv": 2, "pip": 1}
CARRIERS = {"run": 2, "must": 4, "run_once": 3, "exec": 1, "as_typed": 1}
NOT_HERE = {"conda", "nvidia-smi"}


def program_of(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """A program with its subcommands, and the words after them."""
    name = words[0].rsplit("/", 1)[-1]
    program: tuple[str, ...] = CALLED_AS.get(name, (name,))
    rest = words[1 + OWN_ARGUMENTS.get(name, 0) :]
    plain = [word for word in rest[: SUBCOMMANDS.get(program[0], 0)] if re.fullmatch("[a-z]+", word)]
    return (program[0], *program[1:], *plain)[: SUBCOMMANDS.get(program[0], 0) + 1], rest


@cache
def options() -> dict[tuple[str, ...], dict[str, str]]:
    """Program, with its subcommands, and the long options that the scripts give it, each with a place."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for script in SCRIPTS:
        for line, called in parse((ROOT / "scripts" / script).read_text()).commands:
            words = called[CARRIERS.get(called[0], 0) :]
            if not words or not words[0] or "$" in words[0] or words[0].startswith("-"):
                continue
            program, rest = program_of(words)
            carries = program[0] in ("srun", "xargs", "env", "timeout")  # a command of its own
            ends = (i for i, word in enumerate(rest) if carries and not word.startswith("-"))
            for word in rest[: next(ends, len(rest))]:
                if re.match("--[a-z]", word):
                    found.setdefault(program, {}).setdefault(word.split("=")[0], f"{script}:{line}")
    text = (ROOT / "scripts" / "setup_and_train.sbatch").read_text()
    body = text[text.index("collect_options() {") : text.index("make_request() {")]
    given = re.findall(r"(?<![\w-])--[a-z-]+", body)
    found.setdefault(("sbatch",), {}).update(dict.fromkeys(given, "collect_options"))
    return {program: found[program] for program in found if program[0] not in NOT_HERE}


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
    if program[0] in ("curl", "hf", "pip"):
        return bool(re.search(rf"{option}(?![\w-])", help_of(program)))
    said = ask([tool(program[0]), *program[1:], f"{option}=1", "--help"])
    return not re.search("unrecognized option|unexpected argument|unknown (gnu long )?option|invalid option", said)


def test_options_found() -> None:
    programs = {program[0] for program in options()}
    assert {"sbatch", "squeue", "sinfo", "curl", "tar", "hf", "uv", "pip", "flock"} <= programs
    assert {"--parsable", "--export", "--dependency", "--gres", "--gpus-per-node"} <= set(options()["sbatch",])


@pytest.mark.slow
def test_options_known() -> None:
    unknown = []
    for program, given in options().items():
        if not tool(program[0]) or program[0] == "scontrol":
            continue
        assert not knows(program, "--no-such-option-of-any-program"), f"{program}: the case cannot fail"
        unknown += [f"{given[option]}: {' '.join(program)} knows no {option}" for option in given if not knows(program, option)]
    assert unknown == []

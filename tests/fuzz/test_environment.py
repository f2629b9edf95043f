"""Fuzz: the environment. What a user's shell exports changes neither the jobs nor what setup and training make."""

from collections.abc import Callable

import pytest

from tests.fuzz import SEED, chunks, rng
from tests.fuzz.outcome import canary, check_outcome, outside
from tests.fuzz.shells import FILTERS, environment, own_names
from tests.replay.site import Site

COMMANDS = (
    *("bash setup_and_train.sbatch check", "bash setup_and_train.sbatch", "bash setup_and_train.sbatch status"),
    *("bash 01_setup.sbatch training", "sbatch 02_train.sbatch"),
)


@pytest.fixture(scope="module")
def own() -> list[str]:
    return own_names()


def run(site: Site, env: dict[str, str], about: str) -> list[str]:
    """Type every command; gives what each job asked for and each tool was told."""
    for program in ("squeue", "sinfo"):
        site.answer(program, run=f'compgen -e | grep -E "^({"|".join(FILTERS)})" >>{site.stubs}/filters || true')
    before, told = outside(site), []
    for command in COMMANDS:
        site.forget()
        given = {name: text for name, text in env.items() if not (command.startswith("sbatch") and name.startswith("SLURM_"))}
        result = site.run(command, env=given)  # in a job, Slurm sets its own
        check_outcome(result, site, before, f"{command} {about}")
        assert result.status == 0, f"{command} {about}\n{result.printed}"
        told += [call for call in result.calls if call.startswith(("sbatch", "uv ", "hf ", "accelerate", "tools-python"))]
        assert not site.lines("filters"), f"{site.lines('filters')} reaches Slurm's programs: {about}"
    return [call.replace(str(site.folder), "@") for call in told]


@chunks(1 / 30)
def test_environment(sites: Callable[[str], Site], own: list[str], numbers: range) -> None:
    expected = run(sites("plain"), {}, "without more")
    for number in numbers:
        site = sites(str(number))
        env = environment(rng("environment", number), canary(site), own)
        assert run(site, env, f"seed {SEED}, environment {number}: {env}") == expected

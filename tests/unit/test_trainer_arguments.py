"""Every flag of the facts reaches the trainer in the exact form that it parses, and nothing else does."""

import argparse
import ast
import random
import socket
from pathlib import Path

import pytest
from rstr import Rstr

from diffueraser_docs.facts import facts
from diffueraser_docs.schema.base import STAGES, VERSIONS
from diffueraser_docs.schema.training import Parameter
from tests.bash import run_bash
from tests.trainer import code

CALL = """
load_config
NODES=2 GPUS=3 HEAD=10.0.0.1 SLURM_JOB_ID=36007
launcher_arguments "$1"
trainer_arguments "$1" 0 "$2"
printf '%s\\0' "${ARGUMENTS[@]}"
"""
PARAMETERS = facts().training.parameters


def example(parameter: Parameter) -> str:
    """A value of the parameter's kind that is not its default, the same at every run."""
    if parameter.switch:
        return "yes"
    if parameter.kind == "list":
        return "['dataset/a b','dataset/c']"
    draw = Rstr(random.Random(parameter.flag))
    pattern = facts().configuration.kinds[parameter.kind].pattern
    values = (draw.xeger(pattern) for _ in range(100))
    return next(value for value in values if value != "auto" and value != parameter.default("stage1", "non-prompt"))


def launched(folder: Path, stage: str, version: str, **values: str) -> list[str]:
    """What `accelerate` is called with."""
    env = {"HF_TOKEN": "hf_UnitTestToken", "TRAIN_VERSION": version, **values}
    number = stage.removeprefix("stage")
    maximum = values.get(f"STAGE{number}_MAX_TRAIN_STEPS", "50000")
    result = run_bash(CALL, folder, number, maximum, script="02_train.sbatch", **env)
    assert result.returncode == 0, result.stderr
    return result.stdout.split("\0")[:-1]


def trainers_parser(stage: str, version: str) -> argparse.ArgumentParser:
    """The argument parser of the trainer, taken out of its code."""
    source = code(prompt=version == "prompt")[f"train_DiffuEraser_{stage}.py"].decode()
    function = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == "parse_args")
    function.body = [*function.body[: next(i for i, n in enumerate(function.body) if "parse_args" in ast.unparse(n))]]
    function.body += ast.parse("return parser").body
    names: dict[str, object] = {"argparse": argparse}
    exec(compile(ast.Module([function], []), "trainer", "exec"), names)
    parser = names["parse_args"]()  # type: ignore[operator]
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


@pytest.fixture(scope="module", params=[(stage, version) for stage in STAGES for version in VERSIONS], ids="-".join)
def everything_set(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str, dict[str, str], argparse.Namespace]:
    """Each parameter set to an example, and what the trainer makes of it."""
    stage, version = request.param
    values = {parameter.flag: example(parameter) for parameter in PARAMETERS}
    env = {f"{stage.upper()}_{flag.upper()}": value for flag, value in values.items()}
    arguments = launched(tmp_path_factory.mktemp("scripts"), stage, version, **env)
    script = next(i for i, word in enumerate(arguments) if word.endswith(f"train_DiffuEraser_{stage}.py"))
    return stage, version, values, trainers_parser(stage, version).parse_args(arguments[script + 1 :])


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda p: p.flag)
def test_the_trainer_reads_the_value_that_was_set(
    everything_set: tuple[str, str, dict[str, str], argparse.Namespace], parameter: Parameter
) -> None:
    _, _, values, parsed = everything_set
    found, wanted = getattr(parsed, parameter.flag), values[parameter.flag]
    if parameter.flag == "checkpointing_steps":  # never beyond the last step, or nothing would be saved
        assert found == min(int(wanted), int(values["max_train_steps"]))
    elif parameter.switch:
        assert found is True
    elif isinstance(found, float):
        assert found == float(wanted)
    else:
        assert str(found) == wanted


@pytest.mark.parametrize("fixed", facts().training.fixed, ids=lambda f: f.flag)
def test_what_the_scripts_own_is_passed_to_the_stage_and_version_that_has_it(
    everything_set: tuple[str, str, dict[str, str], argparse.Namespace], fixed: object
) -> None:
    stage, version, _, parsed = everything_set
    expected = getattr(fixed, stage) if version in fixed.versions else ""  # type: ignore[attr-defined]
    assert (getattr(parsed, fixed.flag, None) or "") == expected  # type: ignore[attr-defined]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("version", VERSIONS)
def test_by_default_only_what_upstreams_launch_gives_is_passed(tmp_path: Path, stage: str, version: str) -> None:
    arguments = launched(tmp_path, stage, version)
    script = next(i for i, word in enumerate(arguments) if word.endswith(f"train_DiffuEraser_{stage}.py"))
    flags = {word.removeprefix("--") for word in arguments[script:] if word.startswith("--")}
    given = {p.flag for p in PARAMETERS if p.default(stage, version)}  # type: ignore[arg-type]
    fixed = {f.flag for f in facts().training.fixed if getattr(f, stage) and version in f.versions}
    assert flags | {"gradient_checkpointing"} == given | fixed


def test_the_launcher_gets_nodes_processes_and_the_trainers_precision(tmp_path: Path) -> None:
    arguments = launched(tmp_path, "stage1", "prompt")
    text = " ".join(arguments)
    for words in (
        "--num_machines 2",
        "--num_processes 6",
        "--multi_gpu",
        "--main_process_ip 10.0.0.1",
    ):
        assert words in text.split("train_DiffuEraser")[0]
    port = int(arguments[arguments.index("--main_process_port") + 1])
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", port))
        busy.listen()
        again = launched(tmp_path, "stage1", "prompt")
    assert int(again[again.index("--main_process_port") + 1]) > port >= 20007, "a port that something listens on is not taken"
    assert text.count("--mixed_precision bf16") == 2, "launcher and trainer must agree"


def test_extra_arguments_come_last(tmp_path: Path) -> None:
    assert launched(tmp_path, "stage2", "prompt", STAGE2_EXTRA_ARGS="--unknown 3 --other")[-3:] == ["--unknown", "3", "--other"]

"""Every command that a README or a page of the site shows is typed, in order, and does what it says."""

import re
from collections.abc import Callable

import pytest

from diffueraser_docs.facts import facts
from diffueraser_docs.render import READMES
from diffueraser_docs.schema.base import VERSIONS
from tests.cluster.conftest import Finished
from tests.cluster.pages import Command, block_commands, inline_commands, page_texts
from tests.cluster.project import Project
from tests.cluster.walk import NOT_TYPED, walk

TEXTS = page_texts()
SITE = {name: text for name, text in TEXTS.items() if name not in READMES.values()}
LOAD_BACK = """
import sys
from accelerate.commands.config.config_args import load_config_from_file
c = load_config_from_file(sys.argv[1])
print(c.distributed_type.value, c.num_processes, c.num_machines, c.machine_rank, c.mixed_precision, c.use_cpu)
"""


def walks() -> dict[str, list[Command]]:
    """Commands of each page of the site; a translation that shows the same ones is not walked twice."""
    found: dict[str, list[Command]] = {}
    for name, text in SITE.items():
        commands = block_commands(text, name)
        if commands and [c.text for c in commands] not in [[c.text for c in known] for known in found.values()]:
            found[name] = commands
    return found


def inline() -> list[Command]:
    """Commands in running text that no code block shows, each once."""
    shown = {command.text for name, text in TEXTS.items() for command in block_commands(text, name)}
    found: dict[str, Command] = {}
    for name, text in TEXTS.items():
        for command in inline_commands(text, name):
            if command.text not in shown and command.text not in NOT_TYPED:
                found.setdefault(command.text, command)
    return list(found.values())


WALKS = walks()


@pytest.fixture(scope="module", autouse=True)
def nothing_trained(environment_built: Project) -> None:
    """No test of another file has trained for the readers."""
    environment_built.forget_training()


@pytest.fixture
def project(set_up: Callable[[], Project]) -> Project:
    """A reader's folder: what the commands of one page have trained is there when the next page is read."""
    return set_up()


def test_what_is_not_typed_is_a_short_list_with_a_reason_each() -> None:
    assert len(NOT_TYPED) == 8, "the list of commands that no test types has grown: is there really no way to type them?"
    assert all(len(reason.split()) > 4 for reason in NOT_TYPED.values())


def test_every_page_with_commands_is_walked() -> None:
    shown = {c.text for name, text in TEXTS.items() for c in (*block_commands(text, name), *inline_commands(text, name))}
    typed = {c.text for commands in WALKS.values() for c in commands} | {c.text for c in inline()}
    typed |= {c.text for name in READMES.values() for c in block_commands(TEXTS[name], name)}
    assert len(shown) > 5, "the case finds no commands"
    assert shown - typed <= set(NOT_TYPED)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_readme_walked_from_top_to_bottom_ends_with_the_weights(finished: Finished, version: str) -> None:
    steps = finished[version].steps
    readme = READMES[finished[version].readme]
    typed = [step.command.text for step in steps]
    assert typed == [c.text for c in block_commands(TEXTS[readme], readme) if c.text not in NOT_TYPED]
    assert [step.problem() for step in steps if step.problem()] == []
    submitted = [step for step in steps if "sbatch setup_and_train.sbatch" in step.command.text]
    assert submitted, f"{readme} submits nothing"
    assert len(submitted[0].jobs) >= 3, "setup, training and DPO-dataset"
    assert finished[version].project.record(version, 2)["step"] == 12


@pytest.mark.parametrize("page", WALKS)
def test_the_commands_of_a_page_of_the_site_do_what_they_say(project: Project, page: str) -> None:
    steps = walk(project, WALKS[page], "non-prompt", "en")
    assert [step.problem() for step in steps if step.problem()] == []


@pytest.mark.parametrize("command", inline(), ids=lambda command: re.sub(r"\W+", "-", command.text))
def test_a_command_in_running_text_does_what_it_says(project: Project, command: Command) -> None:
    steps = walk(project, [command], "non-prompt", "en")
    assert [step.problem() for step in steps if step.problem()] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_prefix_of_upstream_is_replaced_and_none_is_left(finished: Finished, version: str) -> None:
    project = finished[version].project
    code = [p for p in project.root(version).rglob("*") if p.suffix in (".py", ".sh", ".sbatch", ".yml") and p.is_file()]
    now = "\n".join(path.read_text(encoding="utf-8") for path in code)
    for rewrite in facts().project.rewrites:
        prefix = rewrite.prefix.replace("[h]", "h")
        assert prefix not in now, f"{prefix} is left"
        target = rewrite.target.replace("$PROJECT_HOME", str(project.folder))
        if rewrite.target != facts().project.rewrites[-1].target and (version == "prompt" or "prompt" not in target):
            assert f"{target}/" in now or f'{target}"' in now, f"nothing became {target}: did the case lose its prefix {prefix}?"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_real_accelerate_loads_the_configuration_back(finished: Finished, version: str) -> None:
    project = finished[version].project
    python = project.environment / "bin" / "python"
    file = project.root(version) / "accelerate_config.yaml"
    result = project.lab.run([str(python), "-c", LOAD_BACK, str(file)], project.folder)
    assert result.returncode == 0, result.stderr
    precision = {"non-prompt": "fp16", "prompt": "bf16"}[version]
    assert result.stdout.split() == ["MULTI_GPU", "2", "1", "0", precision, "False"]

"""Every command that a page of the site shows is typed, in order, and does what it says."""

import re
from collections.abc import Callable

import pytest

from diffueraser_docs.render import READMES
from tests.cluster.pages import Command, block_commands, inline_commands, page_texts
from tests.cluster.project import Project
from tests.cluster.walk import NOT_TYPED, walk

TEXTS = page_texts()


def walks() -> dict[str, list[Command]]:
    """Commands of each page of the site; what a README shows, or a page in the other language, is not walked twice."""
    found: dict[str, list[Command]] = {}
    for name, text in sorted(TEXTS.items(), key=lambda page: page[0] not in READMES.values()):
        commands = block_commands(text, name)
        if commands and [c.text for c in commands] not in [[c.text for c in known] for known in found.values()]:
            found[name] = commands
    return {name: commands for name, commands in found.items() if name not in READMES.values()}


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


@pytest.mark.parametrize("page", WALKS)
def test_the_commands_of_a_page_of_the_site_do_what_they_say(project: Project, page: str) -> None:
    steps = walk(project, WALKS[page], "non-prompt", "en")
    assert [step.problem() for step in steps if step.problem()] == []


@pytest.mark.parametrize("command", inline(), ids=lambda command: re.sub(r"\W+", "-", command.text))
def test_a_command_in_running_text_does_what_it_says(project: Project, command: Command) -> None:
    steps = walk(project, [command], "non-prompt", "en")
    assert [step.problem() for step in steps if step.problem()] == []

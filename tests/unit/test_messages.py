"""messages.yaml: every error can be found by its id or its words, and says in both languages what to do."""

import re
from collections import Counter

import pytest

from diffueraser_docs.facts import facts
from diffueraser_docs.macros import PageMacros
from diffueraser_docs.schema.base import LANGUAGES
from diffueraser_docs.schema.messages import Message

MESSAGES = facts().messages.messages
FOREIGN = [message for message in MESSAGES if message.by not in ("script", "note")]


def lines(message: Message) -> list[str]:
    """The lines of a log by which a message is found."""
    return (message.text or "").splitlines()


def test_messages_have_an_address_and_a_title() -> None:
    taken = {None, "still-stuck", "troubleshooting", *(group.name for group in facts().messages.groups)}
    assert [message.key for message in MESSAGES if message.id in taken or not message.title] == []


def test_messages_are_found_by_more_than_a_word_or_two() -> None:
    shortest = 7  # letters, as in docs/assets/site.js
    found = [line for message in MESSAGES for line in lines(message) if len(re.sub(r"[^A-Za-z0-9]", "", line)) < shortest]
    assert found == [], "would be found in any log"


def test_messages_end_their_sentences() -> None:
    texts = [text for message in MESSAGES for text in (message.cause, message.fix)]
    assert [text.en for text in texts if not text.en.endswith(".")] == []
    assert [text.zh for text in texts if not text.zh.endswith("。")] == []


def test_messages_show_what_is_in_angle_brackets() -> None:
    texts = [getattr(text, language) for m in MESSAGES for text in (m.title, m.cause, m.fix) if text for language in LANGUAGES]
    assert [text for text in texts if "<" in re.sub(r"`[^`]*`", "", text)] == [], "outside of code it is taken for HTML"


def test_messages_cover_slurm_the_trainer_and_tools() -> None:
    assert Counter(message.by for message in FOREIGN).keys() == {"slurm", "trainer", "tools"}
    assert len(FOREIGN) >= 40


def test_messages_share_no_line() -> None:
    found = Counter(line.lower() for message in MESSAGES for line in lines(message))
    assert [line for line, count in found.items() if count > 1] == []


def test_messages_name_only_variables_that_exist() -> None:
    known = {*facts().variable_names(), *(parameter.variable for parameter in facts().training.parameters)}
    elsewhere = re.compile(r"(NCCL|GLOO|CUDA|CUBLAS|CUDNN|SSL|LD|UV)_")
    for message in MESSAGES:
        for name in re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b", f"{message.cause.en} {message.fix.en}"):
            assert name in known or elsewhere.match(name), f"{message.key}: {name}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_messages_table_names_ids(language: str) -> None:
    table = PageMacros(facts(), language, {}).names()["messages_table"]()
    common = [message.id for message in MESSAGES if message.common]
    assert re.findall(r"^\| \[?`([a-z0-9-]+)`", table, re.MULTILINE) == common
    assert len(common) >= 5

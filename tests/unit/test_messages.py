"""Troubleshooting: every error that the scripts can print has its entry in facts/messages.yaml, and no entry is stale.

The list is derived from the scripts: every call of `die`, `problem` and `problem_with`, parsed as bash. What is
embedded in a message (a variable, a command) becomes `…`; an entry belongs to a message when its constant words
stand in it in the same order, so that a message may be rephrased around them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from diffueraser_docs.facts import facts
from diffueraser_docs.render import ROOT, SCRIPTS
from diffueraser_docs.schema.messages import Message

SPEAKERS = {"die", "problem", "problem_with"}
CONSTANT = {"string_content", "word", "raw_string"}
PARSER = Parser(Language(tree_sitter_bash.language()))


@dataclass(frozen=True)
class Said:
    """A call that prints an error."""

    script: str
    line: int
    what: str
    """Its first part: what happened."""
    text: str
    """The whole line, with what to do."""

    def __str__(self) -> str:
        return f"{self.script}:{self.line}"


def constant(node: Node) -> str:
    """The constant words of an argument, `…` for what is embedded."""
    if node.type in CONSTANT:
        text = (node.text or b"").decode().strip("'" if node.type == "raw_string" else "")
        return re.sub(r"\\([$`\"\\])", r"\1", text)
    if node.type in ("string", "concatenation"):
        return "".join(part if isinstance(part, str) else constant(part) for part in pieces(node))
    return " …" if (node.text or b"").startswith(b" ") else "…"


def pieces(node: Node) -> Iterator[Node | str]:
    """Children of a string; the parser leaves out spaces between two expansions, which count."""
    end = None
    for child in node.children:
        if end is not None and child.start_byte > end:
            yield " "
        end = child.end_byte
        if child.type != '"':
            yield child


def calls(root: Node, script: str, offset: int = 0) -> Iterator[Said]:
    """Every call of a speaker below a node, also within a quoted trap, but not within the speakers themselves."""
    if root.type == "function_definition":
        name = root.child_by_field_name("name")
        if name and (name.text or b"").decode() in SPEAKERS:
            return
    if root.type == "raw_string" and re.search(rb"\b(die|problem|problem_with) ", root.text or b""):
        inner = (root.text or b"").strip(b"'")
        yield from calls(PARSER.parse(inner).root_node, script, offset + root.start_point[0])
    if root.type == "command":
        name = root.child_by_field_name("name")
        if name and (speaker := (name.text or b"").decode()) in SPEAKERS:
            words = [constant(argument) for argument in root.children_by_field_name("argument")]
            text = f"{words[0]}=…: {words[1]}" if speaker == "problem_with" else " ".join(words)
            if re.search(r"[A-Za-z]{3}", text):
                what = text if speaker == "problem_with" else words[0]
                line = offset + root.start_point[0] + 1
                yield Said(script, line, *(re.sub(r"…+", "…", part) for part in (what, text)))
    for child in root.children:
        yield from calls(child, script, offset)


def everything_said() -> list[Said]:
    """All messages of all scripts."""
    found = []
    for name in SCRIPTS:
        if name.endswith(".sbatch"):
            tree = PARSER.parse((ROOT / "scripts" / name).read_bytes())
            found += list(calls(tree.root_node, name))
    return found


def belongs(entry: Message, said: Said) -> bool:
    """Whether an entry's constant words stand in a message, in order, and are more than a word or two of it."""
    parts = [part.strip() for part in (entry.text or "").split("…") if part.strip()]
    known, all_of_it = (len("".join(words).replace(" ", "")) for words in (parts, said.what.split("…")))
    return re.search(".*".join(map(re.escape, parts)), said.text) is not None and known >= min(12, 0.35 * all_of_it)


SAID = everything_said()
AT_THE_END = ["Stopped with status …; the lines above say why"]  # said by `leave`, for what no message was made for
ENTRIES = [entry for entry in facts().messages.messages if entry.by == "script" and not entry.id]


def test_the_list_is_what_the_scripts_hold() -> None:
    """As many calls as a plain search counts: the parser overlooks none."""
    counted = 0
    for name in SCRIPTS:
        text = (ROOT / "scripts" / name).read_text()
        counted += len(re.findall(r"^(?!\s*#|\w+\(\)).*?(?<![\w-])(?:die|problem|problem_with) [\"'$A-Z]", text, re.MULTILINE))
    own = 3  # problem_with words three forms by `problem` itself
    assert len(SAID) == counted - own


@pytest.mark.parametrize("said", SAID, ids=str)
def test_every_message_has_an_entry(said: Said) -> None:
    found = [entry for entry in ENTRIES if belongs(entry, said)]
    assert found, (
        f"\n{said.script} line {said.line} can print:\n    {said.text}\n"
        "and no entry of diffueraser_docs/facts/messages.yaml has these words. Add one:\n"
        f"- text: '{said.text}'\n  group: one of {[g.name for g in facts().messages.groups]}\n"
        "  cause: {en: why it happens, zh: 原因}\n  cure: {en: what to do, zh: 处理办法}"
    )


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.text)
def test_no_entry_is_stale(entry: Message) -> None:
    assert any(belongs(entry, said) for said in SAID) or entry.text in AT_THE_END, (
        f"no script prints {entry.text!r} any more: remove or reword it in facts/messages.yaml"
    )


def test_an_end_without_a_message_of_its_own_is_explained_too() -> None:
    text = (ROOT / "scripts" / "setup_and_train.sbatch").read_text()
    for words in AT_THE_END:
        assert re.search(r"\$status".join(map(re.escape, words.split("…"))), text)
        assert words in [entry.text for entry in ENTRIES]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("die \"No $thing here.\" 'Do it.'", "No … here. Do it."),
        ('problem_with NUM_GPUS "at most $(count) of ${x:-none}"', "NUM_GPUS=…: at most … of …"),
        ('trap \'die "Ended." "Again."\' TERM', "Ended. Again."),
        ('x=1 || problem "$a $b is \\$odd"', "… … is $odd"),
    ],
)
def test_messages_are_read_from_bash(script: str, text: str) -> None:
    assert [said.text for said in calls(PARSER.parse(script.encode()).root_node, "x")] == [text]

"""Reads and writes Markdown: tables, code blocks, Chinese line ends."""

import re
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt

SITE_BOX = re.compile(r"^ *(!!!|\?\?\?\+?|===) .*$", re.MULTILINE)  # the first line of an admonition, a fold or a tab
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
# A line end within Chinese, or after a Chinese mark.
CHINESE_BREAK = re.compile(
    r"(?<=[\u3000-\u9fff\uff00-\uffef])\n *(?=[\u3000-\u9fff\uff00-\uffef])|(?<=[，。；：、）])\n *(?=[A-Za-z\[]|`[^`])"
)
SENTENCE = re.compile(r"[.!?](?=\s|$|[)*_])|[。！？]")


def table_cell(text: str) -> str:
    """A text as the cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def markdown_table(headings: list[str], rows: list[list[str]]) -> str:
    """A table as Markdown has it."""
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += ["| " + " | ".join(table_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def join_chinese_lines(text: str) -> str:
    """Join lines that break between Chinese characters or after a Chinese mark: Markdown would show a space there.

    Code blocks stay as they are.
    """
    return "".join(part if part.startswith("```") else CHINESE_BREAK.sub("", part) for part in FENCE.split(text))


@dataclass(frozen=True)
class CodeBlock:
    """A fenced code block of a Markdown file."""

    path: str
    line: int
    language: str
    text: str


@cache  # a README is read for each script that it embeds, and for each of its commands
def code_blocks(text: str, name: str) -> list[CodeBlock]:
    """All fenced code blocks of a Markdown text, also those indented below an admonition or a tab of the site."""
    blocks = []
    for token in MarkdownIt("commonmark").parse(SITE_BOX.sub("", text)):
        line = (token.map or [0])[0] + 1
        if token.type == "fence":
            blocks.append(CodeBlock(name, line, token.info.split(" ")[0], token.content))
        elif token.type == "code_block" and "```" in token.content:
            blocks += [CodeBlock(name, line + b.line - 1, b.language, b.text) for b in code_blocks(token.content, name)]
    return blocks


def outline(text: str) -> list[tuple[int, str]]:
    """The parts of a Markdown text, each with its line: headings, code blocks, paragraphs, list items and table rows.

    A paragraph says how many sentences and which names in code it has, a code block what it holds: a change in one language
    shows.
    """
    parts = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        line = (token.map or [0])[0] + 1
        if token.type == "heading_open":
            parts.append((line, f"a heading {token.tag}"))
        elif token.type == "fence":
            parts.append((line, f"a code block with {token.content.strip()!r}"))
        elif token.type in ("tr_open", "list_item_open"):
            parts.append((line, "a table row" if token.type == "tr_open" else "a list item"))
        elif token.type == "inline" and (count := len(SENTENCE.findall(token.content))):
            names = sorted(child.content for child in token.children or [] if child.type == "code_inline")
            parts.append((line, f"{count} sentence{'s' * (count > 1)} with {', '.join(names) or 'no name'}"))
    return parts

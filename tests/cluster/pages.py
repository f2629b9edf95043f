"""Commands and paths that the READMEs and the site's pages name, and a shell that types the commands."""

import re
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from markdown_it import MarkdownIt

from diffueraser_docs.markdown import SITE_BOX, CodeBlock, code_blocks
from diffueraser_docs.mkdocs_hook import expand
from diffueraser_docs.render import READMES, ROOT, SCRIPTS
from diffueraser_docs.schema.base import LANGUAGES
from tests.cluster.project import Project

# What can begin a command in running text; a placeholder makes it an example of one.
INLINE = re.compile(
    r"([A-Z][A-Z0-9_]*=\S* )*((sbatch|bash) (-\S+ )*\S+\.(sbatch|sh)( \S+)*"
    r"|(cat|cd|chmod|cp|hf|git|ls|make|mkdir|nano|python|scancel|sed|sinfo|squeue|tail|tensorboard) \S.*|(pip|scontrol) \S+ \S.*)"
)
# A block of nothing but settings goes into config.env.
SETTINGS = re.compile(r"(#.*\n|\s*\n|[A-Z][A-Z0-9_]*=(\"[^\"]*\"|\S*)[ \t]*(#.*)?\n)+")
SHELL = {"bash", "sh", "shell"}
"""Languages of the code blocks that are typed."""
PLACEHOLDER = re.compile(r"…|<[a-zA-Z-]+>|\bNAME\b")


@dataclass(frozen=True)
class Command:
    """One command of a page."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        """Where it stands, and what it is."""
        return f"{self.page}:{self.line}: {self.text}"


@cache
def page_texts() -> dict[str, str]:
    """Every README and page of the site, macros expanded."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in READMES.values()}
    for language in LANGUAGES:
        for path in sorted((ROOT / "docs" / language).rglob("*.md")):
            texts[str(path.relative_to(ROOT))] = expand(path.read_text(encoding="utf-8"), language)
    return texts


def block_commands(text: str, page: str) -> list[Command]:
    """The commands of a page's code blocks in order; embedded scripts and settings are contents of files, not commands."""
    blocks = [block for block in _shell_blocks(text, page) if not SETTINGS.fullmatch(block.text)]
    return [Command(page, block.line + line, each) for block in blocks for line, each in _complete(block.text)]


def settings_blocks(text: str, page: str) -> list[CodeBlock]:
    """The code blocks of a page that are lines for config.env."""
    return [block for block in _shell_blocks(text, page) if SETTINGS.fullmatch(block.text)]


def _shell_blocks(text: str, page: str) -> list[CodeBlock]:
    scripts = {(ROOT / "scripts" / name).read_text(encoding="utf-8") for name in SCRIPTS}
    return [block for block in code_blocks(text, page) if block.language in SHELL and block.text not in scripts]


def _complete(block: str) -> Iterator[tuple[int, str]]:
    """Lines of a block joined until bash finds them complete; comments and empty lines left out."""
    text, start = "", 1
    for number, line in enumerate(block.splitlines(), 1):
        if not text and (not line.strip() or line.lstrip().startswith("#")):
            continue
        start = start if text else number
        text = f"{text}\n{line}" if text else line.removeprefix("$ ")
        whole = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
        if not whole.returncode and not whole.stderr and not text.endswith("\\"):
            yield start, text
            text = ""
    if text:
        yield start, text


def inline_commands(text: str, page: str) -> list[Command]:
    """The commands in a page's running text."""
    return [
        Command(page, line, span) for line, span in code_spans(text) if INLINE.fullmatch(span) and not PLACEHOLDER.search(span)
    ]


def code_spans(text: str) -> list[tuple[int, str]]:
    """Line and text of every code span outside code blocks."""
    return [
        ((token.map or [0])[0] + 1, child.content)
        for token in MarkdownIt("commonmark").enable("table").parse(SITE_BOX.sub("", text))
        for child in token.children or []
        if child.type == "code_inline"
    ]


class Shell:
    """One bash in which a page's commands are typed one after the other, as a collaborator does."""

    def __init__(self, project: Project, start: Path, **env: str) -> None:
        self.start = start
        self.env = {**project.lab.env, **project.env, **env}

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            ["bash"], cwd=self.start, env=self.env, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)

    def type(self, command: str) -> tuple[int, str]:
        """Type a command; its status and what it printed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        mark = f"end-{uuid.uuid4()}"
        self.process.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n%s %s\\n' {mark} $?\n")
        printed = ""
        for line in self.process.stdout:
            if line.startswith(mark):
                return int(line.split()[1]), printed
            printed += line
        raise AssertionError(f"the shell ended at: {command}\n{printed}")

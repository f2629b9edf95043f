"""Checks that nothing false is committed: scripts, drift, embedded scripts, commands and paths."""

import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from .facts import Facts, facts
from .render import READMES, ROOT, SCRIPTS, Rendered, render_all, variable_names

HOME_PATH = re.compile(r"(?<![\w$])~/|/home/hj/")
SHELL = {"bash", "sh", "shell"}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and why."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        """File, line and reason, as editors read it."""
        return f"{self.path}:{self.line}: {self.reason}"


@dataclass(frozen=True)
class CodeBlock:
    """A fenced code block of a Markdown file."""

    path: str
    line: int
    language: str
    text: str


def code_blocks(path: Path, name: str) -> list[CodeBlock]:
    """All fenced code blocks of a Markdown file, found by a Markdown parser, also within folded parts."""
    tokens = MarkdownIt("commonmark").parse(path.read_text(encoding="utf-8"))
    return [
        CodeBlock(name, (token.map or [0])[0] + 1, token.info.split(" ")[0], token.content)
        for token in tokens
        if token.type == "fence"
    ]


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _run(command: list[str]) -> tuple[int, str]:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def check_bash(root: Path) -> list[Problem]:
    """`bash -n`, shellcheck and shfmt over every script."""
    with ThreadPoolExecutor() as pool:
        return [problem for found in pool.map(_check_script, [root / "scripts" / name for name in SCRIPTS]) for problem in found]


def _check_script(path: Path) -> list[Problem]:
    name = path.name
    if not path.exists():
        return [Problem(f"scripts/{name}", 1, "the script is missing: run make docs")]
    problems = []
    status, output = _run(["bash", "-n", str(path)])
    if status:
        match = re.search(r"line (\d+): (.*)", output)
        line, reason = (int(match[1]), match[2]) if match else (1, output.strip())
        problems.append(Problem(f"scripts/{name}", line, f"bash -n: {reason}"))
    problems += _shellcheck(path, name)
    if name != "config.env":  # a table of settings: its comments stand in columns
        problems += _shfmt(path, name)
    return problems


def _shellcheck(path: Path, name: str) -> list[Problem]:
    command = [
        _tool("shellcheck"),
        "--shell=bash",
        "--external-sources",
        "--format=gcc",
        f"--source-path={path.parent}",
    ]
    if name == "config.env":
        command.append("--exclude=SC2034")  # its variables are read by the other scripts
    _, output = _run([*command, str(path)])
    found = re.findall(r"^(.*?):(\d+):\d+: (.*)$", output, re.MULTILINE)
    return [
        Problem(f"scripts/{Path(file).name}", int(line), f"shellcheck: {reason}")
        for file, line, reason in found
        if Path(file).name == name
    ]


def _shfmt(path: Path, name: str) -> list[Problem]:
    _, output = _run([_tool("shfmt"), "-d", "-i", "4", "-ci", "-ln", "bash", str(path)])
    return [
        Problem(f"scripts/{name}", int(line), "formatting differs from shfmt -i 4 -ci")
        for line in re.findall(r"^@@ -(\d+)", output, re.MULTILINE)
    ]


def check_drift(root: Path, rendered: Iterable[Rendered]) -> list[Problem]:
    """Generated files that differ from what would be rendered."""
    problems = []
    for entry in rendered:
        path = root / entry.path
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if text != entry.text:
            pairs = zip(text.splitlines(), entry.text.splitlines(), strict=False)
            shorter = min(len(text.splitlines()), len(entry.text.splitlines())) + 1
            line = next((number for number, (a, b) in enumerate(pairs, 1) if a != b), shorter)
            problems.append(Problem(entry.path, line, "differs from what the facts render: run make docs"))
    return problems


def pages(root: Path) -> list[Path]:
    """READMEs, the site's pages, the plan."""
    folders = (root / "docs", root / "PRD")
    return [root / name for name in READMES.values()] + [page for folder in folders for page in sorted(folder.rglob("*.md"))]


def check_paths(root: Path) -> list[Problem]:
    """No `~/` and no developer's home folder anywhere that a collaborator reads."""
    problems = []
    for path in [root / "scripts" / name for name in SCRIPTS] + pages(root):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else [], 1):
            if match := HOME_PATH.search(line):
                name = str(path.relative_to(root))
                problems.append(Problem(name, number, f"{match[0]} is hard-coded: write $PROJECT_HOME"))
    return problems


def check_embedded(root: Path) -> list[Problem]:
    """Embedded scripts are the files in scripts/, and every command calls a script that exists."""
    problems = []
    scripts = {
        name: (root / "scripts" / name).read_text(encoding="utf-8") for name in SCRIPTS if (root / "scripts" / name).exists()
    }
    for readme in READMES.values():
        if not (root / readme).exists():
            continue
        blocks = code_blocks(root / readme, readme)
        for name, text in scripts.items():
            if not any(block.text == text for block in blocks):
                line = next((b.line for b in blocks if _head(b.text) == _head(text)), 1)
                problems.append(Problem(readme, line, f"{name} is not embedded byte for byte as in scripts/{name}"))
    for page in pages(root):
        if page.exists():
            name = str(page.relative_to(root))
            problems += [p for b in code_blocks(page, name) if b.text not in scripts.values() for p in _commands(b)]
    return problems


def _head(text: str) -> list[str]:
    """The lines by which an embedded script is recognised although it differs."""
    return text.splitlines()[:2]


def _commands(block: CodeBlock) -> list[Problem]:
    if block.language not in SHELL:
        return []
    problems = []
    for offset, line in enumerate(block.text.splitlines(), 1):
        for name in re.findall(r"\b(?:sbatch|bash)\s+(?:-\S+\s+)*([\w./$-]+)", line.split(" #")[0]):
            if name.endswith((".sbatch", ".sh")) and Path(name).name not in SCRIPTS:
                problems.append(Problem(block.path, block.line + offset, f"calls {name}, which is no script of scripts/"))
    return problems


def check_variables(root: Path, data: Facts) -> list[Problem]:
    """Every variable that a page assigns or names in capitals with a stage exists."""
    known = set(variable_names(data))
    problems = []
    for page in pages(root):
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines() if page.exists() else [], 1):
            for name in re.findall(r"\b(STAGE[12]_[A-Z0-9_]*[A-Z0-9])\b", line):
                if name not in known:
                    problems.append(Problem(str(page.relative_to(root)), number, f"{name} is no variable of config.env"))
    return problems


def check_all(root: Path = ROOT, data: Facts | None = None) -> list[Problem]:
    """Run every check.

    Args:
        root: the project's root.
        data: the facts to compare with; those of the package when left out.

    Returns:
        All problems, sorted by file and line; empty when all is well.
    """
    data = data or facts()
    problems = [
        *check_bash(root),
        *check_drift(root, render_all(data)),
        *check_paths(root),
        *check_embedded(root),
        *check_variables(root, data),
    ]
    return sorted(set(problems), key=lambda problem: (problem.path, problem.line, problem.reason))

"""Checks that nothing false is committed: scripts, names in them, drift, embedded scripts, commands, pages and paths."""

import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import TemplateError
from markdown_it import MarkdownIt

from .bash import Script, parse
from .facts import LANGUAGES, Facts, facts
from .render import READMES, ROOT, SCRIPTS, TEMPLATES, Rendered, render_all, variable_names

HOME_PATH = re.compile(r"(?<![\w$])~/|/home/hj/")
SHELL = {"bash", "sh", "shell"}
SITE_BOX = re.compile(r"^ *(!!!|\?\?\?\+?|===) .*$", re.MULTILINE)  # the first line of an admonition, a fold or a tab
# What the scripts may call beside their own functions and bash itself: on every cluster, or checked for before use.
PROGRAMS = re.compile(
    "awk|cat|chmod|cksum|cmp|cp|curl|cut|df|dirname|du|find|git|grep|head|id|install|ln|mkdir|module|mv|nproc|nvidia-smi|od|openssl|paste"
    "|ps|readlink|rm|sacct|sbatch|scancel|scontrol|sed|sha1sum|sha256sum|sinfo|sleep|sort|split|squeue|srun|stat|tail|tar|timeout|tr"
    "|uname|wc|xargs"
)
# Set by bash, Slurm or conda, not by the scripts.
GIVEN = re.compile(r"BASH\w*|SLURM\w*|HOSTNAME|PWD|CUDA_VISIBLE_DEVICES|SECONDS|CONDA_EXE|\W|\d+")


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
    return code_blocks_of(path.read_text(encoding="utf-8"), name)


def code_blocks_of(text: str, name: str) -> list[CodeBlock]:
    """All fenced code blocks of a Markdown text, also those indented below an admonition or a tab of the site."""
    blocks = []
    for token in MarkdownIt("commonmark").parse(SITE_BOX.sub("", text)):
        line = (token.map or [0])[0] + 1
        if token.type == "fence":
            blocks.append(CodeBlock(name, line, token.info.split(" ")[0], token.content))
        elif token.type == "code_block" and "```" in token.content:
            blocks += [CodeBlock(name, line + b.line - 1, b.language, b.text) for b in code_blocks_of(token.content, name)]
    return blocks


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _run(command: list[str]) -> tuple[int, str]:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def check_bash(root: Path, names: Iterable[str] = SCRIPTS) -> list[Problem]:
    """`bash -n`, shellcheck and shfmt over every script."""
    launcher = root / "scripts" / SCRIPTS[-1]
    sourced = launcher.read_text(encoding="utf-8") if launcher.exists() else ""
    paths = [root / "scripts" / name for name in names]
    with ThreadPoolExecutor() as pool:
        return [problem for found in pool.map(lambda path: _check_script(path, sourced), paths) for problem in found]


def _check_script(path: Path, sourced: str) -> tuple[Problem, ...]:
    name = path.name
    if not path.exists():
        return (Problem(f"scripts/{name}", 1, "the script is missing: run make docs"),)
    key = (name, path.read_text(encoding="utf-8"), sourced)
    if key not in _CHECKED:
        _CHECKED[key] = tuple(_check_file(path, name))
    return _CHECKED[key]


_CHECKED: dict[tuple[str, str, str], tuple[Problem, ...]] = {}
"""What was found in a script of this name and text beside this launcher: looking again would take seconds."""


def _check_file(path: Path, name: str) -> list[Problem]:
    status, output = _run(["bash", "-n", str(path)])
    if status:
        match = re.search(r"line (\d+): (.*)", output)
        line, reason = (int(match[1]), match[2]) if match else (1, output.strip())
        return [Problem(f"scripts/{name}", line, f"bash -n: {reason}")]
    # config.env is a table of settings: its comments stand in columns
    return _shellcheck(path, name) + ([] if name == "config.env" else _shfmt(path, name))


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


def check_names(root: Path, data: Facts) -> list[Problem]:
    """Every command that a script calls exists, every function is called, every variable is set somewhere."""
    scripts: dict[str, Script] = {}
    for name in SCRIPTS:
        file = root / "scripts" / name
        try:
            scripts[name] = parse(file.read_text(encoding="utf-8")) if file.exists() else Script()
        except ValueError:
            return []  # bash -n says it better
    functions = {function for script in scripts.values() for function in script.functions}
    called = {call for script in scripts.values() for call in script.calls}
    known = functions | _builtins()
    given = set(variable_names(data)) | {variable for script in scripts.values() for variable in script.assigned}
    problems = []
    for name, script in scripts.items():
        path = f"scripts/{name}"
        problems += [
            Problem(path, line, f"calls {call}, which is no function here and no program of every cluster")
            for call, line in script.calls.items()
            if call not in known and "/" not in call and not PROGRAMS.fullmatch(call)
        ]
        problems += [
            Problem(path, line, f"{function} is never called")
            for function, line in script.functions.items()
            if function not in called
        ]
        problems += [
            Problem(path, line, f"reads {variable}, which nothing sets")
            for variable, line in script.read.items()
            if variable not in given and not GIVEN.fullmatch(variable)
        ]
    return problems


@cache
def _builtins() -> frozenset[str]:
    return frozenset(_run(["bash", "-c", "compgen -bk"])[1].split())


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
            problems += _commands(name, page.read_text(encoding="utf-8"), [*scripts.values()])
    return problems


def _head(text: str) -> list[str]:
    """The lines by which an embedded script is recognised although it differs."""
    return text.splitlines()[:2]


def _commands(page: str, text: str, scripts: list[str]) -> list[Problem]:
    """Every script that a page tells to submit or run, in a code block or in running text, is one of ours."""
    for script in scripts:  # what an embedded script calls is looked at in the script
        text = text.replace(script, re.sub(r"[^\n]", " ", script))
    return [
        Problem(page, number, f"calls {name}, which is no script of scripts/")
        for number, line in enumerate(text.splitlines(), 1)
        for name in re.findall(r"\b(?:sbatch|bash)\s+(?:-\S+\s+)*([\w./$-]+\.(?:sbatch|sh))\b", line)
        if Path(name).name not in SCRIPTS
    ]


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


def check_pages(root: Path) -> list[Problem]:
    """Each page exists in both languages, its macros expand, and what they say holds no home folder either."""
    from .mkdocs_hook import expand  # noqa: PLC0415 - MkDocs is slow to import, and the hook imports this package

    docs = root / "docs"
    names = {language: {str(p.relative_to(docs / language)) for p in (docs / language).rglob("*.md")} for language in LANGUAGES}
    problems = []
    for language in LANGUAGES:
        for other in LANGUAGES:
            problems += [
                Problem(f"docs/{other}/{name}", 1, f"the page is missing: docs/{language}/{name} has no counterpart")
                for name in sorted(names[language] - names[other])
            ]
        for name in sorted(names[language]):
            path = f"docs/{language}/{name}"
            try:
                text = expand((root / path).read_text(encoding="utf-8"), language)
            except (TemplateError, LookupError, AttributeError, TypeError) as error:
                problems.append(Problem(path, getattr(error, "lineno", None) or 1, f"does not expand: {error}"))
                continue
            if match := HOME_PATH.search(text):
                problems.append(Problem(path, 1, f"{match[0]} is hard-coded in the page or its macros: write $PROJECT_HOME"))
    return problems


def check_all(root: Path = ROOT, data: Facts | None = None, templates: Path = TEMPLATES) -> list[Problem]:
    """Run every check.

    Args:
        root: the project's root.
        data: the facts to compare with; those of the package when left out.
        templates: the folder of templates that scripts and READMEs are rendered from.

    Returns:
        All problems, sorted by file and line; empty when all is well.
    """
    data = data or facts()
    problems = [
        *check_drift(root, render_all(data, templates)),
        *check_paths(root),
        *check_embedded(root),
        *check_variables(root, data),
        *check_pages(root),
        *check_bash(root),
        *check_names(root, data),
    ]
    return sorted(set(problems), key=lambda problem: (problem.path, problem.line, problem.reason))

"""Mutation check of the checks: seeded slips in scripts, facts, templates and pages, each of which something must catch.

    python -m tests.mutations --count 10 --seed 1      ten slips of each kind; status 1 when one survives

A slip is caught when the facts do not load, nothing can be rendered, `check` names a problem, or a fast test fails.
"""

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import TemplateError

from diffueraser_docs.check import (
    Problem,
    check_drift,
    check_embedded,
    check_messages,
    check_pages,
    check_paths,
    check_variables,
)
from diffueraser_docs.facts import FactError, load_facts
from diffueraser_docs.render import READMES, ROOT, SCRIPTS, Rendered, render_all, write

COPIED = (
    "diffueraser_docs",
    "docs",
    "scripts",
    "tests",
    "PRD",
    "requirements",
    ".github",
    ".ci",
    "mkdocs.yml",
    "pyproject.toml",
    "Makefile",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    ".editorconfig",
    ".pre-commit-config.yaml",
    ".gitignore",
    *READMES.values(),
)
FACTS, TEMPLATES = Path("diffueraser_docs/facts"), Path("diffueraser_docs/templates")
# The fast tests that look at what is written, quickest first; the others test the checks themselves.
QUICKEST = (
    "shell",
    "scripts",
    "facts",
    "tree",
    "render",
    "links",
    "setup_steps",
    "config_reader",
    "guide",
    "languages",
    "messages",
)
FAST = [f"tests/unit/test_{name}.py" for name in QUICKEST]
Slip = tuple[int, int, str]
"""Where a text is replaced, and by what."""


@dataclass(frozen=True)
class Kind:
    """One kind of slip."""

    name: str
    files: tuple[str, ...]
    """Patterns below the project's root."""
    places: Callable[[str], Iterator[Slip]]
    rendered: bool = False
    """`make docs` is run after the slip."""


@dataclass(frozen=True)
class Mutant:
    """One slip in one file."""

    kind: Kind
    path: str
    line: int
    before: str
    after: str
    text: str
    """The whole file with the slip."""
    caught: str = ""

    def __str__(self) -> str:
        """Kind, place, and what became of the line."""
        return f"{self.kind.name:24} {self.path}:{self.line}: {self.before.strip()[:70]!r} -> {self.after.strip()[:70]!r}"


def at(
    pattern: str, put: str | Callable[[re.Match[str]], str], flags: re.RegexFlag = re.MULTILINE
) -> Callable[[str], Iterator[Slip]]:
    """Every place of a pattern; its first group, or all of it, is replaced."""

    def places(text: str) -> Iterator[Slip]:
        for match in re.finditer(pattern, text, flags):
            group = 1 if match.re.groups else 0
            yield match.start(group), match.end(group), put(match) if callable(put) else put

    return places


def other_number(match: re.Match[str]) -> str:
    """A number that is not this one."""
    text = match[1]
    return text[:-1] + str((int(text[-1]) + 1) % 10)


def misspelt(match: re.Match[str]) -> str:
    """A word with two letters exchanged; with one doubled where that would change nothing."""
    word = match[1]
    middle = len(word) // 2
    swapped = word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]
    return swapped if swapped != word else word + word[-1]


SBATCH = tuple(f"scripts/{name}" for name in SCRIPTS if name.endswith(".sbatch"))
TEMPLATE = tuple(f"{TEMPLATES}/{name}" for name in SCRIPTS if name.endswith(".sbatch"))
OPTION = r"(?<=[\s(\"])--([a-z][a-z-]{3,})"
# Defaults and prose are a maintainer's to change; everything else is said twice somewhere, or is no fact.
NUMBER_FACT = r"^(?!#)(?!.*\b(?:default|stage[12]|shown|trainer_default)\b).*?(?<![\w.])(\d[\d.]*\d|\d)(?![\w.])"
KINDS = (
    Kind("script: flag", SBATCH, at(OPTION, misspelt)),
    Kind("script: quote", SBATCH, at(r'"', "")),
    Kind("script: number", (*SBATCH, "scripts/config.env"), at(r"\b(\d+)\b", other_number)),
    Kind("script: line", SBATCH, at(r"^.+\n", "")),
    Kind("readme: stale embed", tuple(READMES.values()), at(r"^    [a-z_]+ .*\n", "")),
    Kind("readme: size", tuple(READMES.values()), at(r"(\d+) [GM]B", other_number)),
    Kind("readme: command", tuple(READMES.values()), at(r"sbatch (0[12]_\w+|setup_and_train)\.sbatch", misspelt)),
    Kind("fact: number", (f"{FACTS}/*.yaml",), at(r"^(?!#).*?(?<![\w.])(\d[\d.]*\d|\d)(?![\w.])", other_number)),
    Kind(
        "fact: name",
        (f"{FACTS}/*.yaml",),
        at(r"^ *(?:- )?(?:name|flag|file|path|prefix|target|kind|group|role): *'?([\w./-]{4,})", misspelt),
    ),
    Kind("fact: line", (f"{FACTS}/*.yaml",), at(r"^ +\S.*\n", "")),
    Kind("fact: key", (f"{FACTS}/*.yaml",), at(r"^ *(?:- )?([a-z_]{4,}): ", misspelt)),
    Kind("page: macro", ("docs/**/*.md",), at(r"\{\{ ?(\w{4,})", misspelt)),
    Kind("page: link", ("docs/**/*.md", "*.md"), at(r"\]\(([\w-]+)\.md", misspelt)),
    Kind("page: command", ("docs/**/*.md",), at(r"(?:sbatch|bash) (0[12]_\w+|setup_and_train)\.sbatch", misspelt)),
    Kind("page: variable", ("docs/**/*.md",), at(r"STAGE[12]_([A-Z_]{4,})\b", misspelt)),
    Kind("page: home folder", ("docs/**/*.md", *READMES.values()), at(r"\$PROJECT_HOME/|\$PROJECT_HOME\b", "~/")),
    Kind(
        "docs: fact: number",
        (f"{FACTS}/hub.yaml", f"{FACTS}/environment.yaml", f"{FACTS}/project.yaml"),
        at(NUMBER_FACT, other_number),
        rendered=True,
    ),
    Kind(
        "docs: fact: path",
        (f"{FACTS}/hub.yaml", f"{FACTS}/project.yaml"),
        at(r"(?:file|into|path|prefix|target|name|members): \[?'?([\w./\[\]$*-]{4,})", misspelt),
        rendered=True,
    ),
    Kind("docs: fact: flag", (f"{FACTS}/training.yaml",), at(r"flag: (\w{4,})", misspelt), rendered=True),
    Kind(
        "docs: fact: entry", (f"{FACTS}/*.yaml",), at(r"^- (?:flag|name|\{path|\{prefix|file).*\n(?:  .*\n)*", ""), rendered=True
    ),
    Kind(
        "docs: fact: list",
        (f"{FACTS}/*.yaml",),
        at(r"^(?:imports|needed|members|files|excluded): *\[([\w'*.-]+, )", ""),
        rendered=True,
    ),
    Kind("docs: quote", TEMPLATE, at(r'"', ""), rendered=True),
    Kind("docs: flag", TEMPLATE, at(OPTION, misspelt), rendered=True),
    Kind("docs: variable", TEMPLATE, at(r"\$\{?([A-Z][A-Z_]{3,})\b", misspelt), rendered=True),
    Kind("docs: call", TEMPLATE, at(r"^ +([a-z]+_[a-z_]+)(?= |$)", misspelt), rendered=True),
    Kind("docs: keyword", TEMPLATE, at(r"^ *(fi|done|then|esac|else|\})$", ""), rendered=True),
    Kind("docs: macro", TEMPLATE, at(r"<\{ (\w{4,})", misspelt), rendered=True),
    Kind("docs: directive", TEMPLATE, at(r"^#SBATCH --([\w-]+)", misspelt), rendered=True),
    Kind("docs: directive gone", TEMPLATE, at(r"^#SBATCH .*\n", ""), rendered=True),
)


def mutants(kind: Kind, count: int, seed: int, root: Path = ROOT) -> list[Mutant]:
    """So many slips of a kind, the same for the same seed; all of them where there are fewer."""
    everywhere = []
    for pattern in kind.files:
        for file in sorted(root.glob(pattern)):
            text = file.read_text(encoding="utf-8")
            everywhere += [(file, slip) for slip in kind.places(text) if text[slip[0] : slip[1]] != slip[2]]
    chosen = random.Random(f"{seed} {kind.name}").sample(everywhere, min(count, len(everywhere)))
    return [_mutant(kind, file, slip, root) for file, slip in chosen]


def _mutant(kind: Kind, file: Path, slip: Slip, root: Path) -> Mutant:
    text = file.read_text(encoding="utf-8")
    start, end, put = slip
    mutated = text[:start] + put + text[end:]
    line = text.count("\n", 0, start) + 1
    after = mutated.splitlines()
    return Mutant(
        kind,
        str(file.relative_to(root)),
        line,
        text.splitlines()[line - 1],
        after[line - 1] if line <= len(after) else "",
        mutated,
    )


class Bench:
    """A copy of the checkout in which slips are made, one at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.stamp"))
            elif source.exists():
                shutil.copy(source, root / name)
        self.data = load_facts(root / FACTS)
        self.right = render_all(self.data, root / TEMPLATES)

    def caught_by_check(self, mutant: Mutant) -> str:
        """What names the slip before any test is run; empty when nothing does."""
        with self._made(mutant):
            return next(self._problems(mutant), "")

    def caught_by_tests(self, mutant: Mutant) -> str:
        """The fast test that fails because of the slip; empty when all pass."""
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not network and not slow"]
        with self._made(mutant):
            if mutant.kind.rendered:
                write(self._rendered(mutant), self.root, force=True)
            result = subprocess.run(
                [*command, "-k", "not whatever_stands", *FAST], cwd=self.root, capture_output=True, text=True, check=False
            )
        if result.returncode == 0:
            return ""
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", result.stdout, re.MULTILINE)
        return f"test: {found[1]}" if found else f"test: {result.stdout[-200:]}{result.stderr[-200:]}"

    def _made(self, mutant: Mutant) -> "_Made":
        return _Made(self, mutant)

    def _rendered(self, mutant: Mutant) -> list[Rendered]:
        if not mutant.path.startswith("diffueraser_docs"):
            return self.right
        return render_all(load_facts(self.root / FACTS), self.root / TEMPLATES)

    def _problems(self, mutant: Mutant) -> Iterator[str]:
        """Cheap checks first."""
        try:
            data = load_facts(self.root / FACTS) if mutant.path.startswith(str(FACTS)) else self.data
            rendered = self._rendered(mutant)
        except FactError as error:
            yield f"facts: {str(error).splitlines()[0]}"
            return
        except (TemplateError, LookupError, AttributeError, TypeError, StopIteration) as error:
            yield f"render: {type(error).__name__}: {error}"
            return
        if mutant.kind.rendered:
            write(rendered, self.root, force=True)
        root = self.root
        checks: list[Callable[[], list[Problem]]] = [
            lambda: check_drift(root, rendered),
            lambda: check_paths(root),
            lambda: check_embedded(root),
            lambda: check_variables(root, data),
            lambda: check_pages(root),
            lambda: check_messages(root, data),
        ]
        for check in checks:
            yield from (f"check: {problem}" for problem in check())


class _Made:
    """A slip that is there within the `with`, and taken back with everything that was rendered from it."""

    def __init__(self, bench: Bench, mutant: Mutant) -> None:
        self.bench = bench
        self.mutant = mutant

    def __enter__(self) -> None:
        path = self.bench.root / self.mutant.path
        self.before = path.read_text(encoding="utf-8")
        path.write_text(self.mutant.text, encoding="utf-8")

    def __exit__(self, *_: object) -> None:
        (self.bench.root / self.mutant.path).write_text(self.before, encoding="utf-8")
        write(self.bench.right, self.bench.root, force=True)


def main() -> int:
    """Make the slips, print what caught each kind, list the survivors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="slips of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", default="", help="only kinds whose name begins so")
    parser.add_argument("--only-check", action="store_true", help="without the fast tests")
    arguments = parser.parse_args()
    survivors: list[Mutant] = []
    made = 0
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        bench = Bench(Path(folder))
        for kind in (each for each in KINDS if each.name.startswith(arguments.kind)):
            started, by = time.monotonic(), dict.fromkeys(("facts", "render", "check", "test", "nothing"), 0)
            for mutant in mutants(kind, arguments.count, arguments.seed):
                caught = bench.caught_by_check(mutant) or ("" if arguments.only_check else bench.caught_by_tests(mutant))
                made += 1
                by[caught.split(":")[0] if caught else "nothing"] += 1
                if not caught:
                    survivors.append(replace(mutant, caught=caught))
                    print(f"SURVIVOR {mutant}", flush=True)
            counts = ", ".join(f"{count} by {name}" for name, count in by.items() if count)
            print(f"{kind.name:24} {counts} ({time.monotonic() - started:.0f} s)", flush=True)
    print(f"{made} slips, {made - len(survivors)} caught, {len(survivors)} survivors")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())

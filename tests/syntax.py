"""What a bash script defines, calls and reads, by the syntax tree of shfmt."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from diffueraser_docs.check import Problem
from diffueraser_docs.facts import Facts
from diffueraser_docs.render import SCRIPTS

# What the scripts may call beside their own functions and bash itself: on every cluster, or checked for before use.
PROGRAMS = re.compile(
    "awk|basename|bash|cat|chmod|cksum|cmp|cp|curl|cut|df|dirname|du|env|find|flock|grep|head|id|ln|ls|mkdir|mv|nvidia-smi|rm|sacct"
    "|sbatch|scancel|scontrol|sed|sha256sum|sinfo|sort|squeue|srun|stat|tail|tar|tee|timeout|tr|uname|wc|xargs"
)
# Set by bash, Slurm, a site or a user, not by the scripts.
GIVEN = re.compile(
    r"BASH\w*|SLURM\w*|PWD|OLDPWD|HOME|SECONDS|CUDA_VISIBLE_DEVICES|CONDA_EXE|SSL_CERT_FILE|LD_LIBRARY_PATH|HF_HUB_DOWNLOAD_TIMEOUT"
    r"|https_proxy|HTTPS_PROXY|(SETUP|TRAIN)_(OPTIONS|SCRIPT)|\W|\d+"
)
# Functions and builtins that take a command as an argument, and its place; a function may be named by its beginning.
CARRIERS = {"run_once": 3, "must": 4, "run": 2, "retry": 1, "trap": 1}
BY_NAME = re.compile("do_|python_by_")


@dataclass
class Script:
    """Names of a script, each with the line where it stands first."""

    functions: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    assigned: set[str] = field(default_factory=set)
    read: dict[str, int] = field(default_factory=dict)
    guarded: set[str] = field(default_factory=set)
    """Variables that are read as ${NAME:-…}: they may be unset."""
    commands: list[tuple[int, list[str]]] = field(default_factory=list)
    """Line and words of every simple command; $ stands for each expansion in them."""
    expansions: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Line and node of every parameter expansion."""
    declarations: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Line and node of every local and declare."""


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every node of a tree, outer ones first."""
    left = [node]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left.extend(reversed(node.values()))
        elif isinstance(node, list):
            left.extend(reversed(node))


def words(node: dict[str, Any]) -> list[str]:
    """The words of a simple command; $ stands for each expansion in them."""
    return [_plain(word.get("Parts", [])) for word in node.get("Args") or []]


def _plain(parts: list[dict[str, Any]]) -> str:
    return "".join(_plain(part["Parts"]) if part["Type"] == "DblQuoted" and "Parts" in part else _literal(part) for part in parts)


def _literal(part: dict[str, Any]) -> str:
    return str(part.get("Value", "")) if part["Type"] in ("Lit", "SglQuoted") else "$"


@cache
def parse(text: str) -> Script:
    """Read a script.

    Raises:
        ValueError: shfmt cannot parse it.
    """
    tool = Path(sys.executable).with_name("shfmt")
    result = subprocess.run([str(tool), "--to-json", "-ln", "bash"], input=text, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ValueError(result.stderr.strip())
    script = Script()
    for node in walk(json.loads(result.stdout)):
        _note(script, node)
    return script


def _note(script: Script, node: dict[str, Any]) -> None:
    line = node.get("Pos", {}).get("Line", 1)
    kind = node.get("Type")
    if kind == "FuncDecl":
        script.functions.setdefault(node["Name"]["Value"], line)
    elif kind == "DeclClause":
        script.declarations.append((line, node))
        if any(_plain(each["Value"]["Parts"]) == "-f" for each in node.get("Args") or [] if "Value" in each):
            # the text of a function, for another bash to run
            script.calls.update({each["Name"]["Value"]: line for each in node["Args"] if "Name" in each})
    elif kind == "ParamExp":
        script.expansions.append((line, node))
        name = node.get("Param", {}).get("Value", "")
        if not node.get("Names"):  # ${!STAGE1_@} asks for names, and reads no variable
            script.read.setdefault(name, line)
        if node.get("Exp", {}).get("Op") is not None or node.get("Names"):
            script.guarded.add(name)
    elif kind == "CallExpr":
        _note_call(script, line, words(node))
    elif kind == "WordIter":
        script.assigned.add(node["Name"]["Value"])
    if "Name" in node and isinstance(node["Name"], dict) and ("Value" in node or "Array" in node or "Naked" in node):
        script.assigned.add(node["Name"]["Value"])


def _note_call(script: Script, line: int, found: list[str]) -> None:
    if not found:
        return
    script.commands.append((line, found))
    name = found[0]
    if name and "$" not in name:
        script.calls.setdefault(name, line)
    place = CARRIERS.get(name)
    if place is not None and len(found) > place and found[place].isidentifier():
        script.calls.setdefault(found[place], line)
        _note_call(script, line, found[place:])
    if name in ("read", "mapfile", "printf"):  # read -r A B, mapfile -t A, printf -v A
        script.assigned.update(word for word in found[1:] if word.isidentifier())


def check_names(root: Path, data: Facts) -> list[Problem]:
    """Every command that a script calls exists, every function is called, every variable is set somewhere."""
    scripts: dict[str, Script] = {}
    for name in SCRIPTS:
        file = root / "scripts" / name
        scripts[name] = parse(file.read_text(encoding="utf-8")) if file.exists() else Script()
    functions = {function for script in scripts.values() for function in script.functions}
    called = {call for script in scripts.values() for call in script.calls}
    known = functions | _builtins()
    given = set(data.variable_names()) | {variable for script in scripts.values() for variable in script.assigned}
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
            if function not in called and not BY_NAME.match(function)
        ]
        problems += [
            Problem(path, line, f"reads {variable}, which nothing sets")
            for variable, line in script.read.items()
            if variable not in given and not GIVEN.fullmatch(variable)
        ]
    return problems


@cache
def _builtins() -> frozenset[str]:
    return frozenset(subprocess.run(["bash", "-c", "compgen -bk"], capture_output=True, text=True, check=True).stdout.split())

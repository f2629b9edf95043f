"""bash 4.4, as far as it can be had: no package of the registries ships it, so this is a substitute for running it.

The scripts run in the newest bash with the oldest compatibility that it offers, and their syntax is searched for whatever
came after 4.4 (by bash's own list of changes) or changed its meaning since.
"""

import re
from pathlib import Path

import pytest

from diffueraser_docs.render import ROOT, SCRIPTS
from tests.bash import run_bash
from tests.syntax import parse
from tests.unit.test_config_reader import READ, VALID

BASH = [name for name in SCRIPTS if name != "config.env"]
# What came with 5.0, 5.1, 5.2 and 5.3.
VARIABLES = {
    "EPOCHSECONDS",
    "EPOCHREALTIME",
    "BASH_ARGV0",
    "SRANDOM",
    "READLINE_MARK",
    "BASH_REWINDS",
    "BASH_MONOSECONDS",
    "GLOBSORT",
}
OPTIONS = {"localvar_inherit", "localvar_unset", "assoc_expand_once", "progcomp_alias", "globskipdots", "patsub_replacement",
           "varredir_close", "noexpand_translation", "array_expand_once", "bash_source_fullpath"}  # fmt: skip
NEWER_EXPANSION = re.compile(r"\$\{!?\w+(\[[@*]\])?@[UuLKk]\}|\$\{[ |]")  # ${x@U}, where 4.4 has Q E P A a; and ${ command; }
# Options of builtins that came later: pattern of the words behind the builtin.
LATER = {
    "wait": r"-\w*p",
    "read": r"-E",
    "unset": r"-n\b.*\[",
    "history": r"-d \S+-",
    "declare": r"-I",
    "local": r"-I",
    "ulimit": r"-R",
}
# The compatibility levels of bash, each with what changed after it, as its manual tells.
LEVELS = ("4.4", "5.0", "5.1")


def script(name: str) -> str:
    """A committed script."""
    return (ROOT / "scripts" / name).read_text(encoding="utf-8")


def newer(text: str) -> list[str]:
    """What a script uses that bash 4.4 does not have."""
    parsed = parse(text)
    found = [f"{line}: ${name}" for name, line in parsed.read.items() if name in VARIABLES]
    lines = text.splitlines()
    found += [f"{line}: {lines[line - 1].strip()}" for line, _ in parsed.declarations if re.search(r"-\w*I", lines[line - 1])]
    for line, words in parsed.commands:
        rest = " ".join(words[1:])
        if words[0] in LATER and re.search(rf"(^| ){LATER[words[0]]}", rest):
            found.append(f"{line}: {words[0]} {rest}")
        if words[0] == "shopt" and OPTIONS & set(words[1:]):
            found.append(f"{line}: shopt {rest}")
    return found + [f"{number}: {line.strip()}" for number, line in enumerate(lines, 1) if NEWER_EXPANSION.search(line)]


@pytest.mark.parametrize("name", BASH)
def test_script_not_newer(name: str) -> None:
    assert newer(script(name)) == []


@pytest.mark.parametrize(
    "line",
    [
        'echo "${x@U}"',
        'echo "${x@K}"',
        'echo "$EPOCHREALTIME"',
        "wait -n -p pid",
        "shopt -s assoc_expand_once",
        "echo ${ date; }",
        "declare -I x",
    ],
)
def test_newer_found(line: str) -> None:
    try:
        found = newer(f"x=1\n{line}\n")
    except ValueError:  # a parser that does not know it refuses it
        return
    assert found, line


@pytest.mark.parametrize("name", BASH)
def test_script_arrays_assigned(name: str) -> None:
    """Under set -u an array that was declared and never assigned is unset; older releases differ on what that means."""
    lines = script(name).splitlines()
    told = re.findall(r"^ +(\w+)=\(--", script(name), re.MULTILINE)  # by a function that is called in between
    for line, _ in parse(script(name)).declarations:
        words = " ".join(lines[line - 1].split())
        if re.search(r"(?:local|declare) -[aA]", words) and "=" not in words:
            names = re.search(r"-[aA]+ ([\w ]+)", words)
            assert names, words
            for array in set(names[1].split()) - set(told):
                first = next((each for each in lines[line:] if re.search(rf"\b{array}\b", each)), "")
                assert re.search(rf"\b{array}=\(|\b{array}\+=\(|(read -ra|mapfile( -[a-z]+| '')*) {array}\b", first), (
                    f"{name}:{line}: {array} is declared without a value and first met in: {first.strip()}"
                )


def read(folder: Path, **env: str) -> tuple[int, str, str]:
    """Read a config.env with this environment: status, values, messages."""
    (folder / "config.env").write_text(VALID)
    result = run_bash(READ, folder, **env)
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_read_config_same(tmp_path: Path, level: str, locale: str) -> None:
    expected = read(tmp_path)
    assert expected[0] == 0
    assert expected[2] == ""
    assert read(tmp_path, BASH_COMPAT=level, LC_ALL=locale) == expected


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", BASH)
def test_script_sourced(tmp_path: Path, name: str, level: str) -> None:
    functions = " ".join(sorted(parse(script(name)).functions))
    (tmp_path / "config.env").write_text(VALID)
    result = run_bash(f"declare -F {functions} >/dev/null && echo all", tmp_path, script=name, BASH_COMPAT=level)
    assert (result.stdout, result.stderr) == ("all\n", "")


def test_script_ascii() -> None:
    """In the C locale bash compares and cuts bytes: what the scripts compute with and print holds no others."""
    for name in BASH:
        for number, line in enumerate(script(name).splitlines(), 1):
            # awk splits the bars of `status` at blanks, and prints them whole.
            computed = re.sub(r"(^|\s)#.*|split\(.[▁-█ ]*", "", line)
            assert computed.isascii(), f"{name}:{number}: {line.strip()}"

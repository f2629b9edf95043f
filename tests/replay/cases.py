"""The cases of cases/*.yaml: an input from a real cluster, what a user types, and what must come of it."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.replay.site import BASH_WORDS, HERE, TOKEN, VARIABLES, Result, Site

Case = dict[str, Any]
GIVEN = {"config", "env", "commands", "hub", "before", "set_up", "do", "cwd", "programs", "folder"}
EXPECT = {
    "status",
    "errors",
    "names",
    "not_named",
    "says",
    "never_says",
    "calls",
    "no_calls",
    "submitted",
    "after",
    "secrets",
    "slept",
}
SECRETS = re.compile(r"hf_[A-Za-z0-9]{8,}|wandbexample\d|s3c!?ret\d?|secret1|eyJ\w+")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
MAY_SEE = {"hf HF_TOKEN", "sbatch HF_TOKEN", "sbatch WANDB_API_KEY", "srun WANDB_API_KEY", "accelerate WANDB_API_KEY"}
MAY_SEE |= {"uv password", "tools-python password", "sbatch password"}  # of the mirrors
DO = {
    "check": "bash setup_and_train.sbatch check",
    "submit": "bash setup_and_train.sbatch",
    "status": "bash setup_and_train.sbatch status",
    "cancel": "bash setup_and_train.sbatch cancel",
    "setup": "bash 01_setup.sbatch training",
    "train": "sbatch 02_train.sbatch",
}


def load(name: str) -> list[Case]:
    """The cases of one file, each with its kind."""
    groups = yaml.safe_load((HERE / "cases" / f"{name}.yaml").read_text(encoding="utf-8"))
    return [{"kind": group["kind"], **case} for group in groups for case in group["cases"]]


def cases(name: str) -> pytest.MarkDecorator:
    """Runs a test for every case of a file."""
    return pytest.mark.parametrize("case", load(name), ids=lambda case: case["id"])


def filled(value: Any, site: Site) -> Any:
    """A value with {scratch} and {project} replaced."""
    if isinstance(value, str):
        return value.replace("{scratch}", str(site.folder)).replace("{project}", str(site.project))
    if isinstance(value, list):
        return [filled(each, site) for each in value]
    if isinstance(value, dict):
        return {key: filled(each, site) for key, each in value.items()}
    return value


def shell(site: Site, script: str) -> subprocess.CompletedProcess[str]:
    """Run lines of a case in the project's folder, with real programs."""
    env = {"PATH": "/usr/bin:/bin", "SITE": str(site.folder), "STUBS": str(site.stubs), "HOME": f"{site.folder}/home"}
    return subprocess.run(
        ["bash", "-euc", script], cwd=site.project, env=env, capture_output=True, text=True, check=False, timeout=30
    )


def prepare(case: Case, site: Site, ready: dict[str, Path]) -> Case:
    """Bring a site into the state of a case."""
    case = {key: filled(value, site) for key, value in case.items()}
    if "set_up" in case:
        shutil.rmtree(site.project)
        source = ready[case["set_up"]]
        subprocess.run(["cp", "-a", str(source), str(site.project)], check=True)
        move = "grep -rlI --null -- {0} . | xargs -0r sed -i 's|{0}|{1}|g'; find . -type l -lname '{2}/*' -printf '%p %l\\0' | "
        move += 'while read -rd \'\' p l; do ln -sfn "{3}${{l#{2}}}" "$p"; done'
        moved = shell(site, move.format(source, site.project, source.parent, site.folder))
        assert moved.returncode == 0, moved.stderr
    for program in case.get("programs", []):
        site.add(program)
    for answer in case.get("commands", []):
        site.answer(**answer)
    site.configure(case.get("config", ""))
    if "hub" in case:
        site.reach_hub(case["hub"])
    if "before" in case:
        before = shell(site, case["before"])
        assert before.returncode == 0, before.stderr
    if "folder" in case:  # the scripts lie in a folder of this name
        site.project = site.project.rename(site.folder / case["folder"])
    return case


def run(case: Case, site: Site) -> Result:
    """Type what the case types; of several commands the last result counts."""
    commands = case["do"] if isinstance(case["do"], list) else [case["do"]]
    for command in commands:
        if command.startswith("$ "):  # what happens in between
            between = shell(site, command[2:])
            assert between.returncode == 0, between.stderr
            continue
        result = site.run(DO.get(str(command), str(command)), Path(case["cwd"]) if "cwd" in case else None, case.get("env", {}))
    return result


def check_always(result: Result, site: Site, expect: Case) -> None:
    """What holds for every case: no words of bash, no failure without an error, no secret in the open."""
    assert not BASH_WORDS.search(result.printed), f"bash says something:\n{result.printed}"
    assert "ERROR[unexpected]" not in result.printed, result.printed
    assert result.status == 0 or result.errors or "status" in expect, (
        f"status {result.status} without an error:\n{result.printed}"
    )
    lines = result.error_lines.splitlines()
    assert all(re.search(r"[.!?] Fix: \S", line) for line in lines), f"what happened ends with a stop:\n{result.error_lines}"
    assert not CONTROL.search(result.printed), f"control characters: {result.printed!r}"
    texts = {"output": result.printed, "command line": "\n".join(result.calls)}
    texts |= {str(path): path.read_bytes().decode("latin-1") for path in site.written() if not path.is_symlink()}
    for where, text in texts.items():
        leak = SECRETS.search(text)
        assert not leak, f"{leak[0] if leak else ''} stands in {where}"
    assert result.secrets <= MAY_SEE, f"in the environment of children: {result.secrets - MAY_SEE}"


def check_case(case: Case, site: Site, ready: dict[str, Path]) -> None:
    """Run a case and compare what came of it with what it expects."""
    check_form(case)
    if "chown" in case.get("before", "") and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    case = prepare(case, site, ready)
    result = run(case, site)
    expect = case["expect"]
    where = f"{result.printed}\nstatus {result.status}"
    check_always(result, site, expect)
    check_errors(case, result, where)
    check_words(expect, result, where)
    if "submitted" in expect:
        assert len(result.submitted) == expect["submitted"], "\n".join(result.calls)
    if "after" in expect:
        after = shell(site, expect["after"])
        assert after.returncode == 0, f"{expect['after']}{after.stderr}\n{where}"


def check_form(case: Case) -> None:
    """A misspelt key would expect nothing."""
    assert set(case) - {"id", "kind", "source", "expect"} <= GIVEN, f"unknown key: {set(case)}"
    assert set(case["expect"]) <= EXPECT, f"unknown expectation: {set(case['expect'])}"
    assert TOKEN not in str(case["expect"]), "the token is never expected"


def check_errors(case: Case, result: Result, where: str) -> None:
    """Status, ids of the errors, and the variables that they name."""
    expect = case["expect"]
    assert set(result.errors) == set(expect.get("errors", [])), where
    if isinstance(case["do"], str):
        assert len(set(result.error_lines.splitlines())) == len(result.errors), f"an error is said twice\n{where}"
    assert (result.status != 0) == bool(expect.get("status", bool(expect.get("errors")))), where
    named, unwanted = result.named(), expect.get("not_named", [])
    assert set(expect.get("names", [])) <= named, where
    assert not named & (set(VARIABLES) if unwanted == "all" else set(unwanted)), where


def check_words(expect: Case, result: Result, where: str) -> None:
    """What must stand in output and calls, and what must not."""
    calls = "\n".join(result.calls)
    for words in expect.get("says", []):
        assert str(words) in result.printed, f"not said: {words}\n{where}"
    for words in expect.get("never_says", []):
        assert str(words) not in result.printed, f"said: {words}\n{where}"
    for pattern in expect.get("calls", []):
        assert re.search(pattern, calls, re.MULTILINE), f"not called: {pattern}\n{calls}\n{where}"
    for pattern in expect.get("no_calls", []):
        assert not re.search(pattern, calls, re.MULTILINE), f"called: {pattern}\n{calls}\n{where}"
    for seconds in expect.get("slept", []):
        assert str(seconds) in result.slept, f"slept {result.slept}\n{where}"

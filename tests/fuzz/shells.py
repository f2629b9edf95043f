"""Random environments: what users, modules and sites export, and what the programs of a run read."""

import random
from pathlib import Path

from diffueraser_docs.facts import facts
from diffueraser_docs.render import ROOT, SCRIPTS
from tests.fuzz import WORDS, hostile
from tests.syntax import parse

OF_BASH = {"SHELLOPTS": "noglob", "BASHOPTS": "failglob:nullglob:nocasematch:dotglob", "FUNCNEST": "3"}
"""Bash itself complains about other values."""
FILTERS = ("SINFO_", "SQUEUE_")
"""These hide jobs and partitions from what the scripts ask."""
FREE = {
    "SLURM_JOB_ID",
    "PATH",
    "HOME",
    "TMPDIR",
    "SSL_CERT_FILE",
    "LD_LIBRARY_PATH",
    "CURL_CA_BUNDLE",
    "CUDA_VISIBLE_DEVICES",
    *facts().variable_names(),
}
"""Read on purpose, or by the loader of every program."""


def own_names() -> list[str]:
    """The variables of the scripts themselves: somebody exports NODES or STATE."""
    scripts = [parse((ROOT / "scripts" / name).read_text()) for name in SCRIPTS if name != "config.env"]
    return sorted({name for script in scripts for name in script.assigned if name.isidentifier()} - FREE)


def environment(dice: random.Random, canary: Path, own: list[str]) -> dict[str, str]:
    """Some variables with some texts."""
    env = dict(dice.sample(sorted(OF_BASH.items()), dice.choice([0, 0, 0, 1])))
    for _ in range(dice.randint(1, 8)):
        name = dice.choice(dice.choice([*(WORDS[kind].split() for kind in ("bash", "tools", "slurm")), own]))
        usual = ["", "1", "yes", "/nonexistent", "C", "tr_TR.UTF-8", "zh_CN.GB18030", ":", ";", "human-readable", "en_US.UTF-8"]
        env[name] = dice.choice([hostile(dice, canary), *usual])
    return {name: text for name, text in env.items() if name not in FREE}

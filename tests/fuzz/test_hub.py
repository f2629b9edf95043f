"""Fuzz: a hostile Hub. Setup ends with whole errors, or well; no device, set-user bit or link out of it is in the project."""

import re
import stat
from collections.abc import Callable

import pytest

from tests.fuzz import SEED, chunks, rng
from tests.fuzz.hubs import KINDS
from tests.fuzz.outcome import canary, check_outcome, outside
from tests.replay.site import Site

TRAINED = "DiffuEraser_finetune/finetune-stage1/kept"
"""Of an earlier training: setup never touches it."""


def prepare(site: Site, number: int) -> None:
    """Both versions; with files that curl fetches, and without."""
    site.configure("DOWNLOAD_ATTEMPTS=2\nTRAIN_VERSION=" + ("prompt" if number % 2 else "non-prompt"))
    if number % 3 == 0:
        setup = site.project / "01_setup.sbatch"
        setup.write_text(setup.read_text().replace("\nLARGE=1000000000", "\nLARGE=1000"))
    (site.project / TRAINED).parent.mkdir(parents=True)
    (site.project / TRAINED).write_text("mine")


@pytest.mark.parametrize("kind", KINDS)
@chunks(1 / 30)
def test_hub(sites: Callable[[str], Site], kind: str, numbers: range) -> None:
    make, commands = KINDS[kind]
    for number in numbers:
        site = sites(str(number))
        prepare(site, number)
        about = f"seed {SEED}, {kind} {number}:\n{make(rng(kind, number), site, canary(site))}"
        before = outside(site)
        for command in commands:
            result = site.run(command)
            check_outcome(result, site, before, f"{command} {about}")
            if result.status:
                break
        check_tree(site, about)


def check_tree(site: Site, about: str) -> None:
    """What is in place: files, folders and links that stay inside."""
    assert (site.project / TRAINED).exists(), f"{TRAINED} was removed: {about}"
    for top in ("DiffuEraser_finetune", "DiffuEraser_finetune_prompt"):
        for path in (site.project / top).rglob("*"):
            if any(re.match(r"\.tmp-|finetune-stage", part) for part in path.relative_to(site.project).parts):
                continue
            mode = path.lstat().st_mode
            assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode), f"{path} {about}"
            assert stat.S_ISLNK(mode) or not mode & 0o6002, f"{path} has mode {mode:o} {about}"
            if stat.S_ISLNK(mode):
                assert path.resolve().is_relative_to(site.project.resolve()), f"{path} leads to {path.resolve()} {about}"

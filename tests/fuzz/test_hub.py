"""Fuzz: a hostile Hub. Setup ends with whole errors, or well; no device, set-user bit or link out of it is in the project."""

import random
import re
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diffueraser_docs.facts import facts
from tests.fuzz import SEED, chunks, rng
from tests.fuzz.hubs import DPO, KINDS, bodies
from tests.fuzz.outcome import canary, check_outcome, outside
from tests.hub import Hub
from tests.replay.site import TOKEN, Site

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


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A repository behind the Hub's protocol: two small files, and one that curl fetches."""
    root = tmp_path_factory.mktemp("hub")
    folder = root / facts().hub.organisation / DPO
    (folder / "clips").mkdir(parents=True)
    for name, size in (".gitattributes", 2000), ("clips/notes.txt", 2400), ("clips/all.tar", 20_000):
        (folder / name).write_bytes(random.Random(name).randbytes(size))
    with Hub(root, TOKEN) as running:
        yield running


WAITS = {"--max-time 60": "--max-time 2", "hub 9m": "hub 6", "hub 1d": "hub 8", "LARGE=1000000000": "LARGE=3000"}
"""In a case's copy of setup."""


@chunks(1 / 15)
def test_hub_bodies(sites: Callable[[str], Site], hub: Hub, numbers: range) -> None:
    """The real hf and the real curl: nothing hangs, and no half is taken for a whole."""
    for number in numbers:
        site, faults = sites(str(number)), bodies(rng("bodies", number))
        site.answer("hf", run=f'exec {Path(sys.executable).parent}/hf "$@"')
        site.configure(f"DOWNLOAD_ATTEMPTS=2\nHF_ENDPOINT={hub.endpoint}")
        setup = site.project / "01_setup.sbatch"
        for usual, short in WAITS.items():
            assert usual in setup.read_text(), usual
            setup.write_text(setup.read_text().replace(usual, short))
        hub.set_faults(*faults)
        before, about = outside(site), f"seed {SEED}, bodies {number}: {faults}"
        result = site.run("bash 01_setup.sbatch dpo-dataset", env={"HF_HUB_DOWNLOAD_TIMEOUT": "2"})
        check_outcome(result, site, before, about)
        assert result.status or equal(hub.root / facts().hub.organisation / DPO, site.project / f"DiffuEraser_downloads/{DPO}"), (
            about
        )


def equal(wanted: Path, found: Path) -> bool:
    """Whether a folder holds every file of another."""
    return all(
        (found / path.relative_to(wanted)).read_bytes() == path.read_bytes() for path in wanted.rglob("*") if path.is_file()
    )

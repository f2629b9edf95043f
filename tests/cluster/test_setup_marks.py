"""What 01_setup and 02_train remember: one at a time, nothing done twice, and what was removed since is noticed."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from diffueraser_docs.facts import facts
from tests.cluster.project import Project
from tests.cluster.setup import (
    CODE,
    TRAINING_REFUSES,
    assert_complete,
    on_login_node,
    setup,
    stand_in,
    wait_for_text,
    what_training_says,
)

Ready = Callable[..., Project]


# --- one at a time ------------------------------------------------------------------------------------------------


@pytest.mark.fault("two at once", "setup", "refused")
def test_lock_two_setups(without: Ready) -> None:
    project = without(CODE)
    project.hub.set_faults({"match": "/cdn/.*YTBV.tar", "kind": "throttle", "value": 3_000_000})
    first = project.sbatch("01_setup.sbatch", "training")
    wait_for_text(project, "download ")
    assert f"job {first} " in on_login_node(project).refused("locked")
    project.hub.set_faults()
    assert project.lab.wait(first, 60) == "COMPLETED", project.log()
    assert_complete(project)


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """The lock as a script holds it that runs on another node."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.fault("two at once", "code", "refused")
def test_lock_setup_while_that_version_trains(ready: Ready) -> None:
    project = ready()
    trainer = project.root("non-prompt") / "train_DiffuEraser_stage1.py"
    before = trainer.read_bytes()
    with held(project.state("lock-training-non-prompt")):
        on_login_node(project).completed()  # there is nothing to do
        on_login_node(project, SKIP_PATCHES="trackers").refused("locked")
        assert trainer.read_bytes() == before
        assert project.state("setup-non-prompt").exists(), "training that runs would refuse after its requeue"
        assert what_training_says(project) == TRAINING_REFUSES
    on_login_node(project, SKIP_PATCHES="trackers").completed()
    assert trainer.read_bytes() != before


# --- nothing is done twice ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["yes", "no"])
def test_downloads_kept_or_removed(unprepared: Project, keep: str) -> None:
    on_login_node(unprepared, KEEP_DOWNLOADS=keep).completed()
    downloads = unprepared.folder / "DiffuEraser_downloads"
    archives = {"DAVIS.tar", "YTBV.tar", "weights_extras.tar"}
    assert {path.name for path in downloads.rglob("*.tar")} == (archives if keep == "yes" else set())
    assert_complete(unprepared)
    unprepared.hub.reset()
    for mark in ([], ["setup-non-prompt"]):
        for name in mark:
            unprepared.state(name).unlink()
        on_login_node(unprepared, KEEP_DOWNLOADS=keep).completed()
        assert unprepared.hub.payload() == {}
    if keep == "no":  # an archive that is needed again is downloaded again, and only that repository's
        shutil.rmtree(unprepared.root("non-prompt") / "dataset" / "DAVIS")
        on_login_node(unprepared, KEEP_DOWNLOADS=keep).completed()
        assert_complete(unprepared)
        assert f"{CODE}/DAVIS.tar" in unprepared.hub.payload()
        assert all(name.startswith(CODE) for name in unprepared.hub.payload())
        unprepared.forget_setup()  # the next test finds every download


# --- what was removed since ---------------------------------------------------------------------------------------


def purge(path: Path) -> None:
    """As a site that removes old files does it."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.fault("purged", "setup", "survived")
def test_purged_files_are_made_again(ready: Ready) -> None:
    """Files deep below a folder, a folder, a trainer, a program of the tools: training refuses, setup makes them again."""
    project = ready()
    root = project.root("non-prompt")
    frame = next((root / "dataset" / "DAVIS" / "JPEGImages").rglob("*.jpg"))
    tools = project.folder / "environments" / "tools" / "bin" / "uv"
    for paths in ([frame], [root / "weights" / "stable-diffusion-v1-5", root / "train_DiffuEraser_stage1.py"]):
        for path in paths:
            purge(path)
        assert what_training_says(project) == ["data-changed"]
        project.hub.reset()
        on_login_node(project).completed()
        assert all(path.exists() for path in paths)
        assert_complete(project)
        assert project.hub.payload() == {}, "what is downloaded is not downloaded again"
    purge(project.folder / "DiffuEraser_downloads")  # to make space: what was made of it is there
    purge(tools)
    on_login_node(project).completed()
    assert project.hub.payload() == {}, "nothing of it is needed"
    assert what_training_says(project) == TRAINING_REFUSES
    project.state("setup-non-prompt").unlink()
    on_login_node(project).completed()
    assert tools.exists()


def test_patches_skipped(ready: Ready) -> None:
    """Another SKIP_PATCHES makes the code anew, with the original beside each changed file."""
    project = ready()
    root = project.root("non-prompt")
    names = set(project.state("patches-non-prompt").read_text().split())
    assert names == {patch.name for patch in facts().patches.patches}
    on_login_node(project, SKIP_PATCHES="trackers batch-size").completed()
    assert set(project.state("patches-non-prompt").read_text().split()) == names - {"trackers", "batch-size"}
    originals = sorted(path.name for path in root.glob("*.orig"))
    assert originals == [f"train_DiffuEraser_stage{stage}.py.orig" for stage in (1, 2)]
    assert "\n# accelerator.init_trackers" in (root / "train_DiffuEraser_stage1.py").read_text().replace("    ", "")


@pytest.mark.fault("kill -9", "code", "survived")
def test_killed_while_the_code_is_swapped(ready: Ready, tmp_path: Path) -> None:
    """Between two renames, half of the code is new: no training begins before setup has come to its end."""
    project = ready()
    mv = shutil.which("mv")
    body = f'[[ "$*" == *.tmp-code/libs* ]] && kill -9 $PPID && exit\nexec {mv} "$@"'
    stand_in(tmp_path / "bin", "mv", body)
    path = f"{tmp_path / 'bin'}:{project.lab.env['PATH']}"
    assert on_login_node(project, PATH=path, SKIP_PATCHES="trackers").status == -9
    assert what_training_says(project) == ["setup-incomplete"]
    assert any((project.root("non-prompt") / ".tmp-code").iterdir()), "the case came too late"
    on_login_node(project, SKIP_PATCHES="trackers").completed()
    assert_complete(project)
    assert (project.root("non-prompt") / "libs" / "models.py").exists()
    assert setup(project) == "COMPLETED", project.log()
    assert "trackers" in project.state("patches-non-prompt").read_text().split()

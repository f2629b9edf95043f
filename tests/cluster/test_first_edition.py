"""A project of the first edition is taken over: no large file is downloaded and no step is trained twice."""

import shutil
import subprocess
from pathlib import Path

import pytest

from diffueraser_docs.markdown import code_blocks
from diffueraser_docs.render import ROOT, SCRIPTS
from tests.cluster.lab import Lab
from tests.cluster.project import Project
from tests.cluster.setup import ORG
from tests.cluster.training import ids, starts
from tests.hub import Hub
from tests.hub.server import is_lfs
from tests.pypi import PackageIndex
from tests.replay.site import BASH_WORDS

FIRST = "afb1d4c"
"""The last commit of the first edition."""
LEFT = (
    ".state/work-7/download.log",
    "DiffuEraser_downloads/DiffuEraser-finetune-code/YTBV.tar.part",
    "DiffuEraser_finetune/.part-YTBV.tar/dataset/YTBV/padding.bin",
    "DiffuEraser_finetune/.part-code/train_DiffuEraser_stage1.py",
    "DiffuEraser_finetune/converted_weights/.part-stage1/config.json",
    "DiffuEraser_finetune/train_DiffuEraser_stage2.py.before-batch-size",
)
"""Of the first edition, and of no use to the second."""


def of_first_edition(name: str) -> str:
    """A script of the first edition."""
    shown = subprocess.run(["git", "show", f"{FIRST}:scripts/{name}"], cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode:
        pytest.skip(f"commit {FIRST} is not in this copy of the repository")
    return shown.stdout.replace('make_python "${python:-3.9.19}"', "make_python 3.11")  # the one that is here without a network


def submitted(project: Project, edition: str) -> None:
    """Everything is submitted, and ends well."""
    before = set(project.lab.jobs())
    said = project.bash("setup_and_train.sbatch")
    assert said.returncode == 0, said.stdout + said.stderr
    for job in set(project.lab.jobs()) - before:
        assert project.lab.wait(job) == "COMPLETED", edition + project.log()


@pytest.fixture(scope="module")
def trained(lab_running: Lab, hub_server: Hub, index: PackageIndex, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A folder in which the first edition has done everything, with the scripts of the second and its own config.env."""
    hub_server.set_faults()
    project = Project(tmp_path_factory.mktemp("first") / "project", lab_running, hub_server, index)
    project.folder.mkdir()
    for name in set(SCRIPTS) - {"common.sh"}:
        (project.folder / name).write_text(of_first_edition(name))
    project.two_edits("non-prompt")
    project.edit(SKIP_REPAIRS="trackers")
    submitted(project, "first")
    config = (project.folder / "config.env").read_text()
    project.copy_scripts()
    (project.folder / "config.env").write_text(config)
    leave_what_a_kill_leaves(project)
    hub_server.reset()
    return project


def leave_what_a_kill_leaves(project: Project) -> None:
    """Locks, partial downloads, half unpacked archives and half converted weights."""
    for name, owner in {"setup": "1", "dpo-dataset": "3", "training-non-prompt": "2", "launch": "node1:12345"}.items():
        project.state(f"lock-{name}").symlink_to(owner)
    for path in LEFT[:-1]:
        (project.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / path).write_bytes(b"part")


def trainer_logs(project: Project) -> set[Path]:
    return set((project.folder / "logs").glob("trainer-*"))


def test_before_setup(trained: Project) -> None:
    """What is not understood is named, and what was reached is shown."""
    check = trained.bash("setup_and_train.sbatch", "check")
    assert ids(check.stderr) == ["config-unknown"]
    assert "SKIP_PATCHES" in check.stderr
    (config := trained.folder / "config.env").write_text(config.read_text().replace("SKIP_REPAIRS", "SKIP_PATCHES"))
    status, training = trained.bash("setup_and_train.sbatch", "status"), trained.bash("02_train.sbatch")
    assert status.returncode == 0, status.stderr
    assert status.stdout.count("weights of step 12") == 2
    assert ids(training.stderr) == ["data-changed"]
    assert not BASH_WORDS.search(check.stderr + status.stderr + training.stderr)


def test_everything_is_kept(trained: Project) -> None:
    weights, logs = trained.weights("non-prompt"), trainer_logs(trained)
    records = [trained.record("non-prompt", stage) for stage in (1, 2)]
    submitted(trained, "second")
    assert trained.weights("non-prompt") == weights
    assert [trained.record("non-prompt", stage) for stage in (1, 2)] == records
    assert trainer_logs(trained) == logs, "a trainer was started again"
    again = {name for name in trained.hub.payload() if is_lfs(trained.hub.root / name)}
    assert again == set(), "these have a checksum on the Hub, and were downloaded again"
    assert all(name.startswith(ORG) for name in trained.hub.payload())
    assert "Everything is done" in trained.bash("setup_and_train.sbatch").stdout


def test_leftovers_are_removed_by_the_command_of_the_changelog(trained: Project) -> None:
    (block,) = code_blocks((ROOT / "CHANGELOG.md").read_text(), "en")
    assert all((trained.folder / path).exists() for path in LEFT)
    removed = trained.lab.run(["bash", "-euc", block.text], trained.folder)
    assert removed.returncode == 0, removed.stderr
    assert not any((trained.folder / path).parent.exists() for path in LEFT if "part-" in path or "work-" in path)
    assert not any((trained.folder / path).exists() for path in LEFT)
    trained.hub.reset()
    for script in ("01_setup.sbatch", "02_train.sbatch"):
        assert trained.bash(script).returncode == 0, f"{script} misses something"
    assert trained.hub.payload() == {}


def test_training_resumes_from_the_last_checkpoint(trained: Project) -> None:
    """As if the first edition had been stopped at step 10 of stage 1."""
    weights, logs = trained.weights("non-prompt"), trainer_logs(trained)
    root = trained.root("non-prompt")
    for name in ("converted_weights", "finetune-stage2", "finetune-stage1/checkpoint-12"):
        shutil.rmtree(root / name)
    trained.state("training-non-prompt").unlink()
    submitted(trained, "second")
    assert starts(trained) == [0, 10], "of the first edition and of the second"
    assert trained.weights("non-prompt") == weights
    assert len(trainer_logs(trained) - logs) == 2

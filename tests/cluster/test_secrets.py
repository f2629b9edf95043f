"""After all other cluster tests: the token stands in config.env, which only its owner can read, and nowhere else."""

import stat

import pytest

from diffueraser_docs.facts import VERSIONS
from tests.cluster.conftest import Finished
from tests.cluster.lab import Lab
from tests.cluster.secrets import SecretWatch, files_with, jobs_with, published
from tests.hub import TOKEN


def test_the_watch_has_looked(watch: SecretWatch, finished: Finished) -> None:
    assert all(finished[version].steps for version in VERSIONS), "the case needs pipelines that ran"
    assert watch.samples > 100


def test_no_command_line_and_no_script_in_slurms_spool_held_it(watch: SecretWatch) -> None:
    assert watch.seen == set()


def test_no_log_no_file_of_a_project_and_nothing_that_slurm_keeps_holds_it(watch: SecretWatch) -> None:
    assert [str(path.relative_to(watch.root)) for path in files_with(TOKEN, [watch.root])] == []


def test_scontrol_does_not_show_it(lab_running: Lab) -> None:
    assert lab_running.jobs(), "the case needs jobs"
    assert jobs_with(TOKEN, lab_running) == []


def test_nothing_that_is_published_holds_it() -> None:
    assert files_with(TOKEN, published()) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_only_its_owner_reads_config_env(finished: Finished, version: str) -> None:
    path = finished[version].project.folder / "config.env"
    assert TOKEN in path.read_text(), "the case needs the edit"
    assert stat.filemode(path.stat().st_mode) == "-rw-------"

"""The token stands in config.env, which only its owner can read, and nowhere else.

Command lines, logs, projects and what Slurm keeps are searched when the last test has ended: `watch` in conftest.py.
"""

import stat

import pytest

from diffueraser_docs.schema.base import VERSIONS
from tests.cluster.conftest import Finished
from tests.cluster.lab import Lab
from tests.cluster.secrets import SecretWatch, files_with, published
from tests.hub import TOKEN


def test_the_watch_looks_while_pipelines_run(watch: SecretWatch, lab_running: Lab, finished: Finished) -> None:
    assert all(finished[version].steps for version in VERSIONS), "the case needs pipelines that ran"
    assert lab_running.jobs(), "the case needs jobs"
    assert watch.samples > 100
    assert watch.seen == set()


def test_nothing_that_is_published_holds_it() -> None:
    assert files_with(TOKEN, published()) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_only_its_owner_reads_config_env(finished: Finished, version: str) -> None:
    path = finished[version].project.folder / "config.env"
    assert TOKEN in path.read_text(), "the case needs the edit"
    assert stat.filemode(path.stat().st_mode) == "-rw-------"

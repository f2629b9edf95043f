"""The pipeline is killed at random moments, again and again, and still ends with the weights of an undisturbed run."""

from collections.abc import Callable

import pytest

from tests.cluster.kills import KILLS, kill_again_and_again
from tests.cluster.project import Project
from tests.cluster.training import project

__all__ = ["project"]
Record = Callable[[str, object], None]


@pytest.mark.timeout(7200)
@pytest.mark.fault("random kills", "pipeline", "survived")
def test_pipeline_killed_at_random_moments(project: Project, record_property: Record) -> None:
    record_property("cases", KILLS)
    kill_again_and_again(project)

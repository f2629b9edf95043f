"""On each release the pipeline is killed at random moments, again and again, and still ends with the same weights."""

import pytest

from tests.cluster.kills import kill_again_and_again
from tests.cluster.project import Project


@pytest.mark.timeout(7200)
def test_pipeline_killed_at_random_moments(project: Project) -> None:
    kill_again_and_again(project)

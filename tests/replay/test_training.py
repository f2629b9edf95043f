"""Replay: the GPU node, what training leaves, and status."""

from pathlib import Path

from tests.replay.cases import Case, cases, check_case
from tests.replay.site import Site


@cases("training")
def test_training(case: Case, site: Site, ready: dict[str, Path]) -> None:
    check_case(case, site, ready)

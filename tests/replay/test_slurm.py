"""Replay: what Slurm's programs print."""

from pathlib import Path

from tests.replay.cases import Case, cases, check_case
from tests.replay.site import Site


@cases("slurm")
def test_slurm(case: Case, site: Site, ready: dict[str, Path]) -> None:
    check_case(case, site, ready)

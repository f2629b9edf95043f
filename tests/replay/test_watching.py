"""The trial, what status draws of a run, and the summary of a run."""

from pathlib import Path

from tests.replay.cases import Case, cases, check_case
from tests.replay.site import Site


@cases("watching")
def test_watching(case: Case, site: Site, ready: dict[str, Path]) -> None:
    check_case(case, site, ready)

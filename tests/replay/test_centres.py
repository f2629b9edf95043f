"""Replay: centres as their documentation describes them."""

from pathlib import Path

from tests.replay.cases import Case, cases, check_case
from tests.replay.site import Site


@cases("centres")
def test_centres(case: Case, site: Site, ready: dict[str, Path]) -> None:
    check_case(case, site, ready)

"""Replay: the user's shell, modules and folders."""

from pathlib import Path

from tests.replay.cases import Case, cases, check_case
from tests.replay.site import Site


@cases("environment")
def test_environment(case: Case, site: Site, ready: dict[str, Path]) -> None:
    check_case(case, site, ready)

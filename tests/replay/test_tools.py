"""Replay: tools that say the cause somewhere, that are missing or too old; disks."""

from pathlib import Path

from tests.replay.cases import Case, cases, check_case
from tests.replay.site import Site


@cases("tools")
def test_tools(case: Case, site: Site, ready: dict[str, Path]) -> None:
    check_case(case, site, ready)

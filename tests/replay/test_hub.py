"""Replay: the Hub, mirrors of it, and what stands in between."""

from pathlib import Path

from tests.replay.cases import Case, cases, check_case
from tests.replay.site import Site


@cases("hub")
def test_hub(case: Case, site: Site, ready: dict[str, Path]) -> None:
    check_case(case, site, ready)

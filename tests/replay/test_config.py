"""Replay: what people write into config.env, and what sites need there."""

from pathlib import Path

from tests.replay.cases import Case, cases, check_case
from tests.replay.site import Site


@cases("config")
def test_config(case: Case, site: Site, ready: dict[str, Path]) -> None:
    check_case(case, site, ready)

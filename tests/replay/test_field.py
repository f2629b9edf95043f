"""Replay: more wordings of Slurm, the Hub, tools and users, from the field."""

from pathlib import Path

from tests.replay.cases import Case, cases, check_case
from tests.replay.site import Site


@cases("field")
def test_field(case: Case, site: Site, ready: dict[str, Path]) -> None:
    check_case(case, site, ready)

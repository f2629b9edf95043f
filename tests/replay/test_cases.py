"""The table itself: no id stands twice, and every file of cases has its test."""

from collections import Counter

from tests.replay.cases import load
from tests.replay.site import HERE


def test_case_ids_unique() -> None:
    names = [path.stem for path in (HERE / "cases").glob("*.yaml")]
    assert {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")} == {*names, "cases"}
    counts = Counter(case["id"] for name in names for case in load(name))
    assert [name for name, count in counts.items() if count > 1] == []

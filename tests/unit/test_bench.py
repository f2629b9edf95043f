"""What `make bench` computes; nothing here depends on how long anything takes."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from diffueraser_docs.schema.base import LANGUAGES
from tests.bench import measure, results
from tests.bench.models import Goal, Machine, Measurement, Measurements, goals
from tests.hub.server import Fault

MACHINE = Machine(cpu="a processor", cores=2, memory_gb=25.2, disk="ext4", load=0.42, versions={"bash": "5.2"})


def goal(name: str = "speed", limits: Mapping[str, float] | None = None) -> Goal:
    title = {"en": "speed", "zh": "速度"}
    return Goal.model_validate({"name": name, "group": "all", "what": title, "unit": "×", "figures": "s", **(limits or {})})


# --- figures ----------------------------------------------------------------------------------------------------


def test_pairs_are_compared_and_every_round_is_kept() -> None:
    found = measure.ratio([9.0, 2.0, 3.0], [1.0, 2.0, 100.0])
    assert found == Measurement(value=1.0, ours=[9.0, 2.0, 3.0], reference=[1.0, 2.0, 100.0], pairs=[9.0, 1.0, 0.03])
    assert measure.difference([5.0, 1.0, 3.0], [2.0, 2.5, 1.0]).value == 2.0
    assert measure.percent_above([10.3], [10.0]).value == 3.0
    assert measure.percent_above([9.0], [10.0]).value == -10.0
    assert measure.most([4, 20, 7], 16) == Measurement(value=1.25, ours=[4, 20, 7])


@pytest.mark.parametrize(
    ("limits", "value", "met"),
    [
        ({"at_most": 1.0}, [1.004], "yes"),
        ({"at_most": 1.0}, [1.006], "no"),
        ({"at_least": 1.0}, [0.996], "yes"),
        ({"at_least": 1.0}, [0.994], "no"),
        ({"at_most": 0.0}, [1.0], "no"),
        ({"at_most": 1.0}, [0.8, 0.9, 1.1], "noise"),
        ({"at_most": 1.0}, [1.2, 1.3, 1.1], "no"),
        ({"at_least": 1.0}, [1.2, 1.3, 0.9], "noise"),
        ({}, [5.0], "none"),
    ],
)
def test_goal_met_by_all_pairs(limits: dict[str, float], value: list[float], met: str) -> None:
    assert goal(limits=limits).met(Measurement(value=value[0], ours=[], pairs=value)) == met


# --- results ----------------------------------------------------------------------------------------------------


def found(value: float) -> Measurements:
    return results.results(MACHINE, {"speed": Measurement(value=value, ours=[2.5, 3], reference=[2])}, 61.4)


def test_results_file_gives_back_what_was_written(tmp_path: Path) -> None:
    results.write(goals(), found(1.25), tmp_path / "results.yaml", tmp_path)
    assert results.read(tmp_path / "results.yaml") == found(1.25)
    names = [f"{page}.{language}.md" for page in ("benchmark-machine", "benchmarks") for language in LANGUAGES]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "results.yaml"]


def test_results_missed() -> None:
    wanted = goals().model_copy(update={"goals": [goal(limits={"at_most": 1.15}), goal("unmeasured", {"at_most": 1})]})
    assert results.missed(wanted, found(1.25)) == ["speed"]
    assert results.missed(wanted, found(1.1)) == []
    assert results.table(wanted, found(1.25)).splitlines()[1].split("  ")[0] == "speed"


@pytest.mark.parametrize(
    ("language", "words"), [("en", ("✅ yes", "against", "not measured yet")), ("zh", ("✅ 是", "对比", "尚未测量"))]
)
def test_results_page_shows_every_goal(language: str, words: tuple[str, str, str]) -> None:
    measured = {"setup-time": Measurement(value=0.9, ours=[9], reference=[10])}
    page = results.results_page(goals(), results.results(MACHINE, measured, 1), language)
    assert all(word in page for word in (*words, *(getattr(each.what, language) for each in goals().goals)))
    assert MACHINE.cpu in results.machine_page(goals(), results.results(MACHINE, measured, 1), language)


def test_a_rate_limit_allows_so_many_requests_in_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("tests.hub.server.time.monotonic", lambda: clock[0])
    limit = Fault(match=".", kind="limit", value=2, retry_after=3)
    assert [limit.exceeded() for _ in range(4)] == [0, 0, 3, 3]
    clock[0] += 2.5
    assert limit.exceeded() == 1
    clock[0] += 1
    assert [limit.exceeded() for _ in range(3)] == [0, 0, 3]


MEASURES: list[Callable[..., Measurement]] = [measure.ratio, measure.difference, measure.percent_above]


@pytest.mark.parametrize("compute", MEASURES)
def test_equal_rounds_show_no_difference(compute: Callable[..., Measurement]) -> None:
    assert compute([2.0, 2.0], [2.0, 2.0]).value == (1.0 if compute is measure.ratio else 0.0)

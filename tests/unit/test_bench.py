"""What `make bench` computes; nothing here depends on how long anything takes."""

import hashlib
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from diffueraser_docs.facts import Benchmarks, Goal, Machine, Measurement, Measurements, facts
from diffueraser_docs.macros import PageMacros, figure, figures, goal_text
from diffueraser_docs.schema.base import Group, Text
from tests.bench import data, measure, results, setup
from tests.bench.machine import cpu_name, first_number, version
from tests.hub import TOKEN, Hub
from tests.hub.server import Fault

MACHINE = Machine(cpu="a processor", cores=2, memory_gb=25.2, disk="ext4", load=0.42, versions={"bash": "5.2"})


def goal(name: str = "speed", limits: Mapping[str, float] | None = None) -> Goal:
    title = {"en": "speed", "zh": "速度"}
    return Goal.model_validate({"name": name, "group": "all", "what": title, "unit": "×", "figures": "s", **(limits or {})})


# --- figures ----------------------------------------------------------------------------------------------------


def test_medians_are_compared_and_every_round_is_kept() -> None:
    found = measure.ratio([9.0, 2.0, 3.0], [1.0, 2.0, 100.0])
    assert found == Measurement(value=1.5, ours=[9.0, 2.0, 3.0], reference=[1.0, 2.0, 100.0])
    assert measure.difference([5.0, 1.0, 3.0], [2.0, 2.5, 1.0]).value == 1.0
    assert measure.percent_above([10.3], [10.0]).value == 3.0
    assert measure.percent_above([9.0], [10.0]).value == -10.0
    assert measure.most([4, 20, 7], 16) == Measurement(value=1.25, ours=[4, 20, 7])


@pytest.mark.parametrize(
    ("limits", "value", "met"),
    [
        ({"at_most": 1.0}, 1.004, True),
        ({"at_most": 1.0}, 1.006, False),
        ({"at_least": 1.0}, 0.996, True),
        ({"at_least": 1.0}, 0.994, False),
        ({"at_most": 0.0}, 1.0, False),
        ({}, 5.0, None),
    ],
)
def test_a_goal_is_compared_with_the_value_as_it_is_shown(limits: dict[str, float], value: float, met: bool | None) -> None:
    assert goal(limits=limits).met(value) is met


def test_the_peak_is_what_was_in_use_above_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    uses = [100, 130, 470, 220]
    monkeypatch.setattr(measure, "used_bytes", lambda _: uses.pop(0) if len(uses) > 1 else uses[0])
    peak = measure.Peak(tmp_path, interval=0.001)
    with peak.watched():
        while len(uses) > 1:
            pass
    assert peak.bytes == 370


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(measure.CommandError, match=r"ended with status 3: the reason"):
        measure.timed(["bash", "-c", "echo the reason; exit 3"], tmp_path, {})


# --- results ----------------------------------------------------------------------------------------------------


def found(value: float) -> Measurements:
    return results.results(MACHINE, {"speed": Measurement(value=value, ours=[2.5, 3], reference=[2])}, 61.4)


def test_the_results_file_gives_back_what_was_written(tmp_path: Path) -> None:
    results.write(found(1.25), tmp_path / "measurements.yaml")
    again = Measurements.model_validate(yaml.safe_load((tmp_path / "measurements.yaml").read_text(encoding="utf-8")))
    assert again == found(1.25)
    assert again.seconds == 61
    assert [path.name for path in tmp_path.iterdir()] == ["measurements.yaml"]


def test_the_table_names_what_is_missed() -> None:
    title = Group(name="all", title=Text(en="all", zh="全部"))
    goals = Benchmarks(source="test", groups=[title], goals=[goal(limits={"at_most": 1.15}), goal("unmeasured", {"at_most": 1})])
    assert results.missed(goals, found(1.25)) == ["speed"]
    assert results.missed(goals, found(1.1)) == []
    lines = results.table(goals, found(1.25)).splitlines()
    assert lines[0].split() == ["measured", "goal", "value", "met", "figures"]
    assert lines[1].split("  ")[0] == "speed"
    assert "≤ 1.15 ×" in lines[1]
    assert "1.25 ×" in lines[1]
    assert "NO" in lines[1]
    assert lines[1].endswith("2.5, 3 s against 2 s")
    assert len(lines) == 2


def test_signs_and_digits() -> None:
    assert figure(1.0, "×") == "1 ×"
    assert figure(0.126, "s") == "0.13 s"
    assert (goal_text(goal(limits={"at_least": 1})), goal_text(goal())) == ("≥ 1 ×", "–")
    assert figures(goal(), Measurement(value=1, ours=[10.123456])) == "10.12 s"


@pytest.mark.parametrize(
    ("language", "words"), [("en", ("✅ yes", "against", "not measured yet")), ("zh", ("✅ 是", "对比", "尚未测量"))]
)
def test_the_page_shows_every_goal_in_both_languages(language: str, words: tuple[str, str, str]) -> None:
    measured = facts().model_copy(
        update={
            "measurements": facts().measurements.model_copy(
                update={"measured": {"setup-time": Measurement(value=0.9, ours=[9], reference=[10])}}
            )
        }
    )
    macros = PageMacros(measured, language, {})
    tables = "\n".join(macros.benchmarks_table(group.name) for group in facts().benchmarks.groups)
    for each in facts().benchmarks.goals:
        assert getattr(each.what, language) in tables
    for word in words:
        assert word in tables
    assert facts().measurements.machine.cpu in macros.machine_table()


def test_the_load_before_the_run_is_told() -> None:
    measurements = facts().measurements.model_copy(update={"machine": MACHINE})
    table = PageMacros(facts().model_copy(update={"measurements": measurements}), "en", {}).machine_table()
    assert "| load average before the run | 0.42 |" in table


def test_the_machine_is_told_by_what_the_system_says() -> None:
    assert cpu_name("processor : 0\nmodel name\t: AMD  EPYC\nmodel name\t: AMD  EPYC\n") == "AMD EPYC"
    assert first_number("tar (GNU tar) 1.34\nCopyright 2021") == "1.34"
    assert version([sys.executable, "--version"]).startswith("3.")
    assert version(["no-such-program-here"]) == "–"


# --- data and limit ---------------------------------------------------------------------------------------------


def test_noise_is_the_same_at_every_build_and_of_the_size_asked_for(tmp_path: Path) -> None:
    for name in ("a", "b"):
        data.write_noise(tmp_path / name, 7, 9_000_001)
    first, second = ((tmp_path / name).read_bytes() for name in ("a", "b"))
    assert len(first) == 9_000_001
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    data.write_tar(tmp_path / "tar", data.frames(70))
    with tarfile.open(tmp_path / "tar") as archive:
        assert [member.size for member in archive] == [data.SMALL_BYTES] * 70


def test_a_share_of_the_pairs_has_upstreams_layout(tmp_path: Path) -> None:
    count = data.build_pairs(tmp_path, 0.01)
    assert len(list(tmp_path.iterdir())) == 21
    assert count == sum(path.is_file() for path in tmp_path.rglob("*")) == 21 * 10
    assert {path.name for path in (tmp_path / "ytbv_0003").iterdir()} == {*data.PARTS, "meta.json", "comparison.mp4"}


def test_the_limit_downloads_the_same_files_and_unpacks_the_same_archives(tmp_path: Path) -> None:
    hub_facts = facts().hub
    folder = tmp_path / "hub" / hub_facts.organisation / hub_facts.by_role("code").name
    folder.mkdir(parents=True)
    data.write_tar(folder / "DAVIS.tar", [("dataset/one", b"1")])
    (folder / "environment.yml").write_text("name: x\n")
    with Hub(tmp_path / "hub", frozen=True) as hub:
        measure.timed(["bash", "-c", setup.limit_script(hub, tmp_path / "limit")], tmp_path, {"PATH": "/usr/bin:/bin"})
    below = tmp_path / "limit" / "downloads" / folder.relative_to(tmp_path / "hub")
    assert {path.name for path in below.iterdir()} == {"DAVIS.tar", "environment.yml"}
    assert (tmp_path / "limit" / "unpacked" / "dataset" / "one").read_bytes() == b"1"
    assert TOKEN not in setup.limit_script(hub, tmp_path / "limit")


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

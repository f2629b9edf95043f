"""Slips of the hand are caught: a seeded few of each kind here, many by `make mutation`."""

import pytest

from diffueraser_docs.render import ROOT
from tests.mutations import KINDS, Bench, Kind, mutants

EACH = 2
# Those that only scripts rendered anew and the fast tests can show take minutes: make mutation makes them.
QUICK = [kind for kind in KINDS if not kind.rendered]
# Caught by a fast test rather than by check.
BY_TESTS = {"page: link": "tests/unit/test_links.py", "fact: number": "tests/unit/test_facts.py, test_upstream.py"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A copy of the checkout."""
    return Bench(tmp_path_factory.mktemp("mutations") / "checkout")


@pytest.mark.slow  # what check does not name is shown to the fast tests themselves
@pytest.mark.parametrize("kind", [kind for kind in QUICK if kind.name not in BY_TESTS], ids=lambda kind: kind.name)
def test_a_slip_is_named_by_check_or_a_fast_test(bench: Bench, kind: Kind) -> None:
    made = mutants(kind, EACH, seed=8)
    assert made, f"{kind.name}: no place for a slip any more"
    survivors = [mutant for mutant in made if not bench.caught_by_check(mutant)]
    assert [str(mutant) for mutant in survivors if not bench.caught_by_tests(mutant)] == [], "nothing names these"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_finds_places_and_the_same_ones_for_the_same_seed(kind: Kind) -> None:
    first = mutants(kind, 3, seed=1)
    assert first
    assert [str(mutant) for mutant in first] == [str(mutant) for mutant in mutants(kind, 3, seed=1)]
    for mutant in first:
        assert mutant.text != (ROOT / mutant.path).read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_survivor_is_told_from_a_catch(bench: Bench) -> None:
    """A comment of the facts reaches nothing that is rendered: no check may claim to have caught it."""
    comment = Kind("comment", ("diffueraser_docs/facts/hub.yaml",), lambda text: iter([(0, 1, "#!")] if text[0] == "#" else []))
    (mutant,) = mutants(comment, 1, seed=1)
    assert bench.caught_by_check(mutant) == ""
    assert (bench.root / mutant.path).read_text() == (ROOT / mutant.path).read_text(), "the slip was not taken back"

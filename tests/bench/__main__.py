"""Measure everything, or the parts that are named: `python -m tests.bench [setup] [dpo] [training]`."""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import dpo, results, setup, training
from tests.bench.data import build_large, build_pairs
from tests.bench.machine import describe
from tests.bench.models import Measurement, goals
from tests.bench.place import place, point_to, warm
from tests.cluster.project import Project
from tests.hub import Hub

PARTS = ("training", "dpo", "setup")
"""In this order: training needs what setup has made, the others begin with nothing."""
FEW, MANY = 0.05, 0.3
"""Shares of DPO-dataset's folders: to choose the client's best setting, and to compare."""
SEED = 20260301


@contextmanager
def pairs(project: Project, folder: Path, share: float) -> Iterator[int]:
    """A Hub with a share of DPO-dataset; gives the number of its files."""
    count = build_pairs(folder / dpo.repository(), share)
    with Hub(folder, frozen=True) as hub:
        warm(hub, "dpo")
        point_to(project, hub)
        yield count


def measure_setup(project: Project, folder: Path, rounds: int) -> dict[str, Measurement]:
    """Time and disk of setup."""
    build_large(folder / "large")
    with Hub(folder / "large", frozen=True) as hub:
        warm(hub, *setup.ROLES)
        point_to(project, hub)
        return setup.measure_time(project, folder, rounds) | setup.measure_disk(project, folder)


def measure_dpo(project: Project, folder: Path, rounds: int) -> dict[str, Measurement]:
    """Speed of DPO-dataset's download."""
    with pairs(project, folder / "few", FEW):
        workers = dpo.best_workers(project)
    with pairs(project, folder / "many", MANY) as count:
        return dpo.measure_speed(project, count, workers, rounds)


def measure_training(project: Project, rounds: int) -> dict[str, Measurement]:
    """Overhead and lost steps of training."""
    return training.measure_overhead(project, rounds) | training.measure_lost(project, 2, SEED)


def measure(part: str, project: Project, folder: Path, rounds: int) -> dict[str, Measurement]:
    """One of the parts."""
    if part == "setup":
        return measure_setup(project, folder, rounds)
    return measure_dpo(project, folder, rounds) if part == "dpo" else measure_training(project, rounds)


def main() -> int:
    """Measure, show, write; the status tells whether every goal is met."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help="all when left out; the others keep their figures")
    parser.add_argument("--rounds", type=int, default=5, help="of setup and training; medians count")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.parts) - set(PARTS)):
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    begin, wanted = time.monotonic(), goals()
    measured = dict(results.read().measured) if arguments.parts else {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        machine = describe(folder)
        with place(folder) as project:
            for part in arguments.parts or PARTS:
                print(f"measures {part} …", flush=True)
                measured |= measure(part, project, folder, arguments.rounds)
                ordered = {goal.name: measured[goal.name] for goal in wanted.goals if goal.name in measured}
                found = results.results(machine, ordered, time.monotonic() - begin)
                results.write(wanted, found)  # after each part: what comes later may fail
    print(results.table(wanted, found))
    return 1 if results.missed(wanted, found) else 0


if __name__ == "__main__":
    raise SystemExit(main())

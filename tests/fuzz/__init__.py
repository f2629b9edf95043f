"""Hostile input: mutated config.env files, also typed into the builder; listings, archives, answers; environments.

`make fuzz` runs COUNT of them (5,000) from SEED; `make test` runs a few. A case depends on SEED, its kind and its number
alone, and a failure names all three.
"""

import os
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

SEED = os.environ.get("FUZZ_SEED", "1")
COUNT = int(os.environ.get("FUZZ_COUNT", "15"))
CHUNK = 25
"""Cases of one test: several share a folder, and a test runs as a whole on one worker."""
WORDS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text(encoding="utf-8"))


def chunks(share: float = 1) -> pytest.MarkDecorator:
    """Runs a test for the numbers of all cases, a share of COUNT, some at a time."""
    count = max(1, int(COUNT * share))
    numbers = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    return pytest.mark.parametrize("numbers", numbers, ids=[f"{each.start}-{each.stop - 1}" for each in numbers])


def rng(kind: str, number: int) -> random.Random:
    """The source of chance of one case."""
    return random.Random(f"{SEED} {kind} {number}")


def hostile(dice: random.Random, canary: Path) -> str:
    """A text that a program might take for more than a text."""
    return str(dice.choice([*(text.replace("{}", str(canary)) for text in WORDS["executed"]), *WORDS["odd"], "x" * 300]))

"""Fuzz: the config.env builder. What it lets through the scripts read as it was meant, and what it refuses they refuse too."""

import re
from pathlib import Path

from tests.browser import address
from tests.browser.conftest import Watched
from tests.fuzz import SEED, chunks, rng
from tests.fuzz.builders import Reading, fill, readings, typed
from tests.fuzz.configs import config

PLACE = {"project-home", "scripts-folder", "stage1-missing", "checkpoint-incomplete"}
"""Of the disk: folders, weights and checkpoints, which a page does not know."""
REPAIRED = {"config-crlf", "config-space", "config-encoding"}
"""A file that was read is written anew."""
TOKEN = {"token-missing", "token-invalid"}
"""The token may be left out and put into the file by hand."""


def ids(reading: Reading) -> set[str]:
    """The errors of a reading."""
    return set(re.findall(r"ERROR\[([a-z0-9-]+)\]", reading.said))


@chunks()
def test_builder_typed(desktop: Watched, tmp_path: Path, numbers: range) -> None:
    page = desktop.open(address("builder", "en"))
    cases = [{"typed": typed(rng("typed", number), tmp_path / "executed"), "pasted": ""} for number in numbers]
    shown = fill(page, cases)
    for number, case, page_says, read in zip(
        numbers, cases, shown, readings(tmp_path, [each["text"].encode() for each in shown]), strict=True
    ):
        about = f"seed {SEED}, typed {number}: {case['typed']!r}\n{page_says}\n{read}"
        check_written(page_says["values"], page_says["flagged"], refused=page_says["refused"], read=read, about=about)
    assert not (tmp_path / "executed").exists()


def check_written(values: dict[str, str], flagged: list[str], *, refused: bool, read: Reading, about: str) -> None:
    """The file that the page wrote."""
    assert refused == bool(flagged), about
    problems = ids(read) - PLACE - (TOKEN if "HF_TOKEN" not in values else set())
    if refused:
        assert problems or flagged == ["ENV_TOOL"], f"refused by the page alone: {about}"
        return
    assert not problems, f"refused by the scripts alone: {about}"
    if read.accepted:
        assert read.values == {"TRAIN_VERSION": "non-prompt", **as_read(values)}, about


def as_read(values: dict[str, str]) -> dict[str, str]:
    """The scripts take an address of the Hub without the last slash, and an empty value for none."""
    short = {name: value.removesuffix("/") if name == "HF_ENDPOINT" else value.strip() for name, value in values.items()}
    return {name: value for name, value in short.items() if value}


@chunks(1 / 2)
def test_builder_pasted(desktop: Watched, tmp_path: Path, numbers: range) -> None:
    page = desktop.open(address("builder", "en"))
    files = [config(rng("pasted", number), tmp_path / "executed") for number in numbers]
    shown = fill(page, [{"typed": {}, "pasted": data.decode(errors="replace")} for data in files])
    (tmp_path / "new").mkdir()
    (tmp_path / "old").mkdir()
    new = readings(tmp_path / "new", [each["text"].encode() for each in shown])
    for number, data, page_says, before, after in zip(numbers, files, shown, readings(tmp_path / "old", files), new, strict=True):
        about = f"seed {SEED}, pasted {number}: {data!r}\n{page_says}\n{before}\n{after}"
        check_written(page_says["values"], page_says["flagged"], refused=page_says["refused"], read=after, about=about)
        silent = not page_says["refused"] and re.fullmatch(r"Values read: \d+\.", page_says["notes"])
        allowed = PLACE | REPAIRED | (TOKEN if "HF_TOKEN" not in page_says["values"] or "config-space" in ids(before) else set())
        if re.search(rb"""=(["'])\s+\1""", data):  # the page leaves out a value of blanks alone
            allowed |= {"config-value"}
        assert not silent or not ids(before) - allowed, f"refused by the scripts alone: {about}"
        if before.accepted:
            assert silent or page_says["flagged"] == ["ENV_TOOL"], f"refused by the page alone: {about}"
            assert as_read(page_says["values"]) == as_read(before.values), about
    assert not (tmp_path / "executed").exists()

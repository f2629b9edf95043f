"""The config.env builder: what somebody types or pastes into it, and what page and scripts make of that."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from diffueraser_docs.facts import facts
from tests.bash import run_bash
from tests.browser.test_builder import TOKEN, VALID, choices, kind_names
from tests.fuzz import hostile
from tests.fuzz.configs import MISPLACED

TYPOS = [*"\"'#$`;,&|<>\\=%-[]()\n\r\t \0\x01\x7f\u00a0\u2003\u2028\u3000\u200b\ufeffé漢😀", "\r\n", "--", "# ", " #", "\u00a0#"]
FILL = """cases => cases.map(({ typed, pasted }) => {
  const part = name => document.getElementById(`builder-${name}`);
  const form = part("form");
  part("reset").click();
  if (pasted) {
    part("paste").value = pasted;
    part("read-button").click();
  }
  for (const [name, value] of Object.entries(typed)) form.elements[name].value = value;
  form.dispatchEvent(new Event("input"));
  const fields = [...form.querySelectorAll("[name]")];
  return {
    text: part("output").textContent,
    refused: part("download").disabled,
    flagged: fields.filter(field => field.getAttribute("aria-invalid")).map(field => field.name),
    values: Object.fromEntries(fields.map(field => [field.name, field.value.trim()]).filter(([, value]) => value)),
    notes: part("read-result").childNodes.length ? part("read-result").textContent : "",
  };
})"""
READ = """
trap - ERR
for folder in cases/*/; do
    cp "$folder/config.env" config.env
    set +e
    (
        set -e
        read_values
        check_before_start
        for name in "${!PATTERN[@]}"; do [[ -z ${FROM_FILE[$name]:-} ]] || printf '%s\\t%s\\0' "$name" "${!name}"; done
    ) >"$folder/values" 2>"$folder/said"
    echo $? >"$folder/status"
    set -e
done
"""


@dataclass
class Reading:
    """What the scripts make of a file."""

    accepted: bool
    values: dict[str, str]
    said: str


def mistyped(text: str, dice: random.Random, canary: Path) -> str:
    """A text with a typing error."""
    at = dice.randint(0, len(text))
    more: str = dice.choice([*TYPOS, hostile(dice, canary)])
    return dice.choice([text[:at] + more + text[at:], text[:at] + text[at + 1 :], text + more, more + text, text[:at] + text])


def value(name: str, dice: random.Random, canary: Path) -> str:
    """What may be typed into a field: most often what it takes."""
    good = choices().get(name) or [{**VALID, "path": str(canary.parent)}[kind_names()[name]], *filter(None, [default(name)])]
    text = dice.choice(good)
    wrapped = [f'"{text}"', f"'{text}'", f" {text} ", f"\u00a0{text}\u3000", f"{text}\r\n", f"{name}={text}"]
    other = [MISPLACED, TOKEN, "hf_your_token_here", "/", "https:///", "https://x//"]
    long = [text * 50, "a" * 70_000, text + " " * 200 + text]
    wrong = [mistyped(text, dice, canary) for _ in range(4)]
    odd = [mistyped(wrong[0], dice, canary), hostile(dice, canary), dice.choice(wrapped), dice.choice(other), dice.choice(long)]
    return dice.choice([*[text] * 6, *wrong, *odd])


def default(name: str) -> str:
    """The value of a variable that nobody sets."""
    return next((variable.default for variable in facts().configuration.variables if variable.name == name), "")


def typed(dice: random.Random, canary: Path) -> dict[str, str]:
    """Values of some fields, with a token most of the time."""
    loose = [name for name, kind in kind_names().items() if kind in ("arguments", "list", "options", "url")]
    names = dice.sample(dice.choice([loose, sorted(kind_names())]), dice.choice([1, 2, 4, 8]))
    token = {"HF_TOKEN": TOKEN} if dice.random() < 0.9 else {}
    return {**token, **{name: value(name, dice, canary) for name in names}}


def fill(page: Page, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the page makes of each case."""
    return list(json.loads(page.evaluate(f"cases => JSON.stringify(({FILL})(cases))", cases)))


def readings(folder: Path, texts: list[bytes]) -> list[Reading]:
    """What the scripts make of each text, in one shell."""
    places = [folder / "cases" / f"{number:05}" for number in range(len(texts))]
    for place, text in zip(places, texts, strict=True):
        place.mkdir(parents=True)
        (place / "config.env").write_bytes(text)
    done = run_bash(READ, folder, script="02_train.sbatch")
    assert (done.returncode, done.stderr) == (0, ""), done
    found = []
    for place in places:
        pairs = (place / "values").read_bytes().decode(errors="replace").split("\0")[:-1]
        accepted = (place / "status").read_text() == "0\n"
        found.append(Reading(accepted, dict(pair.split("\t", 1) for pair in pairs), (place / "said").read_text(errors="replace")))
    return found

"""How the scripts read config.env: the environment first, then the file, then the default; nothing in it runs."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from diffueraser_docs.facts import facts
from diffueraser_docs.schema.base import STAGES, VERSIONS
from diffueraser_docs.schema.configuration import Kind
from diffueraser_docs.script_macros import PLAIN
from tests.bash import run_bash

TOKEN = "hf_UnitTestTokenThatIsNeverPrinted"
READ = """
read_values; report_problems
for name in "${!PATTERN[@]}"; do printf '%s\\t%s\\t%s\\0' "$name" "${ORIGIN[$name]}" "${!name}"; done
"""
VALID = f"HF_TOKEN={TOKEN}\nTRAIN_VERSION=prompt\nNUM_GPUS=4\nSTAGE1_LEARNING_RATE=1e-5 # faster\nACCOUNT='team'\n"
ASSIGNMENT = re.compile(
    r"""[ \t\v\f]*(?:export[ \t\v\f]+)?([A-Za-z_][A-Za-z0-9_]*)=(?:"([^"]*)"|'([^']*)'|([^\s"'#]*))[ \t\v\f]*(?:#.*)?"""
)


def kinds() -> dict[str, Kind]:
    """The kind of every variable, by its name."""
    data = facts()
    found = {v.name: data.configuration.kinds[v.kind] for v in data.configuration.variables}
    for parameter in data.training.parameters:
        for stage in STAGES:
            found[f"{stage.upper()}_{parameter.variable}"] = data.configuration.kinds[parameter.kind]
    return found


def read(folder: Path, text: str | bytes, **env: str) -> tuple[int, dict[str, tuple[str, str]], str]:
    """Read a config.env: status, value and origin of each variable, everything printed."""
    (folder / "config.env").write_bytes(text if isinstance(text, bytes) else text.encode())
    result = run_bash(READ, folder, **env)
    values = {}
    for entry in result.stdout.split("\0"):
        if entry.count("\t") >= 2:
            name, origin, value = entry.split("\t", 2)
            values[name] = (value, origin)
    return result.returncode, values, result.stderr


def test_environment_then_file_then_default(tmp_path: Path) -> None:
    status, values, printed = read(tmp_path, VALID, NUM_GPUS="2", STAGE2_NFRAMES="16")
    assert (status, printed) == (0, "")
    assert set(values) == set(facts().variable_names())
    assert values["NUM_GPUS"] == ("2", "environment")
    assert values["STAGE2_NFRAMES"] == ("16", "environment")
    assert values["STAGE1_LEARNING_RATE"] == ("1e-5", "4")
    assert values["ACCOUNT"] == ("team", "5")
    assert values["STAGE1_MIXED_PRECISION"] == ("bf16", "default")
    assert values["PROJECT_HOME"] == (str(tmp_path), "default")


@pytest.mark.parametrize("version", VERSIONS)
def test_defaults_are_the_facts(tmp_path: Path, version: str) -> None:
    _, values, _ = read(tmp_path, f"HF_TOKEN={TOKEN}\nTRAIN_VERSION={version}\n")
    for variable in facts().configuration.variables:
        if variable.name not in ("HF_TOKEN", "TRAIN_VERSION", "PROJECT_HOME"):
            assert values[variable.name] == (variable.default, "default")
    for parameter in facts().training.parameters:
        for stage in STAGES:
            expected = parameter.default(stage, version)  # type: ignore[arg-type]
            assert values[f"{stage.upper()}_{parameter.variable}"] == (expected, "default")


@pytest.fixture(scope="module")
def all_wrong(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str]:
    """A config.env in which no variable is of its kind: all are reported at once."""
    values = {"HF_TOKEN": "~ bad !", "WANDB_API_KEY": "~ bad !"}  # a secret's value would be masked everywhere
    text = "".join(f'{name}="{values.get(name, "~ wrong !")}"\n' for name in facts().variable_names())
    status, _, printed = read(tmp_path_factory.mktemp("wrong"), text)
    return status, printed


@pytest.mark.parametrize("name", facts().variable_names())
def test_every_variable_refuses_what_is_not_of_its_kind(all_wrong: tuple[int, str], name: str) -> None:
    status, printed = all_wrong
    line = facts().variable_names().index(name) + 1
    assert status == 1
    kind = kinds()[name]
    words = f"one of {kind.pattern.replace('|', ', ')}" if set(kind.pattern) <= PLAIN else kind.words.en
    said = rf"ERROR\[.*-(value|invalid)\] config.env line {line}: {name}(=~ wrong !)?: must be {re.escape(words)}"
    assert re.search(said, printed)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ('ACCOUNT="a"', "ACCOUNT", "a"),
        ("export ACCOUNT=a", "ACCOUNT", "a"),
        ("  ACCOUNT=a   # why", "ACCOUNT", "a"),
        ("STAGE1_VALIDATION_PROMPT=\"['a b','c']\"", "STAGE1_VALIDATION_PROMPT", "['a b','c']"),
        ('STAGE1_EXTRA_ARGS="--flag 3 --other"', "STAGE1_EXTRA_ARGS", "--flag 3 --other"),
        ("ACCOUNT=", "ACCOUNT", ""),
        ("\n#comment=1\n   \nACCOUNT=a", "ACCOUNT", "a"),
    ],
)
def test_ways_to_write_a_value(tmp_path: Path, line: str, name: str, value: str) -> None:
    text = f"HF_TOKEN={TOKEN}\nTRAIN_VERSION=prompt\n{line}"  # the last line has no end
    if "VALIDATION" in line:
        text += f"\n{line.replace('PROMPT', 'IMAGE')}\n{line.replace('PROMPT', 'MASK')}"
    status, values, printed = read(tmp_path, text)
    assert (status, printed) == (0, "")
    assert values[name][0] == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (VALID.replace("\n", "\r\n"), r"\[config-crlf\]"),
        (VALID.encode("utf-16"), r"\[config-encoding\]"),
        ("\ufeff" + VALID, r"\[config-space\] config.env line 1"),
        (VALID.replace("NUM_GPUS=4", "NUM_GPUS=4\u00a0# four"), r"\[config-space\] config.env line 3: .* column 11"),
        (VALID.replace(TOKEN, "hf_your_token_here"), r"\[token-invalid\] config.env line 1"),
        (VALID.replace(f"HF_TOKEN={TOKEN}\n", ""), r"\[token-missing\]"),
        (VALID + "NUM_GPUS=2\n", r"\[config-duplicate\] NUM_GPUS is set twice \(lines 3 and 6\)"),
        (VALID + "NUM_GPU=2\n", r"\[config-unknown\] config.env line 6: .*NUM_GPU\. Fix: Similar names: NUM_GPUS"),
        (VALID + "STAGE1_LEARNINGRATE=1\n", r"\[config-unknown\].*STAGE1_LEARNING_RATE"),
        (VALID + "train_version=prompt\n", r"\[config-unknown\].*TRAIN_VERSION"),
        (VALID + "SKIP_REPAIRS=trackers\n", r"\[config-unknown\].*SKIP_PATCHES"),
        (VALID + "EXCLUDE=n7\n", r"\[config-unknown\].*TRAIN_SBATCH_OPTIONS"),
        (VALID + "NCCL_SOCKET_IFNAME=ib0\n", r"\[config-unknown\].*export it"),
        (VALID + "QOS = high\n", r"\[config-syntax\] config.env line 6"),
        (VALID + "QOS=two words\n", r"\[config-syntax\] config.env line 6"),
        (VALID + 'QOS="open\n', r"\[config-syntax\] config.env line 6"),
        (VALID + "QOS=high;\n", r"\[config-syntax\] config.env line 6: \";\" at the end of QOS"),
        (VALID + "PROJECT_HOME=$HOME/x\n", r"\[config-expansion\] config.env line 6: PROJECT_HOME"),
        (VALID + "PROJECT_HOME=relative/x\n", r"\[config-value\] config.env line 6: PROJECT_HOME"),
        (VALID + "PROJECT_HOME='/a b'\n", r"\[config-value\] config.env line 6: PROJECT_HOME"),
        (VALID + "PROJECT_HOME=/a:b\n", r"\[config-value\] config.env line 6: PROJECT_HOME"),
        (VALID + "PROJECT_HOME=/dev/null/x\n", r"\[project-home\] config.env line 6: PROJECT_HOME=/dev/null/x"),
        (VALID + "STAGE1_CHECKPOINTS_TOTAL_LIMIT=1\n", r"\[config-value\].*an integer of 2 or more"),
        (VALID + "TRAIN_TIME=24\n", r"\[config-value\] config.env line 6: TRAIN_TIME"),
        (VALID + "PYPI_MIRROR=https://me:s3c!ret@pypi.corp.example/simple\n", r"\[config-value\] config.env line 6: PYPI_MIRROR"),
    ],
)
def test_read_config_wrong_line(tmp_path: Path, text: str | bytes, reason: str) -> None:
    status, _, printed = read(tmp_path, text)
    assert status == 1
    assert re.search(reason, printed), printed
    assert TOKEN not in printed
    assert "s3c!ret" not in printed


@pytest.mark.parametrize(
    "attack",
    [
        "$(touch canary)",
        "`touch canary`",
        "x;touch canary",
        "x|touch canary",
        "a[$(touch canary)]",
        "$((canary))",
    ],
)
@pytest.mark.parametrize("quote", ["", '"', "'"])
@pytest.mark.parametrize("how", ["file", "environment"])
def test_nothing_in_a_value_runs(tmp_path: Path, attack: str, quote: str, how: str) -> None:
    names = (
        "ACCOUNT",
        "NUM_GPUS",
        "PROJECT_HOME",
        "STAGE1_MAX_TRAIN_STEPS",
        "STAGE2_EXTRA_ARGS",
        "STAGE1_VALIDATION_IMAGE",
    )
    if how == "file":
        status, _, printed = read(
            tmp_path,
            VALID.replace("NUM_GPUS=4\n", "").replace("ACCOUNT='team'\n", "")
            + "".join(f"{n}={quote}{attack}{quote}\n" for n in names),
        )
    else:
        status, _, printed = read(tmp_path, VALID, **dict.fromkeys(names, attack))
    assert status == 1
    assert not (tmp_path / "canary").exists()
    assert "bash:" not in printed


def oracle(text: bytes, known: dict[str, Kind]) -> dict[str, str] | None:
    """What the file says by the rule `NAME=value`, read independently; None where it must be refused."""
    if b"\r" in text or text.startswith(b"\xef\xbb\xbf"):
        return None
    values: dict[str, str] = {}
    for line in text.replace(b"\0", b"").decode("latin-1").split("\n"):
        if not line.strip(" \t\v\f") or line.lstrip(" \t\v\f").startswith("#"):
            continue
        match = ASSIGNMENT.fullmatch(line)
        if not match or match[1] not in known or match[1] in values:
            return None
        value = match[2] or match[3] or match[4] or ""
        if "$" in value or "`" in value or (value and not re.fullmatch(known[match[1]].pattern, value)):
            return None
        values[match[1]] = value
    return values


SLIPS = [*"=\"'#$`;&|<>\\\n\r\t \0\x80é*?[](){}!~0aZ_", "$(touch canary)", "\nHF_TOKEN=", "export "]
EDITS = st.lists(st.tuples(st.integers(0, len(VALID)), st.sampled_from(SLIPS), st.integers(0, 3)), min_size=1, max_size=4)


def spoil(edits: list[tuple[int, str, int]]) -> bytes:
    """A valid config.env after a few slips of the hand."""
    text = VALID
    for place, insert, removed in edits:
        text = text[:place] + insert + text[place + removed :]
    return text.encode()


@pytest.mark.slow
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.one_of(st.binary(max_size=200), st.builds(spoil, EDITS)))
@example(text=b"\xef\xbb\xbf")
@example(text=VALID.encode() + b"STAGE1_EXTRA_ARGS='--a *'\n")
def test_whatever_stands_in_it(tmp_path: Path, text: bytes) -> None:
    """It is read by the rule or refused with reasons; it never runs, never leaks, never ends in a message of bash."""
    status, values, printed = read(tmp_path, text)
    assert status in (0, 1), printed
    assert not (tmp_path / "canary").exists()
    assert "HF_TOKEN=hf_" not in printed
    assert TOKEN not in printed
    for line in printed.splitlines():
        assert not re.search(r"setup_and_train\.sbatch: line|^bash: ", line), printed
    if status == 0:
        wanted = oracle(text, kinds())
        assert wanted is not None, f"accepted: {text!r}"
        for name, value in wanted.items():
            assert not value or values[name][0].encode() == value.encode("latin-1"), name
    else:
        assert "ERROR" in printed

"""How the scripts read config.env: the environment first, then the file, then the default; nothing in it runs."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from diffueraser_docs.facts import facts
from diffueraser_docs.render import ROOT
from diffueraser_docs.schema.base import STAGES, VERSIONS
from diffueraser_docs.schema.configuration import Kind

TOKEN = "hf_UnitTestTokenThatIsNeverPrinted"
LAUNCHER = ROOT / "scripts" / "setup_and_train.sbatch"
READ = """
source "$1"; CONFIG_DIR=$2; read_values; report_problems
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
    result = subprocess.run(
        ["bash", "-c", READ, "bash", str(LAUNCHER), str(folder)],
        cwd=folder, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **env}, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    values = {}
    for entry in result.stdout.decode(errors="replace").split("\0"):
        if entry.count("\t") >= 2:
            name, origin, value = entry.split("\t", 2)
            values[name] = (value, origin)
    return result.returncode, values, result.stderr.decode(errors="replace")


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
    text = "".join(f'{name}="~ wrong !"\n' for name in facts().variable_names())
    status, _, printed = read(tmp_path_factory.mktemp("wrong"), text)
    return status, printed


@pytest.mark.parametrize("name", facts().variable_names())
def test_every_variable_refuses_what_is_not_of_its_kind(all_wrong: tuple[int, str], name: str) -> None:
    status, printed = all_wrong
    line = facts().variable_names().index(name) + 1
    assert status == 1
    words = re.escape(kinds()[name].words.en)
    assert re.search(rf"config.env line {line}: {name}(=~ wrong !:)? (must be|is not) {words}", printed), printed


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
        (VALID.replace("\n", "\r\n"), r"config.env: its lines end as on Windows"),
        ("\ufeff" + VALID, "config.env line 1: begins with a byte order mark"),
        (
            VALID.replace(TOKEN, "hf_your_token_here"),
            "config.env line 1: HF_TOKEN is not a Hugging Face token .* get one at https://",
        ),
        (VALID.replace(f"HF_TOKEN={TOKEN}\n", ""), "HF_TOKEN is empty: .* get one at https://"),
        (VALID + "NUM_GPUS=2\n", "line 6: NUM_GPUS stands on line 3 already"),
        (VALID + "NUM_GPU=2\n", r"line 6: NUM_GPU is unknown; did you mean NUM_GPUS\?"),
        (VALID + "STAGE1_LEARNINGRATE=1\n", r"did you mean STAGE1_LEARNING_RATE\?"),
        (VALID + "train_version=prompt\n", r"did you mean TRAIN_VERSION\?"),
        (VALID + "QOS = high\n", "line 6: is not NAME=value"),
        (VALID + "QOS=two words\n", "line 6: is not NAME=value"),
        (VALID + 'QOS="open\n', "line 6: is not NAME=value"),
        (VALID + "PROJECT_HOME=$HOME/x\n", r"line 6: PROJECT_HOME holds a \$ or `"),
        (VALID + "PROJECT_HOME=relative/x\n", "line 6: PROJECT_HOME=relative/x: must be an absolute path"),
        (
            VALID + "PROJECT_HOME='/a b'\n",
            "line 6: PROJECT_HOME=/a b: must be an absolute path without spaces",
        ),
        (VALID + "PROJECT_HOME=/dev/null/x\n", "PROJECT_HOME=/dev/null/x: this folder cannot be written to"),
        (VALID + "STAGE1_CHECKPOINTS_TOTAL_LIMIT=1\n", "must be a whole number from 2"),
        (
            VALID + "ENV_TOOL=uv\nCONDA_MODULE=conda\n",
            "line 6: ENV_TOOL=uv: uv is asked for, and CONDA_MODULE too",
        ),
        (VALID + 'STAGE1_EXTRA_ARGS="--nframes 3"\n', "--nframes has a variable of its own: STAGE1_NFRAMES"),
    ],
)
def test_what_is_wrong_names_its_line_and_cure(tmp_path: Path, text: str, reason: str) -> None:
    status, _, printed = read(tmp_path, text)
    assert status == 1
    assert re.search(reason, printed), printed
    assert TOKEN not in printed


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

"""config.env files: lines with valid values, then mutated; and what the jobs of one must be."""

import random
import re
from pathlib import Path

from diffueraser_docs.facts import facts
from tests.fuzz import hostile
from tests.replay.site import TOKEN
from tests.unit.test_config_reader import ASSIGNMENT, kinds

VALID = {
    "CPU_PARTITION": ["compute", "none"],
    "GPU_PARTITION": ["gpu", "none"],
    "NUM_GPUS": ["1", "2", "8"],
    "NUM_NODES": ["1", "3", "64"],
    "GPU_TYPE": [""],
    "GPU_REQUEST": ["gres", "gpus-per-node", "none"],
    "CPUS_PER_GPU": ["1", "6", "12"],
    "MEM_PER_GPU": ["32G", "none", "80000M", "1T"],
    "SETUP_MEM": ["8G", "none"],
    "SETUP_CPUS": ["1", "16"],
    "ACCOUNT": ["team", "a.b:c@d+e=f/g"],
    "QOS": ["normal"],
    "RESERVATION": ["course"],
    "SETUP_ACCOUNT": ["cpu-team"],
    "SETUP_QOS": ["cpu"],
    "SETUP_SBATCH_OPTIONS": ["--constraint=cpu"],
    "TRAIN_SBATCH_OPTIONS": ["--constraint=a100 --exclude=n[1-3],n7", "--constraint=a&b|c*2", "--comment=50%"],
    "EXCLUSIVE": ["yes", "no"],
    "SETUP_TIME": ["24:00:00", "2-12", "none", "00:30:00"],
    "TRAIN_TIME": ["1-00:00:00", "none"],
    "MAIL_USER": ["you@example.org"],
    "TRAIN_VERSION": ["prompt", "non-prompt"],
    "STAGE1_LEARNING_RATE": ["5e-06", ".1", "1."],
    "STAGE1_VALIDATION_IMAGE": ["['dataset/DAVIS/JPEGImages/480p/bear','x y']"],
    "STAGE2_EXTRA_ARGS": ["--new_flag 3 --other"],
    "SKIP_PATCHES": ["trackers batch-size"],
    "WANDB_API_KEY": ["wandbexample1"],
    "HF_REVISION": ["main", "a/b"],
    "HF_ENDPOINT": ["https://hub.example/"],
}
"""Values that a cluster with a partition `gpu` of 8 GPUs takes."""
MISPLACED = "hf_" + "exampleexample" * 3
"""A token as long as those of the Hub, on the line of another variable."""
NAMES = [variable for variable in facts().variable_names() if variable not in ("PROJECT_HOME", "STAGE")]
OTHERS = (
    "PATH",
    "IFS",
    "BASH_ENV",
    "LD_PRELOAD",
    "PATTERN",
    "ORIGIN",
    "STATE",
    "num_gpus",
    "TIME",
    "NCCL_DEBUG",
    "_",
    "A1",
    "UID",
)
NUMBERED = re.compile(rb"^[^#]*PROJECT_HOME.*$", re.MULTILINE)


def quoted(value: str, dice: random.Random) -> str:
    """A value as one may write it."""
    if not value or re.search(r"[\s'\"#]", value):
        return f'"{value}"' if "'" in value or dice.random() < 0.5 else f"'{value}'"
    return dice.choice([value, value, f'"{value}"', f"'{value}'"])


def valid(dice: random.Random) -> list[str]:
    """Lines that are accepted, most of the time."""
    lines = [f"HF_TOKEN={TOKEN}"]
    for name in dice.sample(sorted(VALID), dice.randint(0, 8)):
        end = dice.choice(["", "", " ", "   # why", "\t# $(x)"])
        lines.append(f"{dice.choice(['', '', 'export ', '  '])}{name}={quoted(dice.choice(VALID[name]), dice)}{end}")
    lines += dice.choices(["", "# NUM_GPUS=4", "   "], k=dice.randint(0, 3))
    dice.shuffle(lines)
    return lines


def mutate(lines: list[str], dice: random.Random, canary: Path) -> list[str]:
    """One change."""
    at, text = dice.randrange(len(lines)), hostile(dice, canary)
    name = dice.choice(NAMES)
    line = lines[at]
    cut = dice.randint(0, len(line))
    changed = dice.choice(
        [
            *([f"{name}={text}"], [f'{name}="{text}"'], [f"{name}='{text}'"], [line, f"{name}={text}"], [f"{name} = {text}"]),
            *(
                [f"{dice.choice(OTHERS)}={text}"],
                [f"{name}={MISPLACED}"],
                [f"{text}={name}"],
                [line + text],
                [text + line],
                [text],
            ),
            *([line[:cut] + text + line[cut:]], [line[:cut] + line[cut + 1 :]], [line, line], [], [line[:cut], line[cut:]]),
            *([line.lower()], [line.replace("=", ":")], [line.replace("=", "==")], [line + ";"], [line + ","], [line + "\r"]),
            *([f"PROJECT_HOME={canary.parent}/data{text[:60]}"], ["HF_TOKEN=hf_your_token_here"], [f"STAGE={text}"]),
        ]
    )
    return lines[:at] + changed + lines[at + 1 :]


def config(dice: random.Random, canary: Path) -> bytes:
    """One file. PROJECT_HOME never leads elsewhere: what is named there may be written."""
    lines = valid(dice)
    for _ in range(dice.choice([0, 0, 1, 1, 2, 4, 9])):
        lines = mutate(lines or [""], dice, canary)
    data = "\n".join(lines).encode("utf-8", "surrogateescape") + dice.choice([b"\n", b"\n", b""])
    for _ in range(dice.choice([0, 0, 0, 0, 1, 3])):
        cut = dice.randint(0, len(data))
        data = (
            data[:cut] + dice.choice([b"\xff", b"\x80", b"\0", b"\xef\xbb\xbf", b"\xc3", b"\x01", b"'", b'"', b"\n"]) + data[cut:]
        )
    below = str(canary.parent / "data").encode()
    return NUMBERED.sub(lambda m: m[0] if re.search(rb"PROJECT_HOME=" + re.escape(below) + rb"(?!.*\.\.)", m[0]) else b"#", data)


def read(data: bytes) -> dict[str, str]:
    """What a file says, by the rules that its head states; ValueError where it breaks one."""
    values: dict[str, str] = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if re.fullmatch(r"[ \t\v\f]*(#.*)?", line, re.DOTALL):
            continue
        match = ASSIGNMENT.fullmatch(line)
        if not match or match[1] in values or match[1] not in kinds():
            raise ValueError(line)
        value = next((group for group in match.groups()[1:] if group is not None), "")
        if value and not re.fullmatch(kinds()[match[1]].pattern, value) and match[1] != "HF_TOKEN":
            raise ValueError(line)
        values[match[1]] = value
    return values


def requests(values: dict[str, str]) -> tuple[set[str], set[str]]:
    """The options of both jobs that these values ask for."""
    default = {variable.name: variable.default for variable in facts().configuration.variables}
    of = {**default, **{name: value for name, value in values.items() if value}}
    gpus = int(of["NUM_GPUS"])
    memory = of["MEM_PER_GPU"]
    train_memory = memory if memory == "none" else f"{int(memory[:-1]) * gpus}{memory[-1]}"
    kind = f"{of['GPU_TYPE']}:{gpus}" if of["GPU_TYPE"] else str(gpus)
    asked = {"gres": [f"--gres=gpu:{kind}"], "gpus-per-node": [f"--gpus-per-node={kind}"], "none": []}[of["GPU_REQUEST"]]
    both = [f"--reservation={of['RESERVATION']}", f"--mail-user={of['MAIL_USER']}"]
    setup = [f"--partition={of['CPU_PARTITION']}", f"--time={of['SETUP_TIME']}", f"--cpus-per-task={of['SETUP_CPUS']}"]
    setup += [
        f"--mem={of['SETUP_MEM']}",
        f"--account={of['SETUP_ACCOUNT'] or of['ACCOUNT']}",
        f"--qos={of['SETUP_QOS'] or of['QOS']}",
    ]
    setup += of["SETUP_SBATCH_OPTIONS"].split()
    train = [
        f"--partition={of['GPU_PARTITION']}",
        f"--time={of['TRAIN_TIME']}",
        f"--nodes={of['NUM_NODES']}",
        f"--mem={train_memory}",
    ]
    train += [f"--cpus-per-task={int(of['CPUS_PER_GPU']) * gpus}", f"--account={of['ACCOUNT']}", f"--qos={of['QOS']}", *asked]
    train += [*of["TRAIN_SBATCH_OPTIONS"].split(), *(["--exclusive"] if of["EXCLUSIVE"] == "yes" else [])]
    if of["MAIL_USER"]:
        setup.append("--mail-type=FAIL")
        train.append("--mail-type=END,FAIL")
    left_out = re.compile(r"--[a-z-]+=(none)?")
    return (
        {each for each in setup + both if not left_out.fullmatch(each)},
        {each for each in train + both if not left_out.fullmatch(each)},
    )

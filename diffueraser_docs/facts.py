"""Loads and validates the facts: everything the scripts and pages say that could change.

Facts are YAML files in ``facts/``. A wrong one is reported as *file: key: reason*.
"""

import re
from collections.abc import Iterable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

FACTS = Path(__file__).parent / "facts"
# The same loader in C, where PyYAML was built with it: every command reads all facts.
LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Version = Literal["non-prompt", "prompt"]
Stage = Literal["stage1", "stage2"]
STAGES: tuple[Stage, ...] = ("stage1", "stage2")
VERSIONS: tuple[Version, ...] = ("non-prompt", "prompt")
LANGUAGES = ("en", "zh")


class FactError(Exception):
    """A fact is wrong; the message names file, key and reason."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


DateOrNone = date | None
Pattern = Annotated[str, AfterValidator(_pattern)]


class Fact(BaseModel):
    """Base of all facts: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Fact):
    """The same sentence in both languages."""

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


class Kind(Fact):
    """What a value may look like: one pattern for the scripts and for the config.env builder."""

    pattern: Pattern
    words: Text
    """Completes the sentence "NAME must be …"."""


class Variable(Fact):
    """One variable of config.env."""

    name: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    group: str
    kind: str
    default: str = ""
    """Value when neither the environment nor config.env sets it; empty: unset."""
    shown: str | None = None
    """What config.env shows instead of the default (a placeholder or an example)."""
    meaning: Text
    """One short line, also the comment in config.env."""
    rare: bool = False
    """Stands on the configuration page, not in config.env."""


class Group(Fact):
    """A heading of config.env and of the configuration page."""

    name: str
    title: Text


def check_entries(groups: Iterable[Group], entries: Iterable[tuple[str, str]]) -> None:
    """Raise ValueError when an entry, given as its name and its group, stands twice or in no group that is known."""
    known = {group.name for group in groups}
    entries = list(entries)
    check_once(name for name, _ in entries)
    for name, group in entries:
        if group not in known:
            raise ValueError(f"{name}: unknown group {group!r}")


def check_once(names: Iterable[str]) -> None:
    """Raise ValueError when a name stands twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{name} stands twice")
        seen.add(name)


class Configuration(Fact):
    """The variables of config.env."""

    source: str
    kinds: dict[str, Kind]
    groups: list[Group]
    variables: list[Variable]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_entries(self.groups, [(variable.name, variable.group) for variable in self.variables])
        for variable in self.variables:
            check_default(self.kinds, variable.name, variable.kind, variable.default)
        return self


def check_default(kinds: dict[str, Kind], name: str, kind: str, default: str) -> None:
    """Raise ValueError when a default is not of its own kind."""
    if kind not in kinds:
        raise ValueError(f"{name}: unknown kind {kind!r}")
    if default and not re.fullmatch(kinds[kind].pattern, default):
        raise ValueError(f"{name}: default {default!r} is not of kind {kind!r}")


class Parameter(Fact):
    """One flag of the trainers, settable per stage as STAGE1_<FLAG> and STAGE2_<FLAG>."""

    flag: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    group: str
    kind: str
    stage1: str | dict[Version, str] = ""
    """Default of stage 1; empty: the flag is not passed and the trainer's own default holds."""
    stage2: str | dict[Version, str] = ""
    trainer_default: str = ""
    """What the trainer does when the flag is not passed, for the guide."""
    common: bool = False
    """Shown as a line of its own in config.env."""
    switch: bool = False
    """A flag without value: yes passes it, no leaves it out."""
    meaning: Text
    change: Text
    """When to change it, and what it costs in memory and speed."""
    memory: str = "none"
    """Effect on GPU memory: a name of the table `effects`."""
    speed: str = "none"
    """Effect on speed: a name of the table `effects`."""
    source: str | None = None

    @property
    def variable(self) -> str:
        """Name of the variable without its stage, for example LEARNING_RATE."""
        return self.flag.upper()

    def default(self, stage: Stage, version: Version) -> str:
        """Default of a stage in a version; empty when the flag is not passed."""
        value = self.stage1 if stage == "stage1" else self.stage2
        return value if isinstance(value, str) else value[version]


class FixedFlag(Fact):
    """A flag that the scripts own because it decides where files lie."""

    flag: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    stage1: str = ""
    stage2: str = ""
    versions: list[Version] = ["non-prompt", "prompt"]
    meaning: Text


class MemoryNeed(Fact):
    """GPU memory in GiB without gradient checkpointing, as nvidia-smi shows it."""

    constant: float
    per_frame: float
    """For each frame of each clip of a batch."""
    several_gpus: float
    """What DDP adds."""
    validation: float


class Training(Fact):
    """Everything the trainers accept."""

    source: str
    groups: list[Group]
    parameters: list[Parameter]
    fixed: list[FixedFlag]
    memory: dict[Stage, MemoryNeed]
    """GPU memory that a stage needs without gradient checkpointing."""
    seconds_per_1000_steps: dict[Stage, int]
    """With the defaults, on one H100."""
    useful_workers: dict[Stage, int]
    """Most data-loader workers per GPU that make a stage faster."""
    effects: dict[str, Text]
    """What a parameter does to GPU memory or speed, in words."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_entries(self.groups, [(parameter.flag, parameter.group) for parameter in self.parameters])
        check_once([parameter.flag for parameter in self.parameters] + [fixed.flag for fixed in self.fixed])
        for parameter in self.parameters:
            for effect in (parameter.memory, parameter.speed):
                if effect not in self.effects:
                    raise ValueError(f"{parameter.flag}: unknown effect {effect!r}")
        return self


class Archive(Fact):
    """An archive of a repository, where it unpacks, and what must be in it."""

    file: str
    into: str
    """Folder below PROJECT_HOME."""
    members: list[str] = Field(min_length=1)
    """Paths that must exist below `into` afterwards."""


class Content(Fact):
    """A file or folder of a repository."""

    path: str
    """A trailing slash marks a folder, * a name pattern."""
    count: int | None = None
    """How many folders match the pattern."""
    size: str | None = None
    size_bytes: int | None = None
    """Size of the file, for verify-hub."""
    members: list[str] = []
    """What each of the folders must hold; a trailing slash marks a folder."""
    note: Text | None = None
    link: str | None = None
    """Where setup links the folder to, below the folder of non-prompt."""


class Verified(Fact):
    """Result of the last verify-hub run against the real Hub."""

    date: date
    commit: str
    files: int
    size_bytes: int


class Repository(Fact):
    """One Hugging Face repository."""

    name: str
    role: Literal["code", "prompt-code", "weights", "dpo", "extra"]
    """What setup does with it: each of the first four once, any number of extra ones."""
    size: str
    size_bytes: int
    """Size of the download, rounded up, for the check of free space."""
    unpacked_bytes: int
    """What it takes on disk besides the download once unpacked."""
    used_by: Text
    contents: list[Content]
    archives: list[Archive] = []
    verified: Verified | None = None


class Hub(Fact):
    """The repositories on the Hugging Face Hub."""

    source: str
    organisation: str
    repo_type: Literal["dataset"]
    endpoint: str
    token_page: str
    large_file_bytes: int
    """Larger files are downloaded by curl, which resumes them."""
    pointer_line: str
    """First line of a Git-LFS pointer file."""
    repositories: list[Repository]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        roles: list[str] = [repository.role for repository in self.repositories]
        for role in ("code", "prompt-code", "weights", "dpo"):
            if roles.count(role) != 1:
                raise ValueError(f"repositories: {roles.count(role)} play the role {role!r}, exactly one must")
        return self

    @property
    def unpacked(self) -> float:
        """GB (10^9 bytes) that unpacked archives take beside the downloads."""
        return round(sum(repository.unpacked_bytes for repository in self.repositories) / 1e9, 1)

    def by_role(self, role: str) -> Repository:
        """The repository that plays a role."""
        return next(repository for repository in self.repositories if repository.role == role)


class Rewrite(Fact):
    """A hard-coded prefix of upstream's code and what stands there instead."""

    prefix: str
    target: str


class Edit(Fact):
    """A sed script, and the stages whose trainer it changes."""

    stages: list[Literal[1, 2]]
    script: list[str]
    """Lines of one script of `sed -E`."""


class Patch(Fact):
    """A change to upstream's code."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    edits: list[Edit]
    meaning: Text
    without: Text
    """What happens when it is skipped."""


class Patches(Fact):
    """The changes to upstream's code."""

    patches: list[Patch]


class Cause(Fact):
    """What a tool prints when it fails, and the id and fix that the scripts give it."""

    id: str
    pattern: Pattern
    fix: str


class Refusal(Fact):
    """What Slurm prints when it refuses a job."""

    id: str
    pattern: Pattern
    setup: str
    training: str


class Causes(Fact):
    """Failures of tools and of Slurm that the scripts know; the first row that matches decides."""

    causes: list[Cause]
    refusals: list[Refusal]


class Tool(Fact):
    """A program that setup installs for itself."""

    version: str
    sha256: list[str]
    locked: dict[str, str] = {}
    """Versions of what it needs."""


class Environment(Fact):
    """The training environment and the tools."""

    name: str
    python: str
    python_range: str
    """Pythons that the pins allow."""
    tools_python: str
    imports: list[str]
    """Modules that trainers and converters import; the environment is ready when all succeed."""
    requirements: dict[str, str]
    """What provides the imports."""
    locked: dict[str, str]
    """What these need."""
    tools: dict[str, Tool]


class Disk(Fact):
    """Space beside the downloads, in GB (10^9 bytes)."""

    environment: float = Field(gt=0)
    training: float = Field(gt=0)


class Project(Fact):
    """Names of folders, and what is done to upstream's code."""

    source: str
    downloads: str
    roots: dict[Version, str]
    environments: str
    state: str
    logs: str
    converted: str
    disk: Disk
    rewrites: list[Rewrite]
    flow: list["FlowStep"]
    tree: list["TreeEntry"]


class FlowStep(Fact):
    """One box of the diagram of what happens; each follows the one before it unless `after` names another."""

    id: str = Field(pattern=r"^[a-z0-9]+$")
    place: Literal["login", "cpu", "gpu", "disk"]
    """Where it runs: a login node, a job without GPUs, a job with GPUs; disk: not a step but its result."""
    title: Text
    note: Text
    after: str | None = None


class TreeEntry(Fact):
    """One line of the directory tree."""

    path: str
    """Below PROJECT_HOME; a trailing slash marks a folder."""
    note: Text | None = None
    versions: list[Version] = ["non-prompt", "prompt"]


class Setting(Fact):
    """One measured way to train a stage."""

    stage: Stage
    nframes: int
    batch: int
    checkpointing: bool
    upstream: bool = False
    """Upstream's code as it is, before the repairs."""
    cached: bool = False
    """The data came from memory: the loader's share is not in the speed."""
    workers: int | None = None
    precision: Literal["fp16", "bf16"] = "fp16"
    steps_per_second: float | None = Field(default=None, gt=0)
    frames_per_second: float | None = None
    """Where rounding makes it another number than steps × frames × batch."""
    memory: tuple[float, float, float] | None = None
    """GiB allocated by torch, reserved by torch, and shown by nvidia-smi; None: it ran out of memory."""


class Loading(Fact):
    """Samples per second that one and two data-loader workers deliver."""

    source: str
    nframes: int
    workers: tuple[float, float]


class Saving(Fact):
    """What is done between the steps of a stage, in seconds, and what it leaves on disk."""

    checkpoint_gb: float
    save_seconds: float
    load_seconds: float
    convert_seconds: float
    converted_gib: tuple[float, float]
    """unet_main and brushnet."""
    validation_seconds: float


class Measured(Fact):
    """The measured figures, with what they hold for."""

    source: str
    machine: Text
    caveats: list[Text]
    findings: list[Text]
    gpu_sizes: list[int]
    """GPU memory in GB that the builder offers."""
    trained_millions: dict[Stage, float]
    validation_peak: dict[Stage, float]
    """GiB that nvidia-smi showed during validation, gradient checkpointing off."""
    resolution: int
    settings: list[Setting]
    cached_fp16_steps_per_second: float
    """Stage 1 as in the second setting, but with data from memory: what the other cached ones compare with."""
    loading: list[Loading]
    saving: dict[Stage, Saving]


class Recipe(Fact):
    """An answer to "what do I set when …", as a part of config.env."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: Text
    text: Text
    """May hold placeholders for the estimates of its lines."""
    gpu_gib: int
    lines: list[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*=\S+$")]] = Field(min_length=1)

    def values(self) -> dict[str, str]:
        """The lines as names and values."""
        return dict(line.split("=", 1) for line in self.lines)


class Guide(Fact):
    """Recipes of the training-parameter guide."""

    source: str
    recipes: list[Recipe]


class Message(Fact):
    """What a script may print when something is wrong."""

    text: str = Field(pattern=r"[A-Za-z]{3}")
    """Its constant words; … stands for what changes."""
    shown: str | None = None
    """What the page shows instead, where the constant words alone say too little."""
    group: str
    cause: Text
    cure: Text
    common: bool = False
    """Frequent enough for the README."""
    trainer: bool = False
    """Printed by the trainer or Slurm, not by the scripts."""


class Messages(Fact):
    """Every error message, for the troubleshooting page."""

    source: str
    groups: list[Group]
    messages: list[Message]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_entries(self.groups, [(message.text, message.group) for message in self.messages])
        return self


class Words(Fact):
    """Words of tables, figures and the builder."""

    source: str
    words: dict[str, Text]


class Faults(Fact):
    """Names of the faults that the tests cause, of the steps in which they do, and of the ways it ends."""

    source: str
    faults: dict[str, Text]
    steps: dict[str, Text]
    outcomes: dict[str, Text]


class FaultResult(Fact):
    """A fault in a step: what became of it in the last run of all its cases."""

    fault: str
    step: str
    outcome: str
    cases: int = Field(ge=1)
    seconds: int
    """The longest case, from the first command to the finished job, fault included."""
    repeated_bytes: int | None = None
    """Most bytes that were downloaded twice in one case; none where nothing is downloaded."""
    repeated_steps: int | None = None
    """Most training steps that were done twice in one case."""


class Reliability(Fact):
    """The fault matrix, written by `make reliability`."""

    source: str
    date: DateOrNone = None
    cores: int | None = None
    results: list[FaultResult]


class Goal(Fact):
    """What `make bench` measures, and how much it may be."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    group: str
    what: Text
    unit: Literal["×", "s", "%", "files", "bytes", "GB/s"]
    at_most: float | None = None
    at_least: float | None = None
    """Neither: a figure without a goal, by which the others are read."""
    figures: str
    """Unit of the single figures that the measured value is made of."""

    def met(self, value: float) -> bool | None:
        """Whether a value, rounded as it is shown, meets the goal; None where there is none."""
        shown = round(value, 2)
        if self.at_most is not None:
            return shown <= self.at_most
        return None if self.at_least is None else shown >= self.at_least


class Benchmarks(Fact):
    """What `make bench` measures."""

    source: str
    groups: list[Group]
    goals: list[Goal]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_entries(self.groups, [(goal.name, goal.group) for goal in self.goals])
        return self


class Machine(Fact):
    """Where something was measured."""

    cpu: str
    cores: int
    memory_gb: float
    """10^9 bytes."""
    disk: str
    """File system and kind of the disk."""
    load: float | None = None
    """Load average of the last minute before the run began; well above 0 something else ran. None: not recorded."""
    versions: dict[str, str]


class Measurement(Fact):
    """A value and the figures of the single rounds."""

    value: float
    ours: list[float]
    reference: list[float] = []


class Measurements(Fact):
    """What the last `make bench` found; written by it."""

    source: str
    date: date
    seconds: int
    """How long all measurements took."""
    machine: Machine
    data_gb: float
    """Size of the data on which setup was measured, in 10^9 bytes."""
    small_files: int
    """Files of its archive of many files."""
    pairs_files: int
    """Files of DPO-dataset as it was measured."""
    measured: dict[str, Measurement]


class Facts(Fact):
    """All facts, one attribute per file in ``facts/``."""

    configuration: Configuration
    training: Training
    hub: Hub
    environment: Environment
    patches: Patches
    causes: Causes
    project: Project
    measured: Measured
    guide: Guide
    messages: Messages
    words: Words
    faults: Faults
    reliability: Reliability
    benchmarks: Benchmarks
    measurements: Measurements

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for result in self.reliability.results:
            for key, texts in (
                (result.fault, self.faults.faults),
                (result.step, self.faults.steps),
                (result.outcome, self.faults.outcomes),
            ):
                if key not in texts:
                    raise ValueError(f"reliability.yaml: {key!r} is not in faults.yaml: run make reliability")
        if unknown := sorted(set(self.measurements.measured) - {goal.name for goal in self.benchmarks.goals}):
            raise ValueError(f"measurements.yaml: {unknown[0]} is measured, but no goal of benchmarks.yaml")
        names = {variable.name for variable in self.configuration.variables}
        for parameter in self.training.parameters:
            for stage in STAGES:
                if f"{stage.upper()}_{parameter.variable}" in names:
                    raise ValueError(f"training.yaml: {parameter.flag}: the variable stands in configuration.yaml too")
                for version in VERSIONS:
                    default = parameter.default(stage, version)
                    check_default(self.configuration.kinds, f"training.yaml: {parameter.flag}", parameter.kind, default)
        return self


T = TypeVar("T", bound=Fact)


def _load(model: type[T], path: Path) -> T:
    try:
        return model.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER))  # noqa: S506  # both are safe loaders
    except FileNotFoundError:
        raise FactError(f"{path.name}: the file is missing") from None
    except yaml.YAMLError as error:
        raise FactError(f"{path.name}: {str(error).replace(chr(10), ' ')}") from None
    except ValidationError as error:
        lines = [
            f"{path.name}: {'.'.join(map(str, problem['loc'])) or 'file'}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        ]
        raise FactError("\n".join(lines)) from None


def load_facts(folder: Path = FACTS) -> Facts:
    """Load all facts of a folder.

    Raises:
        FactError: one line per wrong fact, with file, key and reason.
    """
    parts: dict[str, Fact] = {}
    problems: list[str] = []
    for name, field in Facts.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        try:
            parts[name] = _load(model, folder / f"{name}.yaml")
        except FactError as error:
            problems.append(str(error))
    if problems:
        raise FactError("\n".join(problems))
    try:
        return Facts(**parts)
    except ValidationError as error:
        raise FactError("\n".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())) from None


@cache
def facts() -> Facts:
    """The facts of this package, loaded once."""
    return load_facts()

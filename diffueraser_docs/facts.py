"""Loads the facts: everything the scripts and pages say that could change.

Facts are YAML files in ``facts/``; what each may hold is in ``schema/``. A wrong one is reported as *file: key: reason*.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import ValidationError, model_validator

from .schema.base import STAGES, VERSIONS, Model
from .schema.causes import Causes
from .schema.configuration import Configuration
from .schema.environment import Environment
from .schema.guide import Guide
from .schema.hub import Hub
from .schema.measured import Measured
from .schema.messages import Messages
from .schema.patches import Patches
from .schema.project import Project
from .schema.training import Training
from .schema.words import Words

FACTS = Path(__file__).parent / "facts"
# The same loader in C, where PyYAML was built with it: every command reads all facts.
LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class FactError(Exception):
    """A fact is wrong; the message names file, key and reason."""


class Facts(Model):
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

    @model_validator(mode="after")
    def _check_parameters(self) -> Self:
        self.configuration.name_patches([patch.name for patch in self.patches.patches])
        names = {variable.name for variable in self.configuration.variables}
        for parameter in self.training.parameters:
            for stage in STAGES:
                if parameter.name(stage) in names:
                    raise ValueError(f"training.yaml: {parameter.flag}: the variable stands in configuration.yaml too")
                for version in VERSIONS:
                    default = parameter.default(stage, version)
                    self.configuration.check_default(f"training.yaml: {parameter.flag}", parameter.kind, default)
        return self

    @model_validator(mode="after")
    def _check_guide(self) -> Self:
        kinds = {variable.name: variable.kind for variable in self.configuration.variables}
        kinds |= {parameter.name(stage): parameter.kind for parameter in self.training.parameters for stage in STAGES}
        lines = [(recipe.name, name, value) for recipe in self.guide.recipes for name, value in recipe.values().items()]
        for where, name, value in [*lines, *(("cluster", name, "") for need in self.guide.cluster for name in need.set)]:
            if name not in kinds:
                raise ValueError(f"guide.yaml: {where}: {name} is no variable of config.env")
            self.configuration.check_default(f"guide.yaml: {where}", kinds[name], value, name)
        return self

    def variable_names(self) -> list[str]:
        """Every variable of config.env, training parameters of both stages included."""
        names = [variable.name for variable in self.configuration.variables]
        return names + [parameter.name(stage) for parameter in self.training.parameters for stage in STAGES]

    def disk_gigabytes(self, *, dpo: bool = True) -> int:
        """GB on disk when all is done with the defaults, with or without DPO-dataset."""
        kept = {stage: self.training.number("checkpoints_total_limit", stage) for stage in STAGES}
        training = sum(self.measured.saving[stage].disk_gigabytes(kept[stage]) for stage in STAGES)
        return round(self.hub.download_gigabytes(dpo=dpo) + self.hub.unpacked + self.project.environment_gb + training)


def load_facts(folder: Path = FACTS) -> Facts:
    """Load all facts of a folder.

    Raises:
        FactError: one line per wrong fact, with file, key and reason.
    """
    contents, problems = {}, []
    for name in Facts.model_fields:
        path = folder / f"{name}.yaml"
        try:
            contents[name] = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506  # both are safe loaders
        except FileNotFoundError:
            problems.append(f"{path.name}: the file is missing")
        except yaml.MarkedYAMLError as error:
            line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
            reason = f"{error.context or 'this is no YAML'}: {error.problem}"
            problems.append(f"{path.name}: {line}{reason}: a text with ': ' or ' #' needs quotes, and a list its indentation")
        except yaml.YAMLError as error:
            problems.append(f"{path.name}: {' '.join(str(error).splitlines())}")
    try:
        return Facts.model_validate(contents)
    except ValidationError as error:
        for problem in error.errors():
            file, *keys = problem["loc"] or [""]
            reason = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "string_type" and isinstance(problem["input"], int | float):
                reason += f": write '{str(problem['input']).lower()}', with the quotes"
            if not file:  # of several files: it names them
                problems.append(reason)
            elif file in contents:
                place = _place(contents[str(file)], keys)
                problems.append(f"{file}.yaml: {place}: {reason}" if place else f"{file}.yaml: {reason}")
        firsts = {line.rsplit(": Input should be", 1)[0]: line for line in reversed(problems)}  # of one value, its first
        raise FactError("\n".join(reversed(firsts.values()))) from None


def _place(content: Any, keys: Sequence[int | str]) -> str:
    """The keys on the way to a value; an entry of a list by its name where it has one."""
    words = []
    for key in keys:
        if not isinstance(content, dict | list):
            break  # what follows is a name that pydantic gives to an alternative
        content = (dict(enumerate(content)) if isinstance(content, list) else content).get(key)
        entry = content if isinstance(key, int) and isinstance(content, dict) else {}
        words.append(str(next((entry[name] for name in ("name", "flag", "id") if name in entry), key)))
    return ".".join(words)


@cache
def facts() -> Facts:
    """The facts of this package, loaded once."""
    return load_facts()

"""Loads the facts: everything the scripts and pages say that could change.

Facts are YAML files in ``facts/``; what each may hold is in ``schema/``. A wrong one is reported as *file: key: reason*.
"""

from functools import cache
from pathlib import Path
from typing import Self

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
        except yaml.YAMLError as error:
            problems.append(f"{path.name}: {' '.join(str(error).splitlines())}")
    try:
        return Facts.model_validate(contents)
    except ValidationError as error:
        for problem in error.errors():
            file, *keys = problem["loc"] or [""]
            reason = problem["msg"].removeprefix("Value error, ")
            if not file:  # of several files: it names them
                problems.append(reason)
            elif file in contents:
                problems.append(f"{file}.yaml: {'.'.join(map(str, keys)) or 'file'}: {reason}")
        raise FactError("\n".join(problems)) from None


@cache
def facts() -> Facts:
    """The facts of this package, loaded once."""
    return load_facts()

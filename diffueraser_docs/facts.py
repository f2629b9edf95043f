"""Loads the facts: everything the scripts and pages say that could change.

Facts are YAML files in ``facts/``; what each may hold is in ``schema/``. A wrong one is reported as *file: key: reason*.
"""

from functools import cache
from pathlib import Path
from typing import Self, TypeVar

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
T = TypeVar("T", bound=Model)


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
        names = {variable.name for variable in self.configuration.variables}
        for parameter in self.training.parameters:
            for stage in STAGES:
                if f"{stage.upper()}_{parameter.variable}" in names:
                    raise ValueError(f"training.yaml: {parameter.flag}: the variable stands in configuration.yaml too")
                for version in VERSIONS:
                    default = parameter.default(stage, version)
                    self.configuration.check_default(f"training.yaml: {parameter.flag}", parameter.kind, default)
        return self

    def variable_names(self) -> list[str]:
        """Every variable of config.env, training parameters of both stages included."""
        names = [variable.name for variable in self.configuration.variables]
        for parameter in self.training.parameters:
            names += [f"{stage.upper()}_{parameter.variable}" for stage in STAGES]
        return names

    def disk_gigabytes(self, *, dpo: bool = True) -> int:
        """GB on disk when all is done with the defaults, with or without DPO-dataset."""
        kept = self.training.parameter("checkpoints_total_limit")
        training = sum(self.measured.saving[stage].disk_gigabytes(int(kept.default(stage, "prompt"))) for stage in STAGES)
        return round(self.hub.download_gigabytes(dpo=dpo) + self.hub.unpacked + self.project.environment_gb + training)


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
    parts: dict[str, Model] = {}
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
    configuration, patches = parts["configuration"], parts["patches"]
    assert isinstance(configuration, Configuration)
    assert isinstance(patches, Patches)
    parts["configuration"] = configuration.with_patches([patch.name for patch in patches.patches])
    try:
        return Facts(**parts)
    except ValidationError as error:
        raise FactError("\n".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())) from None


@cache
def facts() -> Facts:
    """The facts of this package, loaded once."""
    return load_facts()

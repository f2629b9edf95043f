"""``environment.yaml``: the training environment and the tools of setup."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from .base import Model

Checksum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Tool(Model):
    """A program that setup installs for itself."""

    version: str
    sha256: list[Checksum] = Field(min_length=1)
    """Checksums of its wheels, one per platform."""
    locked: dict[str, str] = {}
    """Version of everything that it depends on."""

    def __str__(self) -> str:
        """The version."""
        return self.version


class Environment(Model):
    """The training environment and the tools."""

    name: str
    python: str
    python_range: str
    """Versions of Python for which the lock resolves."""
    tools_python: str
    imports: list[str]
    """Modules that trainers and converters import; the environment is ready when all succeed."""
    requirements: dict[str, str]
    """Packages that trainers and converters need, at the versions that upstream pins."""
    locked: dict[str, str]
    """Versions of all packages of the environment; written by `make lock`."""
    needed: list[str]
    """Distributions that provide the imports."""
    excluded: list[str]
    """Distributions of upstream's list that cannot be installed or clash."""
    substitutes: dict[str, str]
    pins: dict[str, str]
    """Upstream's pins of the needed distributions, used when environment.yml lacks one."""
    tools: dict[str, Tool]

    @model_validator(mode="after")
    def _check_lock(self) -> Self:
        for name, version in self.requirements.items():
            if self.locked.get(name) != version:
                raise ValueError(f"locked.{name}: {self.locked.get(name)} instead of {version}: run make lock")
        return self

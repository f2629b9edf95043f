"""``environment.yaml``: the training environment and the tools of setup."""

from typing import Annotated

from pydantic import Field

from .base import Model

Checksum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Tool(Model):
    """A program that setup installs for itself."""

    version: str
    sha256: list[Checksum] = Field(min_length=1)
    """Checksums of its wheels, one per platform."""
    locked: dict[str, str] = {}
    """Version of everything that it depends on."""


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
    """Versions of what these need; written by `make lock`."""
    tools: dict[str, Tool]

"""Renders scripts, READMEs and the macros of the site from facts and templates."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .facts import STAGES, Facts, Group, Parameter, Repository, Stage, Variable, Version, facts
from .macros import join_chinese_lines, page_macros

PACKAGE = Path(__file__).parent
TEMPLATES = PACKAGE / "templates"
ROOT = PACKAGE.parent
SCRIPTS = ("config.env", "01_setup.sbatch", "02_train.sbatch", "setup_and_train.sbatch")
READMES = {"en": "README.md", "zh": "README.zh-CN.md"}


@dataclass(frozen=True)
class Rendered:
    """One generated file."""

    path: str
    """Relative to the project's root."""
    text: str
    executable: bool = False


def shell_quote(text: str) -> str:
    """Quote a value for bash, leaving plain words as they are."""
    plain = text and all(character.isalnum() or character in "-_./:=+@%," for character in text)
    return text if plain else "'" + text.replace("'", "'\\''") + "'"


class ScriptMacros:
    """What the script templates may call; each returns lines of bash made from the facts."""

    def __init__(self, data: Facts) -> None:
        """Keep the facts."""
        self.facts = data

    def default(self, name: str) -> str:
        """Default of a variable of config.env."""
        return next(v.default for v in self.facts.configuration.variables if v.name == name)

    def _entries(self) -> dict[str, list[str]]:
        entries: dict[str, list[str]] = {}
        for variable in self.facts.configuration.variables:
            entries.setdefault(variable.kind, []).append(f"{variable.name}={shell_quote(variable.default)}")
        for parameter in self.facts.training.parameters:
            for stage in STAGES:
                plain, prompt = parameter.default(stage, "non-prompt"), parameter.default(stage, "prompt")
                value = plain if plain == prompt else f"{plain}|{prompt}"
                name = f"{stage.upper()}_{parameter.variable}"
                entries.setdefault(parameter.kind, []).append(f"{name}={shell_quote(value) if value else ''}")
        return entries

    def kind_lines(self) -> str:
        """The calls of `kind` that declare every variable, wrapped at 120 columns."""
        lines: list[str] = []
        for kind, entries in self._entries().items():
            fact = self.facts.configuration.kinds[kind]
            line = f"    kind {shell_quote(fact.pattern)} {shell_quote(fact.words.en)}"
            for entry in entries:
                clean = entry[:-2] if entry.endswith("=''") else entry
                if len(line) + len(clean) > 118:
                    lines.append(line + " \\")
                    line = "       "
                line += " " + clean
            lines.append(line)
        return "\n".join(lines)

    def _config_line(self, name: str, value: str, comment: str, commented: bool = True) -> str:
        quoted = f'"{value}"' if " " in value and not value.startswith('"') else value
        return f"{'# ' if commented else ''}{name}={quoted}".ljust(44) + f" # {comment}"

    def config_lines(self, group: str) -> str:
        """The lines of config.env of one group."""
        return "\n".join(
            self._config_line(v.name, v.shown or v.default, v.meaning.en, commented=group != "edits")
            for v in self.facts.configuration.variables
            if v.group == group and not v.rare
        )

    def parameter_lines(self) -> str:
        """The lines of config.env of the common training parameters."""
        lines = []
        for parameter in self.facts.training.parameters:
            for stage in STAGES:
                value, with_captions = (parameter.default(stage, version) for version in ("non-prompt", "prompt"))
                if parameter.common:
                    name = f"{stage.upper()}_{parameter.variable}"
                    other = "" if with_captions == value else f"; prompt: {with_captions}"
                    lines.append(self._config_line(name, value, parameter.meaning.en + other))
        return "\n".join(lines)

    def substitutes(self) -> str:
        """Pairs of distribution and substitute, one after the other."""
        return " ".join(f"{old} {new}" for old, new in self.facts.environment.substitutes.items())

    def pins(self) -> str:
        """Requirements that are added where upstream's list lacks them."""
        environment = self.facts.environment
        pinned = [f"{name}=={version}" for name, version in environment.pins.items()]
        return " ".join(pinned + [name for name in environment.needed if name not in environment.pins])

    def _fixed(self, stage: Stage, version: Version | None) -> str:
        flags = []
        for fixed in self.facts.training.fixed:
            value = fixed.stage1 if stage == "stage1" else fixed.stage2
            only_prompt = fixed.versions == ["prompt"]
            if value and only_prompt == (version == "prompt") and fixed.flag != "resume_from_checkpoint":
                flags.append(f"--{fixed.flag} {shell_quote(value)}")
        return " ".join(flags)

    def fixed_arguments(self, stage: Stage) -> str:
        """Flags of a stage that the scripts own, in both versions."""
        return self._fixed(stage, None)

    def prompt_arguments(self) -> str:
        """Flags that only the prompt version has."""
        return self._fixed("stage1", "prompt")

    def value_flags(self) -> str:
        """Flags that take a value."""
        return self._flags(switch=False)

    def switch_flags(self) -> str:
        """Flags without a value."""
        return self._flags(switch=True)

    def _flags(self, *, switch: bool) -> str:
        return " ".join(p.flag for p in self.facts.training.parameters if p.switch == switch)

    def gigabytes(self, *, dpo: bool) -> int:
        """GB on disk when all is done, with or without DPO-dataset."""
        disk = self.facts.project.disk
        downloads = sum(r.size_bytes for r in self.facts.hub.repositories if dpo or r.role != "dpo") / 1e9
        return round(downloads + self.facts.hub.unpacked + disk.environment + disk.training)

    def unpacked_gigabytes(self) -> float:
        """GB that setup adds to the downloads: unpacked archives and the training environment."""
        disk = self.facts.project.disk
        return round(self.facts.hub.unpacked + disk.environment, 1)

    def archive_names(self, role: str) -> str:
        """The archives of a repository that are unpacked for their data."""
        return " ".join(archive.file for archive in self.facts.hub.by_role(role).archives)

    def needed_files(self, repository: Repository) -> str:
        """What a repository must hold, in the shell's words."""
        return " ".join(shell_quote(content.path) for content in repository.contents if content.needed)

    def memory_needs(self) -> str:
        """GPU memory in GiB from which each stage runs without gradient checkpointing."""
        return " ".join(str(value) for value in self.facts.training.memory_without_checkpointing.values())

    def worker_counts(self) -> str:
        """Most data-loader workers that help each stage."""
        return " ".join(str(value) for value in self.facts.training.useful_workers.values())


def script_environment(data: Facts, templates: Path = TEMPLATES) -> Environment:
    """Jinja2 for bash: delimiters that leave bash readable, no escaping."""
    environment = Environment(
        loader=FileSystemLoader(templates),
        variable_start_string="<{",
        variable_end_string="}>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - bash, not HTML
    )
    macros = ScriptMacros(data)
    environment.globals.update(
        {name: getattr(macros, name) for name in dir(macros) if not name.startswith("_") and name != "facts"},
        hub=data.hub,
        project=data.project,
        environment=data.environment,
        groups=data.configuration.groups,
    )
    return environment


def render_scripts(data: Facts | None = None, templates: Path = TEMPLATES) -> list[Rendered]:
    """Render the four scripts.

    Args:
        data: facts to use; those of the package when left out.
        templates: the folder of templates.

    Returns:
        One entry per script, in the order in which a collaborator meets them.
    """
    environment = script_environment(data or facts(), templates)
    return [Rendered(f"scripts/{name}", environment.get_template(name).render(), name.endswith(".sbatch")) for name in SCRIPTS]


def render_all(data: Facts | None = None, templates: Path = TEMPLATES) -> list[Rendered]:
    """Render everything that is generated and committed: scripts and READMEs."""
    data = data or facts()
    scripts = render_scripts(data, templates)
    texts = {Path(script.path).name: script.text for script in scripts}
    pages = Environment(
        loader=FileSystemLoader(templates),
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown
    )
    readmes = []
    for language, name in READMES.items():
        macros = page_macros(data, language, texts)
        text = pages.get_template(f"README.{language}.md").render(macros)
        readmes.append(Rendered(name, join_chinese_lines(text) if language == "zh" else text))
    return [*scripts, *readmes]


def write(rendered: list[Rendered], root: Path = ROOT) -> list[str]:
    """Write generated files whose text differs.

    Each is written under a temporary name and renamed, so a reader never meets a half.

    Returns:
        The paths that were written.
    """
    changed = []
    for entry in rendered:
        path = root / entry.path
        if path.exists() and path.read_text(encoding="utf-8") == entry.text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(entry.text)
            Path(name).chmod(0o755 if entry.executable else 0o644)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        changed.append(entry.path)
    return changed


def variable_names(data: Facts) -> list[str]:
    """Every variable of config.env, training parameters of both stages included."""
    names = [variable.name for variable in data.configuration.variables]
    for parameter in data.training.parameters:
        names += [f"{stage.upper()}_{parameter.variable}" for stage in STAGES]
    return names


__all__ = [
    "Group",
    "Parameter",
    "Rendered",
    "Variable",
    "render_all",
    "render_scripts",
    "variable_names",
    "write",
]

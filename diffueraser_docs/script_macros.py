"""What the script templates may call: lines of bash made from the facts."""

from .facts import Facts
from .schema.base import STAGES, Stage, Version
from .schema.hub import Repository


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
        return self.facts.disk_gigabytes(dpo=dpo)

    def unpacked_gigabytes(self) -> float:
        """GB that setup adds to the downloads: unpacked archives and the training environment."""
        return round(self.facts.hub.unpacked + self.facts.project.environment_gb, 1)

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

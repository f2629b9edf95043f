"""Lines of bash made from the facts: what the script templates may call."""

import shlex
from collections.abc import Iterable
from typing import Any

from .estimates import seconds_per_1000_steps
from .macros import Macros
from .schema.base import STAGES

WIDTH = 118
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_|-")


def shell_quote(text: str) -> str:
    r"""Quote a value for bash, leaving plain words as they are, with \' for an apostrophe."""
    return shlex.quote(text).replace("'\"'\"'", "'\\''")


def wrapped(first: str, words: Iterable[str], indent: str = "    ", end: str = "") -> str:
    """Words in lines of at most WIDTH characters; every line but the last has the given end."""
    lines = [first]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > WIDTH:
            lines.append(indent + word)
        else:
            lines[-1] += f" {word}"
    return f"{end}\n".join(lines)


def assigned(name: str, words: Iterable[str]) -> str:
    """Words as the value of a variable, one value of several lines."""
    first, *more = words
    return wrapped(f"{name}='{first}", more, indent="") + "'"


def config_line(name: str, value: str, comment: str) -> str:
    """A line of config.env."""
    return f"{name}={value}".ljust(40) + f" # {comment}"


class ScriptMacros(Macros):
    """What the script templates may call; each returns lines of bash made from the facts."""

    def names(self) -> dict[str, Any]:
        """What a script template may use."""
        return super().names() | {"environment": self.facts.environment, "training": self.facts.training}

    def default(self, name: str) -> str:
        """Default of a variable of config.env."""
        return self.facts.configuration.variable(name).default

    # --- common.sh ---------------------------------------------------------------------------------------------

    def definitions(self) -> str:
        """The calls of `define` that declare every variable of config.env."""
        lines: list[str] = []
        names = "|".join(patch.name for patch in self.facts.patches.patches)
        half = names.index("|", len(names) // 2)  # too long for one line
        for kind, entries in self._entries().items():
            fact = self.facts.configuration.kinds[kind]
            words = "" if set(fact.pattern) <= PLAIN else fact.words.en  # of plain words define makes the description itself
            quoted = [shell_quote(fact.pattern), shell_quote(words)]
            if names in fact.pattern:
                lines += [f"PATCH_NAMES='{names[:half]}'", f"PATCH_NAMES+='{names[half:]}'"]
                quoted[0] = f'"{fact.pattern.replace(names, "$PATCH_NAMES")}"'
                quoted[1] = f'"{words.replace(names.replace("|", ", "), "${PATCH_NAMES//|/, }")}"'
            elif len(quoted[0]) > WIDTH:
                middle = fact.pattern.index("|", len(fact.pattern) // 2)
                lines += [f"{kind.upper()}='{fact.pattern[:middle]}'", f"{kind.upper()}+='{fact.pattern[middle:]}'"]
                quoted[0] = f'"${kind.upper()}"'
            lines.append(wrapped("define", [*quoted, *entries], end=" \\"))
        return "\n".join(lines)

    def _entries(self) -> dict[str, list[str]]:
        """NAME=DEFAULT of every variable, by its kind; --FLAG=DEFAULT of both stages and versions."""
        entries: dict[str, list[str]] = {}
        for variable in self.facts.configuration.variables:
            entries.setdefault(variable.kind, []).append(f"{variable.name}={_optional(variable.default)}")
        for parameter in self.facts.training.parameters:
            versions = [(parameter.default(stage, "non-prompt"), parameter.default(stage, "prompt")) for stage in STAGES]
            stages = ["|".join(dict.fromkeys(defaults)) for defaults in versions]
            value = " // ".join(dict.fromkeys(stages))
            entries.setdefault(parameter.kind, []).append(f"--{parameter.flag}={_optional(value)}")
        return entries

    def data_rows(self) -> str:
        """What setup unpacks or links: mark, repository, path in it, folder, members."""
        rows = []
        root = self.project.roots["non-prompt"]
        for repository in self.hub.repositories:
            for archive in repository.archives:
                below = archive.into.removeprefix(root).strip("/") or "."
                members = [member if below == "." else f"{below}/{member}" for member in archive.members]
                rows.append([f"unpack-{archive.file}", repository.name, archive.file, below, *members])
            for content in repository.contents:
                if content.path.endswith("/") and content.link:
                    name = content.path.rstrip("/")
                    rows.append([f"link-{name}", repository.name, name, ".", content.link])
        return "\n".join(wrapped(f"    '{mark}", words, indent="") + "'" for mark, *words in rows)

    def cause_rows(self) -> str:
        """Id, pattern and fix of what tools print when they fail."""
        causes = self.facts.causes.causes
        return "\n".join(wrapped(f"    {each.id}", map(shell_quote, (each.pattern, each.fix))) for each in causes)

    def refusal_rows(self) -> str:
        """Id, pattern and both fixes of Slurm's refusals; an empty second fix stands for the same."""
        lines = []
        for row in self.facts.causes.refusals:
            training = "" if row.training == row.setup else row.training
            lines.append(wrapped(f"    {row.id}", map(shell_quote, (row.pattern, row.setup, training))))
        return "\n".join(lines)

    # --- config.env --------------------------------------------------------------------------------------------

    def config_lines(self, group: str) -> str:
        """The lines of config.env of one group: an empty value has no default, and an example in its comment."""
        lines = []
        for v in self.facts.configuration.variables:
            if v.group == "edits" == group:
                lines.append(config_line(v.name, v.shown or v.default, f"{v.meaning.en} · {v.meaning.zh}"))
            elif v.group == group and not v.rare:
                quoted = f'"{v.shown}"' if " " in v.shown and not v.shown.startswith('"') else v.shown
                example = f"; e.g. {quoted}" if v.shown and not v.default else ""
                lines.append(config_line(f"# {v.name}", v.default, v.meaning.en + example))
        return "\n".join(lines)

    def parameter_lines(self) -> str:
        """The lines of config.env of the common training parameters."""
        lines = []
        for parameter in (each for each in self.facts.training.parameters if each.common):
            for stage in STAGES:
                value, with_captions = parameter.default(stage, "non-prompt"), parameter.default(stage, "prompt")
                other = "" if with_captions == value else f"; prompt: {with_captions}"
                shown = value or parameter.trainer_default
                lines.append(config_line(f"# {parameter.name(stage)}", shown, parameter.meaning.en + other))
        return "\n".join(lines)

    # --- 01_setup.sbatch ---------------------------------------------------------------------------------------

    def environment_constants(self) -> str:
        """Versions of everything that setup installs; of uv and the Hub client also the checksums."""
        environment = self.facts.environment
        lines = [f"TRAIN_PYTHON={environment.python} PYTHON_RANGE='{environment.python_range}'"]
        for name, tool in environment.tools.items():
            hashes = [f"--hash=sha256:{value}" for value in tool.sha256]
            lines.append(assigned(name.upper(), [f"{name}=={tool.version}", *hashes]))
        more = environment.tools["huggingface_hub"].locked
        for name, packages in (("HUB_LOCKED", more), ("REQUIREMENTS", environment.requirements), ("LOCKED", environment.locked)):
            lines.append(assigned(name, [f"{package}=={version}" for package, version in packages.items()]))
        return "\n".join(lines)

    def patch_rows(self) -> str:
        """Name, stages and sed script of every patch."""
        lines = []
        for patch in self.facts.patches.patches:
            for edit in patch.edits:
                first = f"    {patch.name} '{' '.join(map(str, edit.stages))}'"
                script = shell_quote("\n".join(edit.script))
                long = max(map(len, f"{first} {script}".split("\n"))) > WIDTH
                lines.append(f"{first}\n    {script}" if long else f"{first} {script}")
        return "\n".join(lines)

    def import_line(self) -> str:
        """The statement by which the training environment is proved."""
        modules = self.facts.environment.imports
        half = len(modules) // 2
        return f"IMPORTS='import {', '.join(modules[:half])}'\nIMPORTS+=', {', '.join(modules[half:])}'"

    # --- 02_train.sbatch ---------------------------------------------------------------------------------------

    def fixed_arguments(self) -> str:
        """The flags that the scripts own: of both stages (stageN stands for the stage), of each, of the prompt version."""
        rows: list[list[str]] = [[], [], [], []]
        for fixed in self.facts.training.fixed:
            one, two = (value.replace(stage, "stageN") for stage in STAGES for value in [getattr(fixed, stage)])
            if fixed.versions == ["prompt"]:
                rows[3].append(f"--{fixed.flag} {fixed.stage1}")
            elif one == two:
                rows[0].append(f"--{fixed.flag} {one}")
            else:
                for row, stage in zip(rows[1:3], STAGES, strict=True):
                    if value := getattr(fixed, stage):
                        row.append(f"--{fixed.flag} {value}")
        return "\n".join(wrapped(f"    '{first}", more, indent="") + "'" for first, *more in rows)

    def memory_needs(self) -> str:
        """GiB: constant and per frame without gradient checkpointing, the same with it, several GPUs, validation."""
        needs = self.facts.training.memory.values()
        rows = ((*n.checkpointing_off, *n.checkpointing_on, n.several_gpus, n.validation) for n in needs)
        return " ".join(f"'{' '.join(map(str, row))}'" for row in rows)

    def seconds_per_1000_steps(self) -> str:
        """Seconds for 1000 steps of each stage with the defaults."""
        return " ".join(str(seconds_per_1000_steps(self.facts, stage)) for stage in STAGES)


def _optional(value: str) -> str:
    return shell_quote(value) if value else ""

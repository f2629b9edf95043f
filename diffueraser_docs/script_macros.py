"""Lines of bash made from the facts: what the script templates may call."""

from collections.abc import Iterable

from .estimates import seconds_per_1000_steps
from .facts import Facts
from .schema.base import STAGES

WIDTH = 118
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_|-")


def shell_quote(text: str) -> str:
    """Quote a value for bash, leaving plain words as they are."""
    plain = text and all(character.isalnum() or character in "-_./:=+@%," for character in text)
    return text if plain else "'" + text.replace("'", "'\\''") + "'"


def wrapped(first: str, words: Iterable[str], indent: str = "    ", end: str = " \\") -> list[str]:
    """Words in lines of at most WIDTH characters; every line but the last has the given end."""
    lines, line = [], first
    for word in words:
        if len(line) + 1 + len(word) > WIDTH and line.strip():
            lines.append(line + end)
            line = indent + word
        else:
            line += word if not line.strip() else f" {word}"
    return [*lines, line]


class ScriptMacros:
    """What the script templates may call; each returns lines of bash made from the facts."""

    def __init__(self, data: Facts) -> None:
        """Keep the facts."""
        self.facts = data

    def default(self, name: str) -> str:
        """Default of a variable of config.env."""
        return next(v.default for v in self.facts.configuration.variables if v.name == name)

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
            lines += wrapped("define", [*quoted, *entries])
        return "\n".join(lines)

    def _entries(self) -> dict[str, list[str]]:
        entries: dict[str, list[str]] = {}
        for variable in self.facts.configuration.variables:
            value = shell_quote(variable.default) if variable.default else ""
            entries.setdefault(variable.kind, []).append(f"{variable.name}={value}")
        for parameter in self.facts.training.parameters:
            values = []
            for stage in STAGES:
                plain, prompt = parameter.default(stage, "non-prompt"), parameter.default(stage, "prompt")
                values.append(plain if plain == prompt else f"{plain}|{prompt}")
            value = values[0] if values[0] == values[1] else " // ".join(values)
            entries.setdefault(parameter.kind, []).append(f"--{parameter.flag}={shell_quote(value) if value else ''}")
        return entries

    def data_rows(self) -> str:
        """What setup unpacks or links: mark, repository, path in it, folder, members."""
        rows = []
        root = self.facts.project.roots["non-prompt"]
        for repository in self.facts.hub.repositories:
            for archive in repository.archives:
                below = archive.into.removeprefix(root).strip("/") or "."
                members = " ".join(member if below == "." else f"{below}/{member}" for member in archive.members)
                rows.append(f"unpack-{archive.file} {repository.name} {archive.file} {below} {members}")
            for content in repository.contents:
                if content.path.endswith("/") and content.link:
                    name = content.path.rstrip("/")
                    rows.append(f"link-{name} {repository.name} {name} . {content.link}")
        lines: list[str] = []
        for row in rows:
            lines += wrapped(f"    '{row.split()[0]}", row.split()[1:], indent="", end="")
            lines[-1] += "'"
        return "\n".join(lines)

    def cause_rows(self) -> str:
        """Id, pattern and fix of what tools print when they fail."""
        lines: list[str] = []
        for cause in self.facts.causes.causes:
            lines += wrapped(f"    {cause.id}", [shell_quote(cause.pattern), shell_quote(cause.fix)], end="")
        return "\n".join(lines)

    def refusal_rows(self) -> str:
        """Id, pattern and both fixes of Slurm's refusals."""
        lines: list[str] = []
        for row in self.facts.causes.refusals:
            fixes = [shell_quote(row.setup), shell_quote(row.training)]
            lines += wrapped(f"    {row.id} {shell_quote(row.pattern)}", fixes, end="")
        return "\n".join(lines)

    # --- config.env --------------------------------------------------------------------------------------------

    def _config_line(self, name: str, value: str, comment: str, commented: bool = True) -> str:
        return f"{'# ' if commented else ''}{name}={value}".ljust(40) + f" # {comment}"

    def config_lines(self, group: str) -> str:
        """The lines of config.env of one group: an empty value has no default, and an example in its comment."""
        lines = []
        for v in self.facts.configuration.variables:
            if v.group == "edits" == group:
                lines.append(self._config_line(v.name, v.shown or v.default, f"{v.meaning.en} · {v.meaning.zh}", commented=False))
            elif v.group == group and not v.rare:
                quoted = f'"{v.shown}"' if " " in (v.shown or "") and not (v.shown or "").startswith('"') else v.shown
                example = f"; e.g. {quoted}" if v.shown and not v.default else ""
                lines.append(self._config_line(v.name, v.default, v.meaning.en + example))
        return "\n".join(lines)

    def parameter_lines(self) -> str:
        """The lines of config.env of the common training parameters."""
        lines = []
        for parameter in self.facts.training.parameters:
            for stage in STAGES:
                value, with_captions = (parameter.default(stage, version) for version in ("non-prompt", "prompt"))
                if parameter.common:
                    name = f"{stage.upper()}_{parameter.variable}"
                    other = "" if with_captions == value else f"; prompt: {with_captions}"
                    lines.append(self._config_line(name, value or parameter.trainer_default, parameter.meaning.en + other))
        return "\n".join(lines)

    # --- 01_setup.sbatch ---------------------------------------------------------------------------------------

    def environment_constants(self) -> str:
        """Versions of everything that setup installs; of uv and the Hub client also the checksums."""
        environment = self.facts.environment
        lines = [f"TRAIN_PYTHON={environment.python} PYTHON_RANGE='{environment.python_range}'"]
        for name, tool in environment.tools.items():
            pins = [f"{name}=={tool.version}", *(f"--hash=sha256:{value}" for value in tool.sha256)]
            lines += self._words(f"{name.upper()}", pins)
        more = environment.tools["huggingface_hub"].locked
        for name, packages in (("HUB_LOCKED", more), ("REQUIREMENTS", environment.requirements), ("LOCKED", environment.locked)):
            lines += self._words(name, [f"{package}=={version}" for package, version in packages.items()])
        return "\n".join(lines)

    def _words(self, name: str, words: list[str]) -> list[str]:
        first, *more = words
        lines = wrapped(f"{name}='{first}", more, indent="", end="")
        lines[-1] += "'"
        return lines

    def patch_rows(self) -> str:
        """Name, stages and sed script of every patch."""
        lines = []
        for patch in self.facts.patches.patches:
            for edit in patch.edits:
                first = f"    {patch.name} '{' '.join(map(str, edit.stages))}' "
                script = shell_quote("\n".join(edit.script))
                long = max(map(len, f"{first}{script}".split("\n"))) > WIDTH
                lines += [first.rstrip(), f"    {script}"] if long else [f"{first}{script}"]
        return "\n".join(lines)

    def import_line(self) -> str:
        """The statement by which the training environment is proved."""
        modules = self.facts.environment.imports
        half = len(modules) // 2
        return f"IMPORTS='import {', '.join(modules[:half])}'\nIMPORTS+=', {', '.join(modules[half:])}'"

    def fixed_flags(self) -> str:
        """Flags that the scripts own."""
        return "\n".join(self._words("FIXED_FLAGS", list(dict.fromkeys(fixed.flag for fixed in self.facts.training.fixed))))

    def fixed_arguments(self) -> str:
        """The flags that the scripts own, for each stage and for the prompt version."""
        lines: list[str] = []
        for name, stage, prompt in (("1", "stage1", False), ("2", "stage2", False), ("PROMPT", "stage1", True)):
            flags = [
                f"--{fixed.flag} {shell_quote(value)}"
                for fixed in self.facts.training.fixed
                if (value := getattr(fixed, stage)) and (fixed.versions == ["prompt"]) == prompt
            ]
            first = f"FIXED_{name}=(" if prompt else f"FIXED_STAGE{name}=("
            lines += ["# shellcheck disable=SC2034 # read by its name", *wrapped(first, flags, end="")]
            lines[-1] += ")"
        return "\n".join(line.replace("( ", "(") for line in lines)

    def memory_needs(self) -> str:
        """GiB: constant and per frame without gradient checkpointing, the same with it, several GPUs, validation."""
        needs = self.facts.training.memory.values()
        rows = ((*n.checkpointing_off, *n.checkpointing_on, n.several_gpus, n.validation) for n in needs)
        return " ".join(f"'{' '.join(map(str, row))}'" for row in rows)

    def seconds_per_1000_steps(self) -> str:
        """Seconds for 1000 steps of each stage with the defaults."""
        return " ".join(str(seconds_per_1000_steps(self.facts, stage)) for stage in STAGES)

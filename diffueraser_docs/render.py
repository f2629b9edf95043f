"""Renders scripts, READMEs and the macros of the site from facts and templates."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .facts import Facts, facts
from .macros import PageMacros
from .markdown import join_chinese_lines
from .script_macros import ScriptMacros

PACKAGE = Path(__file__).parent
TEMPLATES = PACKAGE / "templates"
ROOT = PACKAGE.parent
SCRIPTS = ("config.env", "common.sh", "setup_and_train.sbatch", "01_setup.sbatch", "02_train.sbatch")
"""Names of the scripts, in the order in which a collaborator meets them; each has a template of the same name."""
READMES = {"en": "README.md", "zh": "README.zh-CN.md"}


@dataclass(frozen=True)
class Rendered:
    """One generated file."""

    path: str
    """Relative to the project's root."""
    text: str
    executable: bool = False


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
        {name: getattr(macros, name) for name, value in vars(ScriptMacros).items() if callable(value) and name[0] != "_"},
        hub=data.hub,
        project=data.project,
        environment=data.environment,
        groups=data.configuration.groups,
        patches=data.patches.patches,
    )
    return environment


def render_scripts(data: Facts | None = None, templates: Path = TEMPLATES) -> list[Rendered]:
    """Render the scripts.

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
        macros = PageMacros(data, language, texts)
        text = pages.get_template(f"README.{language}.md").render(macros.names())
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

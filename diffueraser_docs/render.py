"""Renders scripts, READMEs and the macros of the site from facts and templates."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .facts import Facts, facts
from .macros import PageMacros, page_templates
from .markdown import join_chinese_lines
from .script_macros import ScriptMacros

PACKAGE = Path(__file__).parent
TEMPLATES = PACKAGE / "templates"
ROOT = PACKAGE.parent
SCRIPTS = ("config.env", "common.sh", "setup_and_train.sbatch", "01_setup.sbatch", "02_train.sbatch")
"""Names of the scripts, in the order in which a collaborator meets them; each has a template of the same name."""
MARK = "Generated from the facts and {} by make docs."
CHECKSUMS = "diffueraser_docs/rendered.sha256"
"""What was written last, so that an edit by hand is not overwritten; `sha256sum -c` reads it."""
READMES = {"en": "README.md", "zh": "README.zh-CN.md"}


@dataclass(frozen=True)
class Rendered:
    """One generated file."""

    path: str
    """Relative to the project's root."""
    text: str
    template: str
    """Relative to the project's root: where an edit belongs."""
    executable: bool = False


class EditedError(Exception):
    """A generated file was edited by hand; the message names it and its template, one a line."""


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
        facts=data,
        hub=data.hub,
        project=data.project,
        environment=data.environment,
        groups=data.configuration.groups,
        patches=data.patches.patches,
        training=data.training,
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
    scripts = []
    for name in SCRIPTS:
        template = _template(name)
        text = _marked(environment.get_template(name).render(), f"# {MARK.format(template)}")
        scripts.append(Rendered(f"scripts/{name}", text, template, executable=name.endswith(".sbatch")))
    return scripts


def _template(name: str) -> str:
    return str((TEMPLATES / name).relative_to(ROOT))


def _marked(text: str, mark: str) -> str:
    """The text with a line that says where it comes from: the first, or the second below a #! line."""
    first, rest = text.split("\n", 1)
    return f"{first}\n{mark}\n{rest}" if first.startswith("#!") else f"{mark}\n{text}"


def render_all(data: Facts | None = None, templates: Path = TEMPLATES) -> list[Rendered]:
    """Render everything that is generated and committed: scripts and READMEs."""
    data = data or facts()
    scripts = render_scripts(data, templates)
    texts = {Path(script.path).name: script.text for script in scripts}
    pages = page_templates(templates)
    readmes = []
    for language, name in READMES.items():
        macros, template = PageMacros(data, language, texts), _template(f"README.{language}.md")
        text = pages.get_template(f"README.{language}.md").render(macros.names())
        text = _marked(join_chinese_lines(text) if language == "zh" else text, f"<!-- {MARK.format(template)} -->")
        readmes.append(Rendered(name, text, template))
    return [*scripts, *readmes]


def write(rendered: list[Rendered], root: Path = ROOT, *, force: bool = False) -> list[str]:
    """Write generated files whose text differs.

    Args:
        rendered: the files.
        root: the project's root.
        force: overwrite what was edited by hand.

    Returns:
        The paths that were written.

    Raises:
        EditedError: a file is neither as rendered nor as it was written last; nothing is written.
    """
    record = root / CHECKSUMS
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    last = {path: checksum for checksum, path in (line.split("  ", 1) for line in lines)}
    changed, edited = [], []
    for entry in rendered:
        path = root / entry.path
        text = path.read_text(encoding="utf-8") if path.exists() else None
        if text != entry.text:
            changed.append(entry)
            if text is not None and last.get(entry.path, _checksum(text)) != _checksum(text):
                edited.append(f"{entry.path}: edited by hand; edit {entry.template} instead, or overwrite it by render --force")
    if edited and not force:
        raise EditedError("\n".join(edited))
    for entry in changed:
        _replace(root / entry.path, entry.text, 0o755 if entry.executable else 0o644)
    last |= {entry.path: _checksum(entry.text) for entry in rendered}
    text = "".join(f"{checksum}  {path}\n" for path, checksum in sorted(last.items()))
    if text.splitlines() != lines:
        _replace(record, text, 0o644)
    return [entry.path for entry in changed]


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _replace(path: Path, text: str, mode: int) -> None:
    """Write a file under a temporary name and rename it, so that a reader never meets a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise

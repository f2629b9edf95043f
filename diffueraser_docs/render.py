"""Renders scripts, READMEs and the macros of the site from facts and templates."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from .facts import Facts, facts
from .macros import TEMPLATES, PageMacros, page_templates
from .markdown import join_chinese_lines
from .script_macros import ScriptMacros

ROOT = Path(__file__).parent.parent
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


class EditedError(Exception):
    """A generated file was edited by hand; the message names it and its template, one a line."""


def render_scripts(data: Facts | None = None, templates: Path = TEMPLATES) -> list[Rendered]:
    """Render the scripts in the order of SCRIPTS, with the facts of the package when none are given."""
    environment = page_templates(templates).overlay(  # delimiters that leave bash readable
        variable_start_string="<{",
        variable_end_string="}>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    names = ScriptMacros(data or facts()).names()
    texts = {name: environment.get_template(name).render(names) for name in SCRIPTS}
    return [_marked(f"scripts/{name}", name, f"# {MARK}", text) for name, text in texts.items()]


def _marked(path: str, template: str, mark: str, text: str) -> Rendered:
    """A file with a line that says where it comes from: the first, or the second below a #! line."""
    template = str((TEMPLATES / template).relative_to(ROOT))
    lines = text.split("\n")
    lines.insert(int(text.startswith("#!")), mark.format(template))
    return Rendered(path, "\n".join(lines), template)


def render_all(data: Facts | None = None, templates: Path = TEMPLATES) -> list[Rendered]:
    """Render everything that is generated and committed: scripts and READMEs."""
    data = data or facts()
    rendered = render_scripts(data, templates)
    scripts = {Path(script.path).name: script.text for script in rendered}
    for language, name in READMES.items():
        template = f"README.{language}.md"
        text = page_templates(templates).get_template(template).render(PageMacros(data, language, scripts).names())
        rendered.append(_marked(name, template, f"<!-- {MARK} -->", join_chinese_lines(text) if language == "zh" else text))
    return rendered


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
    record = text_of(root / CHECKSUMS)
    last: dict[str, set[str]] = {}
    for checksum, path in re.findall(r"^([0-9a-f]{64})  (.+)$", record, re.MULTILINE):
        last.setdefault(path, set()).add(checksum)  # of both sides, where git could not merge the record
    texts = {entry.path: text_of(root / entry.path) for entry in rendered}
    changed = [entry for entry in rendered if texts[entry.path] != entry.text]
    edited = [
        f"{entry.path}: edited by hand; edit {entry.template} instead, or overwrite it by render --force"
        for entry in changed
        if texts[entry.path] and entry.path in last and _checksum(texts[entry.path]) not in last[entry.path]
    ]
    if edited and not force:
        raise EditedError("\n".join(edited))
    for entry in changed:
        replace_file(root / entry.path, entry.text, 0o755 if entry.path.endswith(".sbatch") else 0o644)
    text = "".join(f"{_checksum(entry.text)}  {entry.path}\n" for entry in sorted(rendered, key=lambda entry: entry.path))
    if text != record:
        replace_file(root / CHECKSUMS, text)
    return [entry.path for entry in changed]


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def text_of(path: Path) -> str:
    """The text of a file; empty when there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def replace_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file under a temporary name and rename it, so that a reader never meets a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

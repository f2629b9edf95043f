"""MkDocs hook: pages call the same macros as the READMEs, and the site offers the scripts for download."""

import shutil
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from diffueraser_docs.facts import facts
from diffueraser_docs.macros import page_macros
from diffueraser_docs.render import ROOT, SCRIPTS

PAGES = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - Markdown


def on_post_build(config: MkDocsConfig) -> None:
    """Offer the scripts for download."""
    downloads = Path(config.site_dir) / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    for name in SCRIPTS:
        shutil.copyfile(ROOT / "scripts" / name, downloads / name)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs' signature
    """Expand the macros of a page in its language."""
    return expand(markdown, "zh" if Path(page.file.src_uri).parts[0] == "zh" else "en")


def expand(markdown: str, language: str) -> str:
    """The Markdown of a page with its macros expanded."""
    scripts = {name: (ROOT / "scripts" / name).read_text(encoding="utf-8") for name in SCRIPTS}
    return PAGES.from_string(markdown).render(page_macros(facts(), language, scripts))

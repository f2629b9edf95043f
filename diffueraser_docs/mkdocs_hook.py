"""MkDocs hook: pages call the same macros as the READMEs, and the site offers the scripts for download."""

import re
import shutil
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from diffueraser_docs.facts import facts
from diffueraser_docs.markdown import join_chinese_lines
from diffueraser_docs.render import ROOT, SCRIPTS
from diffueraser_docs.site import SiteMacros

PAGES = Environment(
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # noqa: S701 - Markdown
)


def on_post_build(config: MkDocsConfig) -> None:
    """Offer the scripts for download."""
    downloads = Path(config.site_dir) / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    for name in SCRIPTS:
        shutil.copyfile(ROOT / "scripts" / name, downloads / name)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001 - MkDocs' signature
    """Drop the links for which the theme would ask for a sitemap per page; the language switch leads to the same page without."""
    return re.sub(r'\s*<link rel="alternate"[^>]*>', "", output)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs' signature
    """Expand the macros of a page in its language."""
    return expand(markdown, "zh" if Path(page.file.src_uri).parts[0] == "zh" else "en")


def expand(markdown: str, language: str) -> str:
    """The Markdown of a page with its macros expanded."""
    scripts = {name: (ROOT / "scripts" / name).read_text(encoding="utf-8") for name in SCRIPTS}
    text = PAGES.from_string(markdown).render(SiteMacros(facts(), language, scripts).names())
    return join_chinese_lines(text) if language == "zh" else text

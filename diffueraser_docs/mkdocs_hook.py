"""MkDocs hook: pages call the same macros as the READMEs, and the site offers the scripts for download."""

import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from diffueraser_docs.facts import facts
from diffueraser_docs.render import ROOT, SCRIPTS, render_page


def on_post_build(config: MkDocsConfig) -> None:
    """Offer the scripts for download."""
    downloads = Path(config.site_dir) / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    for name in SCRIPTS:
        shutil.copyfile(ROOT / "scripts" / name, downloads / name)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs' signature
    """Expand the macros of a page in its language."""
    language = "zh" if Path(page.file.src_uri).parts[0] == "zh" else "en"
    scripts = {name: (ROOT / "scripts" / name).read_text(encoding="utf-8") for name in SCRIPTS}
    return render_page(markdown, language, facts(), scripts)

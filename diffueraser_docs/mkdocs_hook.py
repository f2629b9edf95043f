"""MkDocs hook: pages call the same macros as the READMEs; the site offers the scripts, and a search for each language."""

import gzip
import io
import json
import re
import tarfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from diffueraser_docs.facts import facts
from diffueraser_docs.macros import ARCHIVE, page_templates
from diffueraser_docs.markdown import join_chinese_lines
from diffueraser_docs.render import ROOT, SCRIPTS
from diffueraser_docs.site import SiteMacros

INDEX = Path("search", "search_index.json")


def on_config(config: MkDocsConfig) -> None:
    """Take the addresses from the facts; SITE_URL of the environment is known already."""
    project = facts().project
    config.site_url = config.site_url or project.site_url
    if project.repository_url:
        config.repo_url, config.repo_name = project.repository_url, "/".join(project.repository_url.split("/")[-2:])


@event_priority(-200)  # after i18n, which builds the second language and joins the search
def on_post_build(config: MkDocsConfig) -> None:
    """Offer the scripts for download, one by one and as an archive; give each language its own search index."""
    site = Path(config.site_dir)
    downloads = site / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    for name, text in script_texts().items():
        (downloads / name).write_text(text, encoding="utf-8")
    (downloads / ARCHIVE).write_bytes(archive())
    split_search(site)


def script_texts() -> dict[str, str]:
    """The scripts as they are committed, by name."""
    return {name: (ROOT / "scripts" / name).read_text(encoding="utf-8") for name in SCRIPTS}


def archive() -> bytes:
    """The scripts as a .tar.gz, the same bytes each time."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for name, text in script_texts().items():
            data, entry = text.encode(), tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755 if name.endswith(".sbatch") else 0o644
            file.addfile(entry, io.BytesIO(data))
    return gzip.compress(tar.getvalue(), mtime=0)


def split_search(site: Path) -> None:
    """The index of each language beside its pages; on_post_page tells the theme where it is."""
    if not (site / "zh").is_dir():  # the languages are built one after the other
        return
    index = json.loads((site / INDEX).read_text(encoding="utf-8"))
    chinese = [{**entry, "location": entry["location"][3:]} for entry in index["docs"] if entry["location"].startswith("zh/")]
    english = [entry for entry in index["docs"] if not entry["location"].startswith("zh/")]
    for folder, docs, language in ((site, english, "en"), (site / "zh", chinese, "zh")):
        (folder / INDEX).parent.mkdir(exist_ok=True)
        text = json.dumps({**index, "config": {**index["config"], "lang": [language]}, "docs": docs}, ensure_ascii=False)
        (folder / INDEX).write_text(text, encoding="utf-8")


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001 - MkDocs' signature
    """Drop the links for which the theme would ask for a sitemap per page; the language switch leads to the same page without.

    A Chinese page names the Chinese part of the site as its base: the theme searches there.
    """
    output = re.sub(r'\s*<link rel="alternate"[^>]*>', "", output)
    if page.file.dest_uri.startswith("zh/"):
        depth = page.file.dest_uri.count("/") - 1
        output = re.sub(r'("base": ?)"[^"]*"', lambda found: f'{found[1]}"{"/".join([".."] * depth) or "."}"', output, count=1)
    return output


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs' signature
    """Expand the macros of a page in its language."""
    return expand(markdown, "zh" if Path(page.file.src_uri).parts[0] == "zh" else "en", config.site_url or "")


def expand(markdown: str, language: str, site_url: str = "") -> str:
    """The Markdown of a page with its macros expanded."""
    text = page_templates().from_string(markdown).render(SiteMacros(facts(), language, script_texts(), site_url).names())
    return join_chinese_lines(text) if language == "zh" else text

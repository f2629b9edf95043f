"""Every local link of a Markdown file leads somewhere, also to its heading; `mkdocs build --strict` checks the site's pages."""

import re
from html import unescape
from itertools import count
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from diffueraser_docs.render import ROOT

FILES = sorted([*ROOT.glob("*.md"), *(ROOT / "PRD").glob("*.md")])


def attributes(html: str, name: str) -> list[str]:
    return [unescape(value) for _, value in re.findall(rf"""<[^>]*\s(?:{name})=(["'])(.*?)\1""", html)]


def links_and_anchors(file: Path) -> tuple[list[str], list[str]]:
    """Links of a file, and its anchors as GitHub makes them of headings."""
    html = re.sub("(?s)<!--.*?-->", "", MarkdownIt("commonmark").enable("table").render(file.read_text(encoding="utf-8")))
    anchors = attributes(html, "id")
    for heading in re.findall("(?s)<h[1-6]>(.*?)</h[1-6]>", html):
        text = unescape(re.sub("<[^>]*>", "", heading)).lower()
        slug = re.sub(r"[^\w -]", "", text).replace(" ", "-")
        names = (f"{slug}-{number}" if number else slug for number in count())
        anchors.append(next(name for name in names if name not in anchors))
    return attributes(html, "href|src"), anchors


def leads(file: Path, link: str) -> bool:
    """Is there what a link of the file names? Nothing is asked of the web."""
    scheme, host, path, _, fragment = map(unquote, urlsplit(link))
    target = (ROOT if path.startswith("/") else file.parent) / path.lstrip("/") if path else file
    if scheme or host:
        return True
    if fragment and target.suffix == ".md" and target.is_file():
        return fragment in links_and_anchors(target)[1]
    return target.exists()


def broken(file: Path) -> list[str]:
    return [unquote(link) for link in links_and_anchors(file)[0] if not leads(file, link)]


def test_no_link_of_a_file_is_broken() -> None:
    assert len(FILES) > 4
    assert {file.name: links for file in FILES if (links := broken(file))} == {}


@pytest.mark.parametrize("link", ["[x](nowhere.md)", "[x](#no-such-heading)", "[x](index.md#no-such-heading)", "![x](image.png)"])
def test_a_broken_link_is_found(tmp_path: Path, link: str) -> None:
    (tmp_path / "index.md").write_text("# 索引：`a_b` [c](page.md)\n\n## Twice\n\n## Twice\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(f"[a](index.md#索引a_b-c) [b](index.md#twice-1)\n\n<a id='c'>c</a> [c](#c)\n\n{link}\n", encoding="utf-8")
    assert [f"({address})" for address in broken(page)] == re.findall(r"\(.*\)", link)

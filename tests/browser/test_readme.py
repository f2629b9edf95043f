"""The READMEs as a reader meets them: short before the first folded part, every script in one block with a copy button."""

from collections.abc import Callable

import pytest
from markdown_it import MarkdownIt

from diffueraser_docs.render import READMES, ROOT, SCRIPTS
from tests.browser.conftest import Watched

SCREEN = 940
"""Height of a browser's page on a screen of 1080 lines."""
# Measures of a README on GitHub: the column's width, its type, the spaces around blocks. A diagram has the height of one there.
STYLE = """
body { box-sizing: border-box; font: 16px/1.5 -apple-system, "Noto Sans", "Noto Sans CJK SC", Helvetica, Arial, sans-serif;
  margin: 0 auto; max-width: 896px; padding: 32px; }
h1, h2 { border-bottom: 1px solid; line-height: 1.25; margin: 24px 0 16px; padding-bottom: .3em; }
h1 { font-size: 2em; } h2 { font-size: 1.5em; }
p, pre, table, details { margin: 0 0 16px; }
pre { background: #f6f8fa; font-size: 13.6px; line-height: 1.45; overflow: auto; padding: 16px; }
code { font-family: "DejaVu Sans Mono", monospace; font-size: 85%; } pre code { font-size: 100%; }
table { border-collapse: collapse; display: block; overflow: auto; } td, th { border: 1px solid; padding: 6px 13px; }
pre:has(> .language-mermaid) { height: 130px; overflow: hidden; padding: 0; }
"""


@pytest.fixture(params=READMES)
def readme(request: pytest.FixtureRequest, open_context: Callable[..., Watched]) -> Watched:
    """A README, laid out as GitHub does it."""
    watched = open_context()
    text = (ROOT / READMES[request.param]).read_text()
    body = MarkdownIt("commonmark").enable("table").render(text)
    watched.page.set_content(f"<!doctype html><style>{STYLE}</style><body>{body}")
    return watched


def test_at_most_two_screens_stand_before_the_first_folded_part(readme: Watched) -> None:
    top = readme.page.evaluate("() => document.querySelector('details').getBoundingClientRect().top + scrollY")
    assert 500 < top <= 2 * SCREEN, f"{top / SCREEN:.1f} screens"


def test_each_script_is_one_folded_block_with_its_exact_bytes(readme: Watched) -> None:
    folded = readme.page.evaluate(
        "() => [...document.querySelectorAll('details')].map(d => [d.querySelector('summary').textContent, d.open, "
        "[...d.querySelectorAll('pre > code')].map(c => c.textContent)])"
    )
    found = {summary: (is_open, blocks) for summary, is_open, blocks in folded}
    for name in SCRIPTS:
        # GitHub puts its copy button on every fenced block; what it copies is the block's text.
        assert found[name] == (False, [(ROOT / "scripts" / name).read_text()])


def test_the_lines_to_start_are_seen_without_scrolling(readme: Watched) -> None:
    first, second = readme.page.locator("pre").all()[:2]
    assert ((first.text_content() or "") + (second.text_content() or "")).count("\n") == 6
    box = second.bounding_box()
    assert box
    assert box["y"] + box["height"] < SCREEN

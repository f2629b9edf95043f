"""English and Chinese say the same thing: READMEs and pages have the same structure, and name the same things."""

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from diffueraser_docs.facts import facts
from diffueraser_docs.mkdocs_hook import expand
from diffueraser_docs.render import READMES, ROOT, SCRIPTS

PAGES = sorted(path.stem for path in (ROOT / "docs" / "en").glob("*.md"))
PARSER = MarkdownIt("commonmark").enable("table")
KEPT = ("id", "name", "value", "data-words", "class", "style")
COUNTED = ("1", "2", "3")  # small numbers are also written as words


@dataclass
class Structure(HTMLParser):
    """What must be the same in both languages."""

    headings: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)
    items: int = 0
    links: Counter[str] = field(default_factory=Counter)
    names: set[str] = field(default_factory=set)
    html: list[str] = field(default_factory=list)
    figures: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.html.append(" ".join([tag, *(f"{name}={value}" for name, value in attrs if name in KEPT)]))

    def handle_data(self, data: str) -> None:
        self.text(data)

    def text(self, said: str) -> None:
        """Variables and figures in a text."""
        self.names |= set(re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b", said))
        self.figures |= {number for number in re.findall(r"\d+(?:\.\d+)?", said) if number not in COUNTED}


def without_words(fence: Token) -> str:
    """A code block without what is in a language: notes of the tree, labels of the diagram."""
    text = re.sub(r'\["[^"]*"\]', "", fence.content) if fence.info == "mermaid" else fence.content
    return re.sub(r" +#.*", "", text) if fence.info == "text" else text


def structure(markdown: str) -> Structure:
    """Read a page."""
    found = Structure()
    for token in PARSER.parse(markdown):
        if token.type == "heading_open":
            found.headings.append(token.tag)
        elif token.type == "fence":
            found.blocks.append(f"{token.info}\n{without_words(token)}")
        elif token.type == "table_open":
            found.tables.append(0)
        elif token.type in ("td_open", "th_open"):
            found.tables[-1] += 1
        elif token.type == "list_item_open":
            found.items += 1
        elif token.type == "html_block":
            found.feed(re.sub(r'(?s)(<script type="application/json"[^>]*>).*?</script>', r"\1</script>", token.content))
        for child in token.children or []:
            if child.type == "link_open":
                target = str(child.attrs["href"])
                found.links[target] += 1
            elif child.type in ("text", "code_inline"):
                found.text(child.content)
            elif child.type == "html_inline":
                found.feed(child.content)
        if token.type == "inline" and (match := re.search(r"\{: (#[\w.-]+) ?\}", token.content)):
            found.headings[-1] += match[1]
    return found


def same(english: Structure, chinese: Structure) -> None:
    """Compare part by part, so that a failure says what differs."""
    assert english.headings == chinese.headings
    assert english.blocks == chinese.blocks
    assert english.tables == chinese.tables
    assert english.items == chinese.items
    assert english.links == chinese.links
    assert english.names == chinese.names
    assert english.html == chinese.html
    assert english.figures == chinese.figures


@pytest.mark.parametrize("name", PAGES)
def test_pages_have_the_same_structure(name: str) -> None:
    texts = [expand((ROOT / "docs" / language / f"{name}.md").read_text(), language) for language in ("en", "zh")]
    english, chinese = (structure(text.replace("../../downloads", "../downloads")) for text in texts)
    assert english.headings, "the comparison saw nothing"
    same(english, chinese)


def test_no_page_is_missing_in_a_language() -> None:
    assert sorted(path.stem for path in (ROOT / "docs" / "zh").glob("*.md")) == PAGES
    nav = (ROOT / "mkdocs.yml").read_text()
    assert [name for name in PAGES if f"{name}.md" not in nav] == []


def test_readmes_have_the_same_structure() -> None:
    english, chinese = (structure((ROOT / READMES[language]).read_text()) for language in ("en", "zh"))
    for page in (english, chinese):  # anchors are words of the language
        page.links = Counter(
            {
                "README": sum(count for link, count in page.links.items() if link.startswith("README")),
                "#": sum(count for link, count in page.links.items() if link.startswith("#")),
                **{link: count for link, count in page.links.items() if not link.startswith(("#", "README"))},
            }
        )
    same(english, chinese)


@pytest.mark.parametrize("language", READMES)
def test_every_variable_and_parameter_is_explained(language: str) -> None:
    page = {name: expand((ROOT / "docs" / language / f"{name}.md").read_text(), language) for name in PAGES}
    for variable in facts().configuration.variables:
        assert f"`{variable.name}`" in page["configuration"], variable.name
    for parameter in facts().training.parameters:
        assert f"### {parameter.flag} " in page["training-parameters"], parameter.flag
    for name in facts().variable_names():
        assert f'name="{name}"' in page["builder"], name
    for name in SCRIPTS:
        assert (ROOT / "scripts" / name).read_text() in page["scripts"], name
    for message in facts().messages.messages:
        assert f"{{: #{message.id} }}" in page["troubleshooting"], message.key
        for line in (message.text or "").splitlines():
            assert f"`` {line} ``" in page["troubleshooting"], message.key


@pytest.mark.parametrize(
    ("english", "chinese", "part"),
    [
        ("## A\n", "### 甲\n", "headings"),
        ("```bash\nls\n```\n", "```bash\nls -l\n```\n", "blocks"),
        ("| a |\n| --- |\n| b |\n", "| 甲 |\n| --- |\n", "tables"),
        ("- a\n- b\n", "- 甲\n", "items"),
        ("[a](x.md)", "[甲](y.md)", "links"),
        ("`NUM_GPUS`", "`NUM_NODES`", "names"),
        ('<div id="a">x</div>', '<div id="b">x</div>', "html"),
        ("takes 26.8 s", "需要 28.6 秒", "figures"),
    ],
)
def test_each_difference_is_seen(english: str, chinese: str, part: str) -> None:
    one, other = structure(english), structure(chinese)
    assert getattr(one, part) != getattr(other, part)
    with pytest.raises(AssertionError):
        same(one, other)

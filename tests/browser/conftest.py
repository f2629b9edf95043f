"""The site, built once; one Chromium for all tests; every page is watched for errors and requests to other hosts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from filelock import FileLock
from mkdocs.commands.build import build
from mkdocs.config import load_config
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from diffueraser_docs.render import ROOT
from tests.browser import address, serve, start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives the browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def site_folder(shared: Path) -> Path:
    """The built site, one for all workers."""
    with FileLock(shared / "site.lock"):
        if not (shared / "site").exists():
            part = shared / "site.part"
            config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(part), strict=True)
            config.plugins.on_startup(command="build", dirty=False)
            build(config)
            part.rename(shared / "site")
    return shared / "site"


@pytest.fixture(scope="session")
def origin(site_folder: Path) -> Iterator[str]:
    """Where the site is served."""
    with serve(site_folder) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        running = start(playwright)
        yield running
        running.close()


@dataclass
class Watched:
    """A page and what it should not have done."""

    page: Page
    origin: str
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go to a path of the site."""
        self.page.goto(self.origin + path)
        return self.page


def watch(page: Page, origin: str) -> Watched:
    """Note every error and every request to another host."""
    watched = Watched(page, origin)
    page.on("console", lambda said: watched.errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("response", lambda got: watched.errors.append(f"{got.status} {got.url}") if got.status >= 400 else None)
    page.on("request", lambda asked: note(asked.url))

    def note(url: str) -> None:
        if not url.startswith((origin, "data:", "blob:")):
            watched.elsewhere.append(url)

    return watched


def search(watched: Watched, language: str, words: str) -> list[str]:
    """Type words into the search of the site: the links it shows, best first."""
    page = watched.open(address("index", language))
    page.wait_for_load_state("networkidle")  # the index is there
    page.keyboard.press("/")  # the key that opens the search
    page.wait_for_function("document.activeElement.matches('.md-search__input')")
    page.keyboard.insert_text(words)
    page.keyboard.press("End")  # an input method ends with a key; the theme listens to keys
    found = page.locator(".md-search-result__item a")
    found.first.wait_for()
    links: list[str] = found.evaluate_all("links => links.map(a => a.href)")
    return links


AXE = Axe()
SOME_OF_EACH_KIND = """() => {
  for (const each of document.querySelectorAll('tbody > tr:nth-child(n+6), .message:nth-of-type(n+6)')) each.remove();
  const seen = new Set(), keep = new Set();
  for (const token of document.querySelectorAll('.highlight code span[class]')) {
    if (!seen.has(token.className)) { seen.add(token.className); keep.add(token.closest('code > span')); }
  }
  for (const line of document.querySelectorAll('.highlight code > span')) if (!keep.has(line)) line.remove();
  for (const number of document.querySelectorAll('.linenodiv span:nth-child(n+3)')) number.remove();
}"""


def serious(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe finds that keeps people out."""
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in AXE.run(page, options=options).response["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]


@dataclass
class Visit:
    """What one look at a page showed."""

    language: str
    links: list[str]
    switch: list[str]
    """Where the language switch leads."""
    light: list[str]
    dark: list[str]
    """Serious accessibility findings, the second in dark colours."""
    errors: list[str]
    elsewhere: list[str]


@pytest.fixture(scope="session")
def visit(browser: Browser, origin: str) -> Iterator[Callable[[str, str], Visit]]:
    """Looks at a page once, for all tests."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce")
    watched = watch(context.new_page(), origin)
    seen: dict[tuple[str, str], Visit] = {}

    def look(name: str, language: str) -> Visit:
        if (name, language) in seen:
            return seen[name, language]
        watched.errors, watched.elsewhere = [], []
        page = watched.open(address(name, language))
        links = page.evaluate("() => [...document.links].map(a => a.href)")
        switch = page.evaluate("() => [...document.querySelectorAll('.md-header .md-select__link')].map(a => a.href)")
        page.evaluate(SOME_OF_EACH_KIND)
        light = serious(page)
        page.evaluate("document.body.setAttribute('data-md-color-scheme', 'slate')")
        dark = serious(page, ["color-contrast", "link-in-text-block"])
        found = page.locator("html").get_attribute("lang") or ""
        seen[name, language] = Visit(found, links, switch, light, dark, watched.errors, watched.elsewhere)
        return seen[name, language]

    yield look
    context.close()


@pytest.fixture
def open_context(browser: Browser, origin: str) -> Iterator[Callable[..., Watched]]:
    """Makes a fresh browser profile; at the end, no page may have reported an error or asked another host."""
    made: list[tuple[BrowserContext, Watched]] = []

    def make(*, width: int = 1280, height: int = 900, dark: bool = False) -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write"],
            reduced_motion="reduce",
        )
        context.set_default_timeout(30_000)
        watched = watch(context.new_page(), origin)
        made.append((context, watched))
        return watched

    yield make
    for context, watched in made:
        context.close()
        assert watched.errors == []
        assert watched.elsewhere == []


@pytest.fixture
def desktop(open_context: Callable[..., Watched]) -> Watched:
    """A desktop's window in light colours."""
    return open_context()

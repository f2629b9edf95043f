"""Every page in both languages, light and dark: accessible, whole on a phone, without dead links, asking no other host."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import pytest

from diffueraser_docs.render import ROOT, SCRIPTS
from tests.browser import LANGUAGES, address, page_names
from tests.browser.conftest import Visit, Watched, search


@cache
def places(file: Path) -> set[str]:
    """The anchors of a built page."""
    return set(re.findall(r'\bid="([^"]+)"', file.read_text()))


each_page = pytest.mark.parametrize(("name", "language"), [(name, each) for name in page_names() for each in LANGUAGES])
Look = Callable[[str, str], Visit]


@each_page
def test_page_has_no_serious_accessibility_finding(visit: Look, name: str, language: str) -> None:
    assert visit(name, language).language == language
    assert visit(name, language).light == []
    assert visit(name, language).dark == [], "in dark colours"


@each_page
def test_page_reports_no_error_and_asks_no_other_host(visit: Look, name: str, language: str) -> None:
    assert visit(name, language).errors == []
    assert visit(name, language).elsewhere == []


@each_page
def test_every_link_leads_somewhere(visit: Look, origin: str, site_folder: Path, name: str, language: str) -> None:
    links = visit(name, language).links
    assert links
    for link in sorted(set(links)):
        if not link.startswith(origin):
            assert link.startswith("https://"), link
            continue
        path, fragment = urldefrag(link)
        file = site_folder / urlsplit(path).path.lstrip("/")
        file = file / "index.html" if file.is_dir() else file
        assert file.is_file(), f"{link} leads nowhere"
        if fragment and file.suffix == ".html":
            assert fragment in places(file), f"{link} has no such place"


@each_page
def test_the_language_switch_leads_to_the_same_page(visit: Look, origin: str, name: str, language: str) -> None:
    assert visit(name, language).switch == [origin + address(name, each) for each in LANGUAGES]


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_fit_a_phone(open_context: Callable[..., Watched], language: str) -> None:
    watched = open_context(width=390, height=844)
    for name in page_names():
        page = watched.open(address(name, language))
        wide = page.evaluate(
            """() => document.documentElement.scrollWidth > innerWidth
            ? [...document.querySelectorAll('.md-content *')].filter(e => e.getBoundingClientRect().right > innerWidth)
                .map(e => e.tagName + '.' + e.className).slice(0, 5) : []"""
        )
        assert wide == [], f"{name} is wider than the screen"
        small = page.evaluate(
            """() => [...document.querySelectorAll('.md-content :is(p, li, td, input, button)')]
            .filter(e => e.offsetParent && parseFloat(getComputedStyle(e).fontSize) < 11).length"""
        )
        assert small == 0, f"{name} has text that is too small to read"


@pytest.mark.parametrize("language", LANGUAGES)
def test_scripts_are_copied_and_downloaded_byte_for_byte(desktop: Watched, language: str) -> None:
    page = desktop.open(address("scripts", language))
    for name in SCRIPTS:
        wanted = (ROOT / "scripts" / name).read_bytes()
        heading = page.locator(f"h2[id='{name.replace('.', '-')}']")
        block = heading.locator("xpath=following::div[contains(@class, 'highlight')][1]")
        heading.locator("xpath=following::summary[1]").click()
        page.evaluate("navigator.clipboard.writeText('')")
        block.locator("button[data-clipboard-target]").first.click()
        page.wait_for_function("async () => (await navigator.clipboard.readText()).length > 0")
        assert page.evaluate("navigator.clipboard.readText()").encode() == wanted
        assert block.locator(".linenos").count() > 0 or block.locator("[data-linenos]").count() > 0, "lines are numbered"
        with page.expect_download() as got:
            heading.locator("xpath=following::a[@download][1]").click()
        assert got.value.suggested_filename == name
        assert Path(got.value.path()).read_bytes() == wanted


def test_the_language_switch_works_by_mouse(desktop: Watched) -> None:
    page = desktop.open(address("configuration", "en"))
    for language, title in (("zh", "简体中文"), ("en", "English")):
        page.locator(".md-header .md-select button").hover()
        page.get_by_role("link", name=title).click()
        page.wait_for_url(desktop.origin + address("configuration", language))
        assert page.locator("html").get_attribute("lang") == language


def test_the_language_switch_keeps_the_place(desktop: Watched) -> None:
    page = desktop.open(address("index", "en") + "#cluster")
    page.locator(".md-header .md-select button").hover()
    page.get_by_role("link", name="简体中文").click()
    page.wait_for_url(desktop.origin + address("index", "zh") + "#cluster")


def test_a_page_that_is_not_there_leads_on_in_both_languages(desktop: Watched, site_folder: Path) -> None:
    page = desktop.open("/404.html")
    links = page.evaluate("() => [...document.links].map(a => [a.closest('[lang]').lang, new URL(a.href).pathname])")
    assert {language for language, _ in links} == set(LANGUAGES)
    for _, path in links:
        assert (site_folder / path.lstrip("/") / "index.html").is_file(), path


SEARCHES = {
    "zh": {
        "权重在哪里": "/zh/#weights",
        "显存不足": "/zh/training-parameters/#out-of-memory",
        "学习率": "/zh/training-parameters/#learning_rate",
        "断点续训": "/zh/how-it-works/#interruptions",
        "国内镜像": "/zh/#cluster",
    },
    "en": {
        "learning rate": "/training-parameters/#learning_rate",
        "rejects the token": "/troubleshooting/#hub-token-rejected",
        "DependencyNeverSatisfied": "/troubleshooting/#pending-never",
        "nframes": "/training-parameters/#nframes",
        "sinfo": "/#cluster",
    },
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_search_finds_the_place(desktop: Watched, language: str) -> None:
    for words, place in SEARCHES[language].items():
        found = search(desktop, language, words)
        assert any(urlsplit(link).path + "#" + urlsplit(link).fragment == place for link in found), (words, found[:12])
        assert all(urlsplit(link).path.startswith("/zh/") == (language == "zh") for link in found), "one language each"


def test_light_and_dark_can_be_chosen_and_are_remembered(desktop: Watched) -> None:
    page = desktop.open(address("index", "en"))
    assert page.locator("body").get_attribute("data-md-color-scheme") == "default"
    page.get_by_title("Dark").click()
    assert page.locator("body").get_attribute("data-md-color-scheme") == "slate"
    desktop.open(address("scripts", "zh"))
    assert page.locator("body").get_attribute("data-md-color-scheme") == "slate"


def test_the_keyboard_reaches_content_and_shows_where_it_is(desktop: Watched) -> None:
    page = desktop.open(address("index", "en"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className").startswith("md-skip")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    focused = page.evaluate(
        "() => [document.activeElement.closest('.md-content') !== null, getComputedStyle(document.activeElement).outlineStyle]"
    )
    assert focused == [True, "solid"]

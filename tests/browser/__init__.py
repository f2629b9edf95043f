"""The built site in a real Chromium."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml
from playwright.sync_api import Browser, Playwright

from diffueraser_docs.render import ROOT

LANGUAGES = ("en", "zh")
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]


def page_names() -> list[str]:
    """Every page of the navigation, by its file's name."""
    config = (ROOT / "mkdocs.yml").read_text().replace("!ENV", "")
    groups: list[dict[str, list[dict[str, str]]]] = yaml.safe_load(config)["nav"]
    return [Path(page).stem for group in groups for entries in group.values() for entry in entries for page in entry.values()]


def address(name: str, language: str) -> str:
    """Path of a page on the site."""
    folder = "" if name == "index" else f"{name}/"
    return f"/{'zh/' if language == 'zh' else ''}{folder}"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send a file, as far as the browser wants it: it may have left the page."""
        with suppress(ConnectionError):
            super().copyfile(source, outputfile)


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder; gives its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def start(playwright: Playwright) -> Browser:
    """Debian's Chromium without a screen."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)

"""Every local link of a Markdown file leads somewhere, also to its heading; by lychee, without the network."""

import subprocess
import sys
from pathlib import Path

import pytest

from diffueraser_docs.render import ROOT

FILES = sorted([*ROOT.glob("*.md"), *(ROOT / "PRD").glob("*.md")])
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def broken(files: list[Path], *options: str) -> str:
    """What lychee says of links that lead nowhere; empty when all do."""
    command = [
        str(Path(sys.executable).with_name("lychee")),
        "--offline",
        "--no-progress",
        "--quiet",
        *options,
    ]
    result = subprocess.run([*command, *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def test_no_link_of_a_file_is_broken() -> None:
    assert len(FILES) > 4
    assert broken(FILES, "--include-fragments") == ""


def test_no_link_between_pages_is_broken() -> None:
    """Headings get their anchors when the site is built: `make lint` looks there. Links made by a macro exist only there too."""
    assert len(PAGES) > 15
    assert broken(PAGES, "--exclude", "%7B") == ""


@pytest.mark.parametrize("link", ["[x](nowhere.md)", "[x](#no-such-heading)", "[x](index.md#no-such-heading)", "![x](image.png)"])
def test_a_broken_link_is_found(tmp_path: Path, link: str) -> None:
    (tmp_path / "index.md").write_text("# Index\n\n[good](index.md) [heading](#index)\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n[good](index.md#index)\n\n{link}\n")
    assert "page.md" in broken([page, tmp_path / "index.md"], "--include-fragments")

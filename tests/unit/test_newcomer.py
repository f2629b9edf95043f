"""A newcomer's first hour: each edit that CONTRIBUTING describes is one edit, `make docs`, and nothing is forgotten."""

import subprocess
import sys
from pathlib import Path

import pytest

from diffueraser_docs.render import READMES, ROOT
from tests.mutations import Bench

PARAMETER = """\
- flag: ema_decay
  group: optimiser
  kind: nonnegative
  stage1: '0.999'
  stage2: '0.9999'
  common: true
  meaning: {en: decay of the averaged weights, zh: 权重滑动平均的衰减}
  change: {en: Rarely needs changing., zh: 一般不改。}
"""
REPOSITORY = """\
- name: DiffuEraser-more-data
  role: extra
  size_bytes: 1500000000
  used_by: {en: nobody yet, zh: 暂无}
  contents:
  - {path: more.tar}
"""
PAGE = {"en": "# More\n\n{{ repositories_table() }}\n", "zh": "# 更多\n\n{{ repositories_table() }}\n"}
pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh checkout."""
    return Bench(tmp_path).root


def edit(path: Path, old: str, new: str) -> None:
    """The one edit."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path.name}: the case is out of date"
    path.write_text(text.replace(old, new), encoding="utf-8")


def command(checkout: Path, *words: str) -> str:
    """Run a command of the checkout; what it printed."""
    result = subprocess.run([sys.executable, "-m", *words], cwd=checkout, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def make_docs(checkout: Path) -> set[str]:
    """What `make docs` does besides building the site; gives the files that it wrote."""
    written = command(checkout, "diffueraser_docs", "render")
    command(checkout, "diffueraser_docs", "check")
    return {line.removeprefix("written: ") for line in written.splitlines()}


def fast_tests(checkout: Path) -> None:
    """The tests that could want a second edit."""
    names = [f"tests/unit/test_{name}.py" for name in ("facts", "render")]
    command(checkout, "pytest", "-q", "-x", "-p", "no:cacheprovider", *names)


def test_a_default_is_changed_in_one_entry(checkout: Path) -> None:
    training = checkout / "diffueraser_docs" / "facts" / "training.yaml"
    text = training.read_text(encoding="utf-8")
    nframes = text[text.index("- flag: nframes") : text.index("- flag: train_batch_size")]
    edit(training, nframes, nframes.replace("stage2: '22'", "stage2: '24'"))
    assert make_docs(checkout) == {"scripts/config.env", "scripts/common.sh", *READMES.values()}
    assert "# STAGE2_NFRAMES=24 " in (checkout / "scripts" / "config.env").read_text()
    assert "--nframes='10 // 24'" in (checkout / "scripts" / "common.sh").read_text()
    for readme in READMES.values():
        assert "| `NFRAMES` | `10` | `24` |" in (checkout / readme).read_text()
    fast_tests(checkout)


def test_a_parameter_is_added_as_one_entry(checkout: Path) -> None:
    edit(checkout / "diffueraser_docs" / "facts" / "training.yaml", "\nfixed:\n", f"\n{PARAMETER}fixed:\n")
    assert make_docs(checkout) == {"scripts/config.env", "scripts/common.sh", *READMES.values()}
    config, common = ((checkout / "scripts" / name).read_text() for name in ("config.env", "common.sh"))
    for stage, value in (("1", "0.999"), ("2", "0.9999")):
        assert f"# STAGE{stage}_EMA_DECAY={value} " in config
    assert "--ema_decay='0.999 // 0.9999'" in common
    assert "| `EMA_DECAY` | `0.999` | `0.9999` |" in (checkout / "README.md").read_text()
    fast_tests(checkout)


def test_a_page_is_two_texts_and_its_titles(checkout: Path) -> None:
    for language, text in PAGE.items():
        (checkout / "docs" / language / "more.md").write_text(text, encoding="utf-8")
    nav = checkout / "mkdocs.yml"
    edit(nav, "  - For maintainers: maintainers.md\n", "  - For maintainers: maintainers.md\n  - More: more.md\n")
    edit(nav, "        For maintainers: 维护者\n", "        For maintainers: 维护者\n        More: 更多\n")
    assert make_docs(checkout) == {"nothing to write: scripts and READMEs are as the facts say"}
    command(checkout, "mkdocs", "build", "--strict")
    for page in ("more/index.html", "zh/more/index.html"):
        assert "DiffuEraser-finetune-weights" in (checkout / "site" / page).read_text(encoding="utf-8")


def test_a_repository_is_added_as_one_entry(checkout: Path) -> None:
    path = checkout / "diffueraser_docs" / "facts" / "hub.yaml"
    path.write_text(path.read_text(encoding="utf-8") + REPOSITORY, encoding="utf-8")
    assert set(READMES.values()) <= make_docs(checkout)
    for readme in READMES.values():
        text = (checkout / readme).read_text()
        assert "| 5 | `DiffuEraser-more-data` | `more.tar` | ~1.5 GB |" in text
        assert "│   └── DiffuEraser-more-data/" in text
    assert "| nobody yet | not yet |" in (checkout / "README.md").read_text()
    fast_tests(checkout)


def test_contributing_describes_each_of_them() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for wish in ("change a default", "add a training parameter", "add a page", "add a repository"):
        assert f"| {wish} | " in text

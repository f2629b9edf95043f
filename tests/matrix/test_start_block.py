"""The start block of the READMEs is pasted into a terminal of a bare Debian, the two edits are made in the real editor."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffueraser_docs.facts import facts
from diffueraser_docs.macros import ARCHIVE
from diffueraser_docs.markdown import code_blocks
from diffueraser_docs.mkdocs_hook import archive
from diffueraser_docs.render import READMES, ROOT, SCRIPTS, render_all
from tests.cluster.project import Project
from tests.cluster.walk import SHOWN
from tests.hub import TOKEN
from tests.matrix.conftest import Site
from tests.matrix.services import serve
from tests.matrix.terminal import Terminal
from tests.matrix.training import held

EDIT = "nano config.env"
CHECK = "bash setup_and_train.sbatch check"
TRIAL = "bash setup_and_train.sbatch trial"
REPLACE, SAVE_AND_LEAVE = "\x1c{}\r{}\rA", "\x18Y\r"  # as one types it in nano: ^\ and ^X
TWO_EDITS = REPLACE.format("hf_your_token_here", TOKEN) + REPLACE.format("TRAIN_VERSION=non-prompt", "TRAIN_VERSION=prompt")
PLAN = [("setup", "compute"), ("training", "gpu"), ("DPO-dataset", "compute")]
REPOSITORY = "https://example.org/you/finetune"
COMMIT = "git init --quiet; git add .; git -c user.name=you -c user.email=you@example.org commit --quiet --message=Scripts"


@pytest.fixture(scope="module")
def copy(site: Site) -> Path:
    """A copy of the repository, with the archive that `make docs` builds."""
    folder = site.folder / "copy"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    subprocess.run(["bash", "-ec", COMMIT], cwd=folder, check=True)
    downloads = folder / "site" / "downloads"
    downloads.mkdir(parents=True)
    (downloads / ARCHIVE).write_bytes(archive())
    return folder


@pytest.fixture(scope="module")
def published(site: Site, copy: Path) -> str:
    """The address at which the site is published."""
    return serve(site.lab, copy / "site") + "/"


@pytest.fixture
def new(site: Site) -> Iterator[Project]:
    """A folder that is not there yet."""
    yield Project(Path(tempfile.mkdtemp(dir=site.folder)) / "diffueraser", site.lab, site.hub, site.index)
    site.lab.clear()


@pytest.mark.scenario("The start block, pasted into a terminal", "把开头的命令粘贴到终端")
@pytest.mark.parametrize("language", READMES)
@pytest.mark.parametrize("way", ["copy", "clone", "archive", "unfold"])
def test_start_block_submits_line_by_line(site: Site, new: Project, copy: Path, published: str, way: str, language: str) -> None:
    addresses = {"clone": {"repository_url": REPOSITORY}, "archive": {"site_url": published}}
    lines = start_block(new, language, addresses.get(way, {}))
    assert lines[3:5] == [EDIT, CHECK]
    env = {**new.env, "GIT_CONFIG_PARAMETERS": f"'url.file://{copy}.insteadOf={REPOSITORY}'"}
    with Terminal(site.lab, copy if way == "copy" else site.folder, env) as terminal:
        for number, line in enumerate(lines):
            if (way, number) == ("unfold", 2):
                new.copy_scripts(language)
                continue
            terminal.paste(line)
            if line == EDIT:
                make_two_edits(terminal, new)
            status, shown = terminal.status()
            assert status == 0, shown
            if line == CHECK:
                assert re.findall(r"^ +(setup|training|DPO-dataset) +(\w+)", shown, re.MULTILINE) == PLAN
                assert not held(site.lab)
    was_submitted(new, shown)


@pytest.mark.scenario("The start block, pasted into a terminal", "把开头的命令粘贴到终端")
def test_start_blocks_pasted_whole(site: Site, new: Project, copy: Path) -> None:
    assert f"`{TRIAL}`" in (ROOT / READMES["en"]).read_text()
    with Terminal(site.lab, copy, new.env) as terminal:
        lines = start_block(new, "en", {})
        terminal.paste("\n".join(lines[:4]))
        make_two_edits(terminal, new)
        assert terminal.status()[0] == 0
        terminal.paste("\n".join(lines[4:]))
        status, shown = terminal.status()
        assert status == 0, shown
        was_submitted(new, shown)
        site.lab.clear()
        known = set(site.lab.jobs())
        terminal.paste(TRIAL)
        status, shown = terminal.status()
    assert (status, {int(job) for job in re.findall(r"\bjob (\d+)", shown)}) == (0, set(site.lab.jobs()) - known), shown


def start_block(project: Project, language: str, addresses: dict[str, str]) -> list[str]:
    """The lines of both blocks that the README shows, or would if it were published; the folder is the user's own."""
    data = facts().model_copy(update={"project": facts().project.model_copy(update=addresses)})
    text = next(each.text for each in render_all(data) if each.path == READMES[language])
    assert addresses or text == (ROOT / READMES[language]).read_text()
    # The first ends with the editor, which would read what follows as typed text.
    first, second = code_blocks(text, READMES[language])[:2]
    assert first.text.splitlines()[-1] == EDIT
    return f"{first.text}{second.text}".replace(SHOWN, str(project.folder)).splitlines()


def make_two_edits(terminal: Terminal, project: Project) -> None:
    """Once the editor is open the five files are there, as they are published; then type, save and leave."""
    terminal.until("Exit")
    assert all((project.folder / name).read_bytes() == (ROOT / "scripts" / name).read_bytes() for name in SCRIPTS)
    terminal.press(TWO_EDITS + SAVE_AND_LEAVE)


def was_submitted(project: Project, shown: str) -> None:
    """Slurm knows the launcher's job under the number that was shown, and the three jobs that it submits."""
    launcher = int(re.findall(r"\d+", shown)[-1])
    assert project.lab.wait(launcher) == "COMPLETED", project.log()
    assert len([job for job in project.lab.jobs() if job > launcher]) == len(PLAN)

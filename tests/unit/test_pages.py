"""What pages tell a collaborator to write into config.env is read by the scripts without a complaint."""

import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from diffueraser_docs.facts import facts
from diffueraser_docs.macros import ARCHIVE
from diffueraser_docs.mkdocs_hook import archive
from diffueraser_docs.render import READMES, ROOT, SCRIPTS, render_all
from tests.cluster.pages import block_commands, code_spans, inline_commands, page_texts, settings_blocks
from tests.unit.test_config_reader import TOKEN, read

PAGE = """
Type `bash setup_and_train.sbatch status`, or `STAGE=1 sbatch 02_train.sbatch`; `STAGE1_CHECKPOINT=<step> sbatch 02_train.sbatch`
is an example, `sbatch refused this job` a message, `config.env` a file.

```bash
# a comment
mkdir -p "$PROJECT_HOME" &&
  cd "$PROJECT_HOME"
$ sbatch 01_setup.sbatch
```

!!! note
    ```bash
    bash 01_setup.sbatch
    ```

```bash
NUM_GPUS=1        # one
STAGE1_EXTRA_ARGS="--a b"
```
"""


def test_settings_shown_by_a_page_are_accepted(tmp_path: Path) -> None:
    blocks = [block for page, text in page_texts().items() for block in settings_blocks(text, page)]
    assert blocks
    for block in blocks:
        status, _, printed = read(tmp_path, f"HF_TOKEN={TOKEN}\n{block.text}")
        assert status == 0, f"{block.path}:{block.line}: {printed}"


def test_commands_settings_and_scripts_are_told_apart() -> None:
    assert [command.text for command in block_commands(PAGE, "page.md")] == [
        'mkdir -p "$PROJECT_HOME" &&\n  cd "$PROJECT_HOME"',
        "sbatch 01_setup.sbatch",
        "bash 01_setup.sbatch",
    ]
    assert [block.text.split("=")[0] for block in settings_blocks(PAGE, "page.md")] == ["NUM_GPUS"]
    assert [command.text for command in inline_commands(PAGE, "page.md")] == [
        "bash setup_and_train.sbatch status",
        "STAGE=1 sbatch 02_train.sbatch",
    ]
    assert len(code_spans(PAGE)) == 5


@pytest.mark.parametrize("page", [*READMES.values(), "docs/en/index.md", "docs/zh/index.md"])
def test_start_block_runs_as_pasted(tmp_path: Path, page: str) -> None:
    commands = [command.text for command in block_commands(page_texts()[page], page)][:6]
    place = commands[0].removeprefix("export PROJECT_HOME=")
    assert commands[3:] == ["nano config.env", "bash setup_and_train.sbatch check", "sbatch setup_and_train.sbatch"]
    code = "\n".join(commands[:3]).replace(place, str(tmp_path / "new" / "project")) + "\npwd; ls\n"
    result = subprocess.run(["bash"], input=code, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    assert result.stdout.split() == [str(tmp_path / "new" / "project"), *sorted(SCRIPTS)]


@pytest.fixture
def published(tmp_path: Path) -> Iterator[str]:
    """Where a site with the archive of scripts is published."""
    (tmp_path / "site" / "downloads").mkdir(parents=True)
    (tmp_path / "site" / "downloads" / ARCHIVE).write_bytes(archive())
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow  # needs curl
@pytest.mark.parametrize("readme", READMES.values())
def test_start_block_takes_the_scripts_from_the_site(tmp_path: Path, published: str, readme: str) -> None:
    project = facts().project.model_copy(update={"site_url": published, "repository_url": "https://example.org/you/finetune"})
    text = next(each.text for each in render_all(facts().model_copy(update={"project": project})) if each.path == readme)
    commands = [command.text for command in block_commands(text, readme)][:3]
    folder = str(tmp_path / "new" / "project")
    code = "\n".join(commands).replace(commands[0].removeprefix("export PROJECT_HOME="), folder) + "\nls\n"
    result = subprocess.run(["bash"], input=code, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (result.stderr, result.stdout.split()) == ("", sorted(SCRIPTS))
    assert all((Path(folder) / name).read_bytes() == (ROOT / "scripts" / name).read_bytes() for name in SCRIPTS)
    for link in ("training-parameters/", "builder/", "troubleshooting/#gpu-memory"):
        assert f"({published}{'zh/' if 'zh' in readme else ''}{link})" in text
    assert "(https://example.org/you/finetune/issues)" in text


def test_the_readmes_show_the_scripts_and_no_settings_that_would_be_typed() -> None:
    for page, text in page_texts().items():
        for command in block_commands(text, page):
            assert "set -euo pipefail" not in command.text, f"{page}: a script is taken for commands"
            assert not any(command.text.startswith(f"# {name}") for name in SCRIPTS)

"""Real curl, hf, pip and uv beside what a user's own files tell them: no password and no token in a log or a process."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffueraser_docs.facts import facts
from tests.cluster.secrets import SecretWatch
from tests.fuzz.hubs import DPO
from tests.fuzz.outcome import check_outcome, outside
from tests.hub import Hub
from tests.replay.site import Site

BIN = Path(sys.executable).parent
CLOSED = "127.0.0.1:9"
FILES = {
    ".curlrc": f'verbose\ninclude\nuser = "me:s3cret5"\nproxy = "http://me:s3cret5@{CLOSED}"\ntrace-ascii = "-"\n',
    ".netrc": "machine 127.0.0.1 login me password s3cret5\ndefault login me password s3cret5\n",
    ".config/pip/pip.conf": f"[global]\nverbose = 3\nextra-index-url = http://me:s3cret5@{CLOSED}/pip\n",
    ".pip/pip.conf": f"[global]\nverbose = 3\nextra-index-url = http://me:s3cret5@{CLOSED}/pip\n",
    ".config/uv/uv.toml": f'extra-index-url = ["http://me:s3cret5@{CLOSED}/uv"]\n',
    ".condarc": f"verbosity: 3\nchannel_alias: http://me:s3cret5@{CLOSED}\nproxy_servers: {{http: 'http://me:s3cret5@{CLOSED}'}}\n",
    ".cache/huggingface/token": "hf_OfAnotherProject00\n",
}
"""Of the user's home."""
TOKEN = "hf_StandInTokenOfTheSecrets0"
MIRROR = f"https://me:s3cret6@{CLOSED}/simple"


@pytest.fixture
def home(site: Site) -> Site:
    """A cluster on which the user has files of their own."""
    for name, text in FILES.items():
        (site.folder / "home" / name).parent.mkdir(parents=True, exist_ok=True)
        (site.folder / "home" / name).write_text(text)
    site.env["SLURM_CONF"] = f"{site.folder}/slurm.conf"  # by which the watch knows whose a process is
    return site


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A repository with a file that hf fetches, and one that curl fetches."""
    folder = tmp_path_factory.mktemp("hub") / facts().hub.organisation / DPO
    folder.mkdir(parents=True)
    (folder / "small.txt").write_text("small")
    (folder / "clips.tar").write_bytes(bytes(20_000))
    with Hub(folder.parent.parent, TOKEN) as running:
        yield running


def run(site: Site, command: str, error: str = "", secret: str = "s3cret5") -> SecretWatch:
    """Run setup and look for a secret in all that it prints, writes and starts: there is none."""
    before = outside(site)
    with SecretWatch(site.folder, secret, interval=0.02) as watch:
        result = site.run(command)
    check_outcome(result, site, before, command)
    assert result.errors == [error] * bool(error), result.printed
    assert watch.samples > 5
    assert watch.seen == set()
    return watch


@pytest.mark.parametrize("secret", [TOKEN, "s3cret5"])
def test_secrets_of_hf_and_curl(home: Site, hub: Hub, secret: str) -> None:
    setup = home.project / "01_setup.sbatch"
    setup.write_text(setup.read_text().replace("LARGE=1000000000", "LARGE=1000"))
    home.answer("uv", "^pip install .*hub", run=f'ln -sf "{BIN}/hf" "{home.project}/environments/tools/hub/bin/hf"; exit')
    home.configure(f"HF_TOKEN={TOKEN}\nHF_ENDPOINT={hub.endpoint}")
    watch = run(home, "bash 01_setup.sbatch dpo-dataset", secret=secret)
    assert (home.project / "DiffuEraser_downloads" / DPO / "small.txt").read_text() == "small"
    assert (home.project / "DiffuEraser_downloads" / DPO / "clips.tar").read_bytes() == bytes(20_000)
    assert watch.given_to_hf == (secret == TOKEN)


def test_secrets_of_pip(home: Site) -> None:
    home.reach_hub([])
    home.answer("tools-python", "-m pip", run=f'exec "{sys.executable}" "$@" --retries 1 --dry-run --ignore-installed')
    home.configure(f"PYPI_MIRROR={MIRROR}")
    run(home, "bash 01_setup.sbatch dpo-dataset", "tools-uv")
    log = (home.project / "logs" / "tools-uv.log").read_text()
    assert CLOSED in log, "the case needs a pip that asked the mirror"
    assert f"{CLOSED}/pip" not in log, "pip read a file of the user's"


def test_secrets_of_uv_packages(home: Site) -> None:
    home.reach_hub([])
    install = f'pip install --python "{sys.executable}" --dry-run --reinstall --requirement "{home.project}/.state/hub.txt"'
    home.answer("uv", "^pip install .*hub", run=f'UV_HTTP_RETRIES=0 exec "{BIN}/uv" {install}')
    home.configure(f"PYPI_MIRROR={MIRROR}")
    run(home, "bash 01_setup.sbatch dpo-dataset", "tools-hub")
    log = (home.project / "logs" / "tools-hub.log").read_text()
    assert f"{CLOSED}/simple" in log, "the case needs a uv that asked the mirror"
    assert f"{CLOSED}/uv" not in log, "uv read a file of the user's"


def test_secrets_of_uv_pythons(home: Site) -> None:
    home.reach_hub([])
    home.answer("uv", "^venv .*diffueraser", run=f'UV_HTTP_RETRIES=0 UV_PYTHON_PREFERENCE=only-managed exec "{BIN}/uv" "$@"')
    home.configure(f"UV_PYTHON_INSTALL_MIRROR={MIRROR}\nENV_TOOL=uv")
    run(home, "bash 01_setup.sbatch training", "python")
    assert "cpython-3" in (home.project / "logs" / "python-uv.log").read_text(), "the case needs a uv that asked the mirror"

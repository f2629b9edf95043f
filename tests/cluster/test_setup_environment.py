"""The training environment: by conda or uv, and whatever the user's shell exports."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.project import Project
from tests.cluster.secrets import SecretWatch, files_with
from tests.cluster.setup import assert_complete, on_login_node, setup, stand_in
from tests.hub import TOKEN

CONDA_FAILS = "echo 'UnavailableInvalidChannel: no such channel' >&2; exit 1"
HOSTILE = {
    "PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_USER": "1", "PIP_TARGET": "/nowhere",
    "UV_INDEX_URL": "http://127.0.0.1:9", "UV_PYTHON": "2.7", "UV_OFFLINE": "1", "UV_CONFIG_FILE": "/nowhere/uv.toml",
    "PYTHONHOME": "/nowhere", "PYTHONSTARTUP": "/nowhere", "PYTHONWARNINGS": "error", "PYTHONSAFEPATH": "1",
    "VIRTUAL_ENV": "/nowhere", "TAR_OPTIONS": "--exclude=*", "GREP_OPTIONS": "--invert-match", "POSIXLY_CORRECT": "1",
    "GZIP": "--fast", "CDPATH": "/", "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": "/nowhere", "HF_TOKEN_PATH": "/nowhere",
    "HF_DEBUG": "1", "HUGGINGFACE_HUB_VERBOSITY": "debug", "HF_HUB_ENABLE_HF_TRANSFER": "1", "HF_XET_LOG_LEVEL": "debug",
    "HUGGING_FACE_HUB_TOKEN": "hf_SomebodyElses1", "GIT_DIR": "/nowhere", "ACCELERATE_CONFIG_FILE": "/nowhere",
    "LANG": "de_DE.UTF-8", "LC_ALL": "zh_CN.GB18030",
}  # fmt: skip
"""What modules and login files of real clusters export."""
CURLRC = 'verbose\ninclude\ntrace = "{trace}"\nwrite-out = "%{{http_code}}"\n'


def test_hostile_environment(unprepared: Project, tmp_path: Path) -> None:
    """A link as PROJECT_HOME, a strict umask, and all that a shell can hold: everything is built, and the token is nowhere."""
    project = unprepared
    for mark in ("tools", "environment"):
        project.state(mark).unlink()
    home = tmp_path / "home"
    (home / ".config" / "pip").mkdir(parents=True)
    trace = tmp_path / "trace"
    (home / ".curlrc").write_text(CURLRC.format(trace=trace))
    (home / ".config" / "pip" / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9\n")
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text("raise SystemExit('a module of the cluster')\n")
    link = project.folder.with_name("link")  # stays: the environment's programs name it
    link.symlink_to(project.folder)
    project.edit(PROJECT_HOME=str(link))
    (project.folder / "strict.sh").write_text("#!/bin/bash\numask 077\nexec bash 01_setup.sbatch training\n")
    env = {**HOSTILE, "HOME": str(home), "PYTHONPATH": str(tmp_path / "modules"), "DOWNLOAD_ATTEMPTS": "2"}
    with SecretWatch(project.lab.folder.parent, TOKEN, interval=0.05) as watch:
        job = project.sbatch("--output=logs/strict-%j.log", "strict.sh", **env)
        assert project.lab.wait(job, 400) == "COMPLETED", project.log()
    assert_complete(project)
    assert watch.samples > 50
    assert watch.seen == set()
    assert watch.given_to_hf, "the case never saw hf"
    assert not trace.exists(), "curl read a .curlrc"
    assert files_with(TOKEN, [project.folder, tmp_path]) == []
    written = {path.relative_to(home).parts[0] for path in home.rglob("*") if path.is_file()}
    assert written - {".rustup"} == {".curlrc", ".config"}, "HOME was written to"  # pip asks rustc, here rustup, for its version


@contextmanager
def environment_aside(project: Project, place: Path) -> Iterator[None]:
    """For a while without the training environment; afterwards with it again."""
    mark = project.state("environment")
    before = mark.read_text()
    mark.unlink()
    project.environment.rename(place)
    try:
        yield
    finally:
        shutil.rmtree(project.environment, ignore_errors=True)
        place.rename(project.environment)
        mark.write_text(before)


def test_conda_makes_the_environment(unprepared: Project, tmp_path: Path) -> None:
    conda = stand_in(tmp_path / "bin", "conda", f'printf "%s\\n" "$@" >"{tmp_path}/asked"\nexec "{sys.executable}" -m venv "$5"')
    path = f"{tmp_path / 'bin'}:{unprepared.lab.env['PATH']}"
    with environment_aside(unprepared, tmp_path / "kept"):
        said = on_login_node(unprepared, PATH=path, CONDA_CHANNEL="http://127.0.0.1:9/conda-forge").completed()
        assert str(conda) in said
        asked = (tmp_path / "asked").read_text().split("\n")
        assert "--override-channels" in asked
        assert asked[asked.index("--channel") + 1] == "http://127.0.0.1:9/conda-forge"
        assert [word for word in asked if word.startswith("python=3.")]
        assert unprepared.state("environment").exists()
        assert_complete(unprepared)


def test_conda_fails_or_is_missing(unprepared: Project, tmp_path: Path) -> None:
    stand_in(tmp_path / "bin", "conda", CONDA_FAILS)
    path = f"{tmp_path / 'bin'}:{unprepared.lab.env['PATH']}"
    with environment_aside(unprepared, tmp_path / "kept"):
        line = on_login_node(unprepared, PATH=path, ENV_TOOL="conda").refused("python")
        assert "UnavailableInvalidChannel" in line
        assert "CONDA_CHANNEL" in line
        assert "anaconda9" in on_login_node(unprepared, CONDA_MODULE="anaconda9").refused("conda-missing")
        assert "ENV_TOOL=uv" in on_login_node(unprepared, ENV_TOOL="conda").refused("conda-missing")
        assert not unprepared.state("environment").exists()
        assert setup(unprepared, PATH=path) == "COMPLETED", unprepared.log()  # uv is the second way

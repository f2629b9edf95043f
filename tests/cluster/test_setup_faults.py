"""01_setup against a Hub with faults: it gets there, or its log ends with what to do; the next start goes on from there."""

import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from diffueraser_docs.facts import facts
from tests.cluster.lab import ENDED
from tests.cluster.project import Project
from tests.hub import TOKEN
from tests.trainer import model, tar

Record = Callable[[str, object], None]
ORG = facts().hub.organisation
CODE, PROMPT, WEIGHTS, DPO = (f"{ORG}/{repository.name}" for repository in facts().hub.repositories)
UNET = "stable-diffusion-v1-5/unet/diffusion_pytorch_model.safetensors"
POINTER = f"{facts().hub.pointer_line}\noid sha256:{'0' * 64}\nsize 4\n"


def size(project: Project, repository: str, path: str) -> int:
    """Bytes of a file on the Hub."""
    return (project.hub.root / repository / path).stat().st_size


def setup(project: Project, **env: str) -> str:
    """Submit setup for training and give its end."""
    return project.lab.wait(project.sbatch("01_setup.sbatch", "training", **{"DOWNLOAD_ATTEMPTS": "2", **env}), 240)


def assert_complete(project: Project) -> None:
    """What the Hub holds is what is on disk, whole, and nothing half-made is left."""
    root = project.root("non-prompt")
    for path in (project.hub.root / WEIGHTS / "stable-diffusion-v1-5").rglob("*.*"):
        below = path.relative_to(project.hub.root / WEIGHTS)
        assert (root / "weights" / below).read_bytes() == path.read_bytes(), below
    for name in (
        "dataset/DAVIS/JPEGImages",
        "dataset/YTBV/JPEGImages",
        "weights/diffuEraser/brushnet",
        "train_DiffuEraser_stage1.py",
    ):
        assert (root / name).exists(), name
    left = [path for path in project.folder.rglob(".part-*") if "environments" not in path.parts]
    assert not left, left


@contextmanager
def replaced(path: Path, content: bytes | None) -> Iterator[None]:
    """A file of the Hub with other content, or without it; as it was, afterwards."""
    before = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


# --- access: said at once, before anything is downloaded --------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "edits", "faults", "said"),
    [
        ("missing", {"HF_TOKEN": ""}, [], r"HF_TOKEN is empty: put your token on its line in config.env; get one at https://"),
        ("placeholder", {"HF_TOKEN": "hf_your_token_here"}, [], r"config.env line 2: HF_TOKEN is not .*; get one at https://"),
        (
            "wrong",
            {"HF_TOKEN": "hf_SomebodyElses1"},
            [],
            r"does not know this HF_TOKEN \(401\).* into config.env line 2; get one at https://",
        ),
        (
            "forbidden",
            {},
            [{"match": f"/{WEIGHTS}", "kind": "status", "value": 403}],
            rf"may not read {WEIGHTS} \(403\).*line 2; get one at https://",
        ),
        (
            "renamed",
            {},
            [{"match": f"/{CODE}/", "kind": "renamed"}],
            rf"no repository {CODE} on the Hub that this HF_TOKEN can see \(404\).* set HF_ORG in config.env",
        ),
        ("other organisation", {"HF_ORG": "nobody"}, [], r"no repository nobody/.* set HF_ORG"),
    ],
)
@pytest.mark.parametrize("tools", ["with tools", "without tools"])
@pytest.mark.fault("{fault}", "access", "refused")
def test_access_is_checked_in_the_first_seconds(
    unprepared: Project, fault: str, edits: dict[str, str], faults: list[dict[str, Any]], said: str, tools: str
) -> None:
    unprepared.edit(**edits)
    unprepared.hub.set_faults(*faults)
    marker = unprepared.folder / ".state" / "tools"
    before = marker.read_text()
    if tools == "without tools":
        marker.unlink()
    started = time.monotonic()
    try:
        assert setup(unprepared) == "FAILED"
        assert time.monotonic() - started < 20
        assert re.search(said, unprepared.log()), unprepared.log()
        assert "ERROR" in unprepared.last_line()
        assert unprepared.hub.payload() == {}
    finally:
        marker.write_text(before)


@pytest.mark.fault("no internet", "access", "refused")
def test_a_node_without_internet_says_so_in_seconds(unprepared: Project) -> None:
    started = time.monotonic()
    assert setup(unprepared, HF_ENDPOINT="http://127.0.0.1:9") == "FAILED"
    assert time.monotonic() - started < 20
    for way in ("another CPU_PARTITION", "HF_ENDPOINT", "on the login node: bash 01_setup.sbatch"):
        assert way in unprepared.last_line()


# --- transfer: resumed, tried again, and counted in bytes --------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"match": "/cdn/.*YTBV.tar", "kind": "drop", "value": 21_000_000, "count": 1},
        {"match": "/cdn/.*YTBV.tar", "kind": "stall", "value": 21_000_000, "count": 1},
        {"match": "resolve/.*YTBV.tar", "kind": "status", "value": 429, "count": 2, "retry_after": 1},
        {"match": "resolve/.*YTBV.tar", "kind": "status", "value": 503, "count": 3},
        {"match": "/cdn/.*YTBV.tar", "kind": "status", "value": 500, "count": 2},
        {"match": f"/api/datasets/{CODE}/tree", "kind": "status", "value": 503, "count": 1},
        {"match": f"/api/datasets/{WEIGHTS}/", "kind": "status", "value": 429, "count": 2, "retry_after": 1},
    ],
    ids=["dropped", "stalled", "429", "503", "500", "listing 503", "listing 429"],
)
@pytest.mark.fault("{id}", "download", "survived")
def test_a_passing_fault_costs_no_second_download(unprepared: Project, fault: dict[str, Any], record_property: Record) -> None:
    unprepared.hub.set_faults(fault)
    assert setup(unprepared, HF_HUB_DOWNLOAD_TIMEOUT="3", DOWNLOAD_ATTEMPTS="4") == "COMPLETED", unprepared.log()
    assert_complete(unprepared)
    record_property("repeated_bytes", unprepared.downloaded_twice())
    payload = unprepared.hub.payload()
    for path in ("YTBV.tar", "DAVIS.tar"):
        assert payload[f"{CODE}/{path}"] <= size(unprepared, CODE, path) + 11_000_000, f"{path} was begun again: {payload}"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"match": "resolve/.*YTBV.tar", "kind": "status", "value": 503}, "YTBV.tar could not be downloaded whole"),
        ({"match": f"/api/datasets/{CODE}/tree", "kind": "status", "value": 500}, f"The Hub does not list {CODE}"),
        ({"match": "/cdn/.*YTBV.tar", "kind": "flip", "value": 5000}, "YTBV.tar arrives damaged each time"),
        (
            {"match": "unet/diffusion_pytorch_model.safetensors", "kind": "flip", "value": 50},
            "could not be downloaded whole, such as",
        ),
    ],
    ids=["file 503", "listing 500", "damaged archive", "damaged file"],
)
@pytest.mark.fault("{id}", "download", "clear error")
def test_a_lasting_fault_ends_with_what_to_do_and_the_next_start_finishes(
    unprepared: Project, fault: dict[str, Any], said: str
) -> None:
    unprepared.hub.set_faults(fault)
    assert setup(unprepared, DOWNLOAD_ATTEMPTS="1") == "FAILED"
    assert said in unprepared.log(), unprepared.log()
    assert re.search("ERROR .*(ubmit again|another)", unprepared.last_line()), unprepared.last_line()
    assert not (unprepared.folder / ".state" / "setup-non-prompt").exists()
    had = unprepared.hub.payload()
    unprepared.hub.set_faults()
    unprepared.hub.reset()
    assert setup(unprepared) == "COMPLETED", unprepared.log()
    assert_complete(unprepared)
    again = [path for path in unprepared.hub.payload() if path in had and not re.search(str(fault["match"]).split("/")[-1], path)]
    assert not again, f"downloaded twice: {again}"


# --- content: what is wrong is named, and only that is fetched again -----------------------------------------


@pytest.mark.parametrize(("repository", "path"), [(CODE, "YTBV.tar"), (CODE, "code_base.tar.gz"), (WEIGHTS, UNET)])
@pytest.mark.fault("flipped byte", "download", "survived")
def test_a_flipped_byte_is_found_and_only_that_file_fetched_again(
    unprepared: Project, repository: str, path: str, record_property: Record
) -> None:
    unprepared.hub.set_faults({"match": f"{path}$", "kind": "flip", "value": 100, "count": 1})
    assert setup(unprepared) == "COMPLETED", unprepared.log()
    assert f"{path} is not what the Hub holds and is fetched again" in unprepared.log()
    assert_complete(unprepared)
    record_property("repeated_bytes", unprepared.downloaded_twice())
    for name, sent in unprepared.hub.payload().items():
        times = 2 if name == f"{repository}/{path}" else 1
        organisation, holder, below = name.split("/", 2)
        assert sent == times * size(unprepared, f"{organisation}/{holder}", below), name


@pytest.mark.parametrize(
    ("repository", "path", "content", "said"),
    [
        (CODE, "DAVIS.tar", POINTER.encode(), "holds Git-LFS pointers instead of files on the Hub: DAVIS.tar"),
        (WEIGHTS, UNET, POINTER.encode(), f"holds Git-LFS pointers instead of files on the Hub: {UNET}"),
        (CODE, "DAVIS.tar", None, f"{CODE} on the Hub does not hold DAVIS.tar"),
        (CODE, "code_base.tar.gz", None, "code_base.tar.gz"),
        (
            WEIGHTS,
            "weights_extras.tar",
            tar(model("diffuEraser/unet_main/")),
            "weights_extras.tar does not hold diffuEraser/brushnet",
        ),
        (CODE, "YTBV.tar", b"no archive", "YTBV.tar could not be unpacked"),
    ],
    ids=["pointer for an archive", "pointer for a file", "archive missing", "code missing", "member missing", "no archive"],
)
@pytest.mark.fault("{id}", "download", "clear error")
def test_what_the_hub_lost_is_named_and_mended_there(
    unprepared: Project, repository: str, path: str, content: bytes | None, said: str
) -> None:
    with replaced(unprepared.hub.root / repository / path, content):
        assert setup(unprepared) == "FAILED"
        assert said in unprepared.log(), unprepared.log()
        assert "ERROR" in unprepared.last_line()
        assert not (unprepared.folder / ".state" / "setup-non-prompt").exists()
    assert setup(unprepared) == "COMPLETED", unprepared.log()
    assert_complete(unprepared)


@pytest.mark.parametrize("trouble", [401, 403, 503])
@pytest.mark.fault("partial folder", "download", "clear error")
def test_the_client_cannot_take_a_half_for_a_whole(unprepared: Project, trouble: int) -> None:
    """It ends with status 0 over a partial folder when the Hub refuses; here that is a failure."""
    unprepared.hub.set_faults({"match": UNET, "kind": "status", "value": 404})
    assert setup(unprepared) == "FAILED"
    assert any((unprepared.folder / "DiffuEraser_downloads" / WEIGHTS.split("/")[1]).glob("stable*")), (
        "the case needs a partial folder"
    )
    unprepared.hub.set_faults({"match": f"{WEIGHTS}", "kind": "status", "value": trouble})
    assert setup(unprepared, DOWNLOAD_ATTEMPTS="1") == "FAILED"
    assert "ERROR" in unprepared.last_line()
    unprepared.hub.set_faults()
    assert setup(unprepared) == "COMPLETED", unprepared.log()
    assert_complete(unprepared)


@pytest.mark.fault("spoiled on disk", "download", "survived")
def test_a_file_spoiled_on_disk_between_two_starts_is_fetched_again(unprepared: Project) -> None:
    unprepared.hub.set_faults({"match": "weights_extras", "kind": "status", "value": 404})
    assert setup(unprepared) == "FAILED"
    unprepared.hub.set_faults()
    spoiled = unprepared.folder / "DiffuEraser_downloads" / WEIGHTS.split("/")[1] / UNET
    shutil.rmtree(unprepared.root("non-prompt") / "weights" / "stable-diffusion-v1-5", ignore_errors=True)
    spoiled.write_bytes(spoiled.read_bytes()[:-8] + b"spoiled!")
    for marker in ("files-" + WEIGHTS.split("/")[1], "link-stable-diffusion"):
        (unprepared.folder / ".state" / marker).unlink(missing_ok=True)
    unprepared.hub.reset()
    assert setup(unprepared) == "COMPLETED", unprepared.log()
    assert_complete(unprepared)
    plain = [name for name in unprepared.hub.payload() if "stable-diffusion" in name]
    assert plain == [f"{WEIGHTS}/{UNET}"]


# --- places and company -----------------------------------------------------------------------------------------


@pytest.mark.fault("two at once", "setup", "refused")
def test_two_setups_never_work_at_once(unprepared: Project) -> None:
    unprepared.hub.set_faults({"match": "/cdn/.*YTBV.tar", "kind": "throttle", "value": 5_000_000})
    first = unprepared.sbatch("01_setup.sbatch", "training")
    unprepared.lab.wait(first, states=frozenset({"RUNNING"}))
    second = setup(unprepared)
    assert second == "FAILED"
    assert f"setup is being done by job {first} already. Wait for it" in unprepared.log()
    assert unprepared.lab.wait(first, 60, ENDED) == "COMPLETED", unprepared.log()
    assert_complete(unprepared)


@pytest.mark.parametrize("keep", ["yes", "no"])
def test_downloads_are_kept_or_removed_as_asked(unprepared: Project, keep: str) -> None:
    assert setup(unprepared, KEEP_DOWNLOADS=keep) == "COMPLETED", unprepared.log()
    downloads = unprepared.folder / "DiffuEraser_downloads"
    assert {path.name for path in downloads.rglob("*.tar")} == (
        {"DAVIS.tar", "YTBV.tar", "weights_extras.tar"} if keep == "yes" else set()
    )
    assert_complete(unprepared)
    unprepared.hub.reset()
    (unprepared.folder / ".state" / "setup-non-prompt").unlink()
    assert setup(unprepared, KEEP_DOWNLOADS=keep) == "COMPLETED"
    assert unprepared.hub.payload() == {}
    assert TOKEN not in unprepared.log()


@pytest.mark.fault("removed", "setup", "survived")
def test_what_was_removed_since_is_made_again(unprepared: Project) -> None:
    assert setup(unprepared) == "COMPLETED", unprepared.log()
    root = unprepared.root("non-prompt")
    for path in (root / "dataset" / "DAVIS", root / "weights" / "stable-diffusion-v1-5"):
        shutil.rmtree(path)
    (root / "train_DiffuEraser_stage1.py").unlink()
    unprepared.hub.reset()
    assert setup(unprepared) == "COMPLETED", unprepared.log()
    assert_complete(unprepared)
    assert unprepared.hub.payload() == {}, "what is downloaded already is not downloaded again"
    shutil.rmtree(unprepared.folder / "DiffuEraser_downloads")  # to make space; what was made of it is there
    assert setup(unprepared) == "COMPLETED", unprepared.log()
    assert unprepared.hub.payload() == {}, "nothing of it is needed"
    assert setup(unprepared, SKIP_REPAIRS="trackers") == "COMPLETED", unprepared.log()
    assert_complete(unprepared)


def test_a_link_as_project_home_and_a_strict_umask_do_no_harm(unprepared: Project, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(unprepared.folder)
    unprepared.edit(PROJECT_HOME=str(link))
    (unprepared.folder / "strict.sh").write_text("#!/bin/bash\numask 077\nexec bash 01_setup.sbatch training\n")
    job = unprepared.sbatch("--output=logs/strict-%j.log", "strict.sh", DOWNLOAD_ATTEMPTS="2")
    assert unprepared.lab.wait(job, 240) == "COMPLETED", unprepared.log()
    assert_complete(unprepared)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("/a/b c", "is not NAME=value .*quotes around a value with spaces"),
        ('"/a/b c"', "must be an absolute path without spaces"),
        ("relative/x", "must be an absolute path"),
        ("/proc/nobody", "this folder cannot be written to"),
    ],
    ids=["space", "quoted space", "relative", "not writable"],
)
def test_a_project_home_that_cannot_be_is_refused_with_its_line(unprepared: Project, value: str, said: str) -> None:
    with (unprepared.folder / "config.env").open("a") as file:
        file.write(f"PROJECT_HOME={value}\n")
    result = unprepared.bash("01_setup.sbatch", "training")
    assert result.returncode == 1
    assert re.search(rf"config.env line \d+: .*{said}", result.stderr), result.stderr
    assert not (unprepared.folder / "logs").exists() or not list((unprepared.folder / "logs").iterdir())


# --- environment: conda where the cluster has it -----------------------------------------------------------------


def test_conda_makes_the_environment_where_there_is_one(unprepared: Project, tmp_path: Path) -> None:
    stand_in_conda(tmp_path / "bin")
    (unprepared.folder / ".state" / "environment").unlink()
    path = f"{tmp_path / 'bin'}:{unprepared.lab.env['PATH']}"
    assert setup(unprepared, PATH=path, CONDA_CHANNEL="http://127.0.0.1:9/conda-forge") == "COMPLETED", unprepared.log()
    assert f"Python 3.11 by {tmp_path / 'bin' / 'conda'}" in unprepared.log()
    assert "environment: all imports succeed" in unprepared.log()
    asked = (tmp_path / "bin" / "asked").read_text()
    assert "--override-channels --channel http://127.0.0.1:9/conda-forge python=3.11" in asked


def test_conda_that_fails_or_is_missing_says_what_to_set(unprepared: Project, tmp_path: Path) -> None:
    stand_in_conda(tmp_path / "bin", fails=True)
    path = f"{tmp_path / 'bin'}:{unprepared.lab.env['PATH']}"
    marker = unprepared.folder / ".state" / "environment"
    before = marker.read_text()
    try:
        for env, said in (
            ({"PATH": path}, "no such channel.* Set CONDA_CHANNEL to a mirror or ENV_TOOL=uv"),
            ({"CONDA_MODULE": "anaconda9"}, "no conda here after module load anaconda9. Correct CONDA_MODULE"),
            ({"ENV_TOOL": "conda"}, "no conda here. .*ENV_TOOL=uv"),
        ):
            marker.unlink(missing_ok=True)
            kept = unprepared.environment
            kept.rename(tmp_path / "kept")
            assert setup(unprepared, **env) == "FAILED"
            assert re.search(said, unprepared.log()), unprepared.log()
            assert not marker.exists()
            shutil.rmtree(kept, ignore_errors=True)
            (tmp_path / "kept").rename(kept)
    finally:
        marker.write_text(before)


def stand_in_conda(folder: Path, *, fails: bool = False) -> None:
    """Stand-in for conda: makes an environment with this machine's Python, or fails as conda does."""
    folder.mkdir()
    conda = folder / "conda"
    body = "echo 'UnavailableInvalidChannel: no such channel' >&2; exit 1" if fails else f'exec "{sys.executable}" -m venv "$5"'
    conda.write_text(f"#!/bin/bash\nprintf '%s ' \"$@\" >{folder}/asked\n{body}\n")
    conda.chmod(0o755)

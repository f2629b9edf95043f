"""01_setup against a Hub with faults: it gets there, or its last line says what to do; the next start goes on from there."""

import io
import tarfile
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from diffueraser_docs.facts import facts
from tests.cluster.project import Project
from tests.cluster.setup import CODE, PROMPT, UNET, WEIGHTS, assert_complete, on_login_node, setup, size
from tests.cluster.training import ids, notes
from tests.trainer import model, tar

Record = Callable[[str, object], None]
Without = Callable[..., Project]
POINTER = f"{facts().hub.pointer_line}\noid sha256:{'0' * 64}\nsize 4\n".encode()
NOTHING_INSTALLED = {"PYPI_MIRROR": "http://127.0.0.1:9/simple"}
"""With this nothing can be installed, so that an error that comes before is the only one."""


# --- access: said at once, before anything is installed or downloaded ---------------------------------------------


@pytest.mark.parametrize(
    ("fault", "edits", "faults", "expected", "named"),
    [
        ("missing", {"HF_TOKEN": ""}, [], "token-missing", "https://huggingface.co/settings/tokens"),
        ("placeholder", {"HF_TOKEN": "hf_your_token_here"}, [], "token-invalid", "config.env line {token}:"),
        ("wrong", {"HF_TOKEN": "hf_SomebodyElses1"}, [], "hub-token-rejected", "config.env line {token}:"),
        ("forbidden", {}, [{"match": f"/{WEIGHTS}", "kind": "status", "value": 403}], "hub-forbidden", WEIGHTS),
        ("gated", {}, [{"match": f"/{PROMPT}", "kind": "gated"}], "hub-gated", PROMPT),
        ("renamed", {}, [{"match": f"/{CODE}/", "kind": "renamed"}], "hub-not-found", CODE),
        ("other organisation", {"HF_ORG": "nobody"}, [], "hub-not-found", "HF_ORG"),
        ("sign-in page", {}, [{"match": "/", "kind": "html", "value": 200}], "hub-web-page", "HF_ENDPOINT"),
        ("filter", {}, [{"match": "/", "kind": "html", "value": 403}], "hub-web-page", "CPU_PARTITION"),
        ("no internet", {"HF_ENDPOINT": "http://127.0.0.1:9"}, [], "hub-unreachable", "bash 01_setup.sbatch"),
    ],
)  # fmt: skip
@pytest.mark.fault("{fault}", "access", "refused")
def test_access_refused(
    new_project: Callable[[], Project],
    fault: str,
    edits: dict[str, str],
    faults: list[dict[str, Any]],
    expected: str,
    named: str,
) -> None:
    project = new_project()
    project.edit(**edits)
    project.hub.set_faults(*faults)
    said = on_login_node(project, **NOTHING_INSTALLED, HF_ENDPOINT=edits.get("HF_ENDPOINT", project.hub.endpoint))
    assert named.format(token=project.line("HF_TOKEN")) in said.refused(expected)
    assert project.hub.payload() == {}


def test_access_in_a_job(new_project: Callable[[], Project]) -> None:
    project = new_project()
    project.edit(HF_TOKEN="hf_SomebodyElses1")
    assert setup(project, **NOTHING_INSTALLED) == "FAILED"
    assert ids(project.last_line()) == ["hub-token-rejected"]
    assert on_login_node(project, "access").refused("hub-token-rejected")
    project.two_edits("non-prompt")
    assert on_login_node(project, "access").completed().strip() == ""


@pytest.mark.fault("503", "access", "survived")
def test_access_while_the_hub_is_overloaded(without: Without) -> None:
    """Of the repositories one is asked in vain and one twice: what cannot be asked now is not refused."""
    project = without(CODE)
    project.hub.set_faults({"match": "resolve/main/.gitattributes", "kind": "status", "value": 503, "count": 4})
    on_login_node(project).completed()
    assert_complete(project)
    asked = [status for _, path, _, status in project.hub.requests() if path.endswith("/resolve/main/.gitattributes")]
    assert asked.count(503) == 4, asked


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/a/b c", "config-syntax"),
        ('"/a/b c"', "config-value"),
        ("relative/x", "config-value"),
        ("/proc/nobody", "project-home"),
    ],
    ids=["space", "quoted space", "relative", "not writable"],
)
def test_project_home_refused(new_project: Callable[[], Project], value: str, expected: str) -> None:
    project = new_project()
    with (project.folder / "config.env").open("a") as file:
        file.write(f"PROJECT_HOME={value}\n")
    line = on_login_node(project).refused(expected)
    assert (value if expected == "project-home" else f"config.env line {project.line('PROJECT_HOME')}") in line
    assert not (project.folder / "logs").exists()


# --- transfer: resumed, tried again, and counted in bytes ---------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"match": "/cdn/.*YTBV.tar", "kind": "drop", "value": 21_000_000, "count": 1},
        {"match": "/cdn/.*YTBV.tar", "kind": "stall", "value": 21_000_000, "count": 1},
        {"match": "resolve/.*YTBV.tar", "kind": "status", "value": 429, "count": 2, "retry_after": 1},
        {"match": "resolve/.*YTBV.tar", "kind": "status", "value": 503, "count": 2},
        {"match": "/cdn/.*YTBV.tar", "kind": "status", "value": 500, "count": 2},
        {"match": f"/api/datasets/{CODE}/tree", "kind": "status", "value": 503, "count": 1},
        {"match": f"/api/datasets/{CODE}/", "kind": "status", "value": 429, "count": 2, "retry_after": 1},
    ],
    ids=["dropped", "stalled", "429", "503", "500", "listing 503", "listing 429"],
)
@pytest.mark.fault("{id}", "download", "survived")
def test_transfer_passing_fault(without: Without, fault: dict[str, Any], record_property: Record) -> None:
    project = without(CODE)
    project.hub.set_faults(fault)
    on_login_node(project, DOWNLOAD_ATTEMPTS="4").completed()
    assert_complete(project)
    record_property("repeated_bytes", project.downloaded_twice())
    payload = project.hub.payload()
    for path in ("YTBV.tar", "DAVIS.tar"):
        assert payload[f"{CODE}/{path}"] <= size(project, CODE, path) + 11_000_000, f"{path} was begun again: {payload}"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"match": "resolve/.*YTBV.tar", "kind": "status", "value": 503}, "hub-incomplete"),
        ({"match": "resolve/.*YTBV.tar", "kind": "status", "value": 429, "retry_after": 1}, "rate-limit"),
        ({"match": f"/api/datasets/{CODE}/tree", "kind": "status", "value": 500}, "hub-incomplete"),
        ({"match": "/cdn/.*YTBV.tar", "kind": "flip", "value": 5000}, "hub-checksum"),
        ({"match": "/cdn/.*DAVIS.tar", "kind": "longer", "value": 5000}, "hub-size"),
    ],
    ids=["file 503", "429 for good", "listing 500", "damaged archive", "longer"],
)
@pytest.mark.fault("{id}", "download", "clear error")
def test_transfer_lasting_fault(without: Without, fault: dict[str, Any], expected: str) -> None:
    project = without(CODE)
    project.hub.set_faults(fault)
    on_login_node(project, DOWNLOAD_ATTEMPTS="1").refused(expected)
    assert not project.state("setup-non-prompt").exists()
    had = {path for path in project.hub.payload() if not path.endswith(fault["match"].split("*")[-1])}
    project.hub.set_faults()
    project.hub.reset()
    on_login_node(project).completed()
    assert_complete(project)
    assert had.isdisjoint(project.hub.payload()), "downloaded twice"


# --- content: what is wrong is named, and only that is fetched again ----------------------------------------------


@pytest.mark.fault("flipped byte", "download", "survived")
def test_content_flipped_byte(unprepared: Project, record_property: Record) -> None:
    """An archive, a small archive and a plain file: each is found by its checksum."""
    flipped = {(CODE, "YTBV.tar"), (CODE, "code_base.tar.gz"), (WEIGHTS, UNET)}
    faults = [{"match": f"{path}$", "kind": "flip", "value": 100, "count": 1} for _, path in flipped]
    unprepared.hub.set_faults(*faults)
    said = on_login_node(unprepared).completed()
    assert_complete(unprepared)
    record_property("cases", len(flipped))
    record_property("repeated_bytes", unprepared.downloaded_twice())
    for name, sent in unprepared.hub.payload().items():
        organisation, holder, path = name.split("/", 2)
        repository = f"{organisation}/{holder}"
        times = 2 if (repository, path) in flipped else 1
        assert sent == times * size(unprepared, repository, path), name
        assert times == 1 or path in said, f"{path} was fetched again in silence"


@pytest.mark.parametrize(
    ("repository", "path", "content", "expected"),
    [
        (CODE, "DAVIS.tar", POINTER, "hub-lfs-pointer"),
        (WEIGHTS, UNET, POINTER, "hub-lfs-pointer"),
        (CODE, "DAVIS.tar", None, "archive-member"),
        (CODE, "code_base.tar.gz", None, "archive-member"),
        (WEIGHTS, "weights_extras.tar", tar(model("diffuEraser/unet_main/")), "archive-member"),
        (CODE, "YTBV.tar", b"no archive", "archive-broken"),
    ],
    ids=["pointer for an archive", "pointer for a file", "archive missing", "code missing", "member missing", "no archive"],
)
@pytest.mark.fault("{id}", "download", "clear error")
def test_content_wrong_on_the_hub(without: Without, repository: str, path: str, content: bytes | None, expected: str) -> None:
    """It is named, and what the owners push in its place is taken."""
    project = without(repository)
    right = (project.hub.root / repository / path).read_bytes()
    project.hub.push(repository, {path: content})
    try:
        assert path in on_login_node(project).refused(expected)
        assert not project.state("setup-non-prompt").exists()
    finally:
        project.hub.push(repository, {path: right})
    on_login_node(project).completed()
    assert_complete(project)


@pytest.mark.fault("empty listing", "download", "clear error")
def test_content_empty_repository(without: Without) -> None:
    project = without(CODE)
    project.hub.set_faults({"match": f"/{CODE}/", "kind": "missing"})
    assert CODE in on_login_node(project).refused("hub-empty")


@pytest.mark.fault("partial folder", "download", "clear error")
def test_content_partial_folder(without: Without, record_property: Record) -> None:
    """The client ends with status 0 over a partial folder when the Hub refuses; here that is a failure."""
    project = without(WEIGHTS)
    record_property("cases", 2)
    project.hub.set_faults({"match": f"resolve/.*{UNET}", "kind": "status", "value": 404})  # hf does not wait for it
    on_login_node(project, DOWNLOAD_ATTEMPTS="1").refused("hub-incomplete")
    folder = project.folder / "DiffuEraser_downloads" / WEIGHTS.split("/")[1]
    assert any(folder.glob("stable*/*/*")), "the case needs a partial folder"
    for trouble, expected in ((401, "hub-token-rejected"), (403, "hub-forbidden")):
        project.hub.set_faults({"match": WEIGHTS, "kind": "status", "value": trouble})
        on_login_node(project, DOWNLOAD_ATTEMPTS="1").refused(expected)
    project.hub.set_faults()
    on_login_node(project).completed()
    assert_complete(project)


@pytest.mark.fault("spoiled on disk", "download", "survived")
def test_content_spoiled_on_disk(without: Without) -> None:
    """Between two starts, before the download was complete: only that file is fetched again."""
    project = without(WEIGHTS)
    project.hub.set_faults({"match": "resolve/.*weights_extras", "kind": "status", "value": 404})
    on_login_node(project, DOWNLOAD_ATTEMPTS="1").refused("hub-incomplete")
    project.hub.set_faults()
    spoiled = project.folder / "DiffuEraser_downloads" / WEIGHTS.split("/")[1] / UNET
    spoiled.write_bytes(spoiled.read_bytes()[:-8] + b"spoiled!")
    project.hub.reset()
    on_login_node(project).completed()
    assert_complete(project)
    assert set(project.hub.payload()) == {f"{WEIGHTS}/{UNET}", f"{WEIGHTS}/weights_extras.tar"}


@pytest.mark.fault("newer commit", "download", "survived")
def test_content_pushed_during_the_download(without: Without) -> None:
    """What was listed is what is downloaded; the newer commit is said, and taken only when that is asked for."""
    project = without(CODE)
    old = project.hub.commit(CODE)
    davis = project.folder / "DiffuEraser_downloads" / CODE.split("/")[1] / "DAVIS.tar"
    had = (project.hub.root / CODE / "DAVIS.tar").read_bytes()
    project.hub.set_faults({"match": "resolve/.*(DAVIS|YTBV).tar", "kind": "status", "value": 404})
    on_login_node(project, DOWNLOAD_ATTEMPTS="1").refused("hub-incomplete")
    project.hub.set_faults()
    project.hub.push(CODE, {"DAVIS.tar": had + bytes(10240)})
    try:
        said = on_login_node(project).completed()
        assert [note for note in notes(said) if "newer commit" in note], said
        assert davis.read_bytes() == had
        assert old in project.state(f"commit-{CODE.split('/')[1]}").read_text()
        asked = {path for _, path, _, _ in project.hub.requests() if f"{CODE}/resolve/" in path and "gitattributes" not in path}
        assert asked
        assert all(f"/resolve/{old}/" in path for path in asked), asked
        project.state(f"commit-{CODE.split('/')[1]}").unlink()
        project.state("setup-non-prompt").unlink()
        on_login_node(project).completed()
        assert davis.read_bytes() == had + bytes(10240)
        assert_complete(project)
    finally:
        project.hub.push(CODE, {"DAVIS.tar": had})


# --- archives: what is in them is not trusted ---------------------------------------------------------------------


def odd_tar(base: bytes = b"", *, files: Iterable[str] = (), link: str = "", target: str = "") -> bytes:
    """An archive with files of another owner that carry a set-user bit, and with a link and a file below that."""
    buffer = io.BytesIO(base)
    with tarfile.open(fileobj=buffer, mode="a" if base else "w") as archive:
        for name in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid, info.gid = 4, 0o6777, 12345, 12345
            archive.addfile(info, io.BytesIO(b"odd\n"))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
            info = tarfile.TarInfo(f"{link}/file")
            info.size = 4
            archive.addfile(info, io.BytesIO(b"odd\n"))
    return buffer.getvalue()


def test_archive_unsafe_is_refused(without: Without) -> None:
    project = without(CODE)
    right = (project.hub.root / CODE / "DAVIS.tar").read_bytes()
    outside = project.folder.parent / "outside"
    outside.mkdir(exist_ok=True)
    try:
        for member in ("dataset/DAVIS", "dataset", "dataset/DAVIS/link"):
            project.hub.push(CODE, {"DAVIS.tar": odd_tar(link=member, target=str(outside))})
            project.forget_setup(CODE.split("/")[1])
            said = on_login_node(project).said
            assert ids(said) in (["archive-unsafe"], ["archive-broken"]), said
            assert list(outside.iterdir()) == [], "an archive wrote outside of its folder"
    finally:
        project.hub.push(CODE, {"DAVIS.tar": right})


def test_archive_with_more_than_is_known(without: Without) -> None:
    """Members that nobody knows are said and left out; no set-user bit or owner comes with a file."""
    project = without(CODE)
    right = (project.hub.root / CODE / "DAVIS.tar").read_bytes()
    project.hub.push(CODE, {"DAVIS.tar": odd_tar(right, files=("dataset/DAVIS/setuid", "dataset/unknown.bin"))})
    try:
        said = on_login_node(project).completed()
        assert [note for note in notes(said) if "dataset/unknown.bin" in note], said
        root = project.root("non-prompt") / "dataset"
        assert not (root / "unknown.bin").exists()
        status = (root / "DAVIS" / "setuid").stat()
        assert status.st_mode & 0o7022 == 0
        assert status.st_uid == project.folder.stat().st_uid
    finally:
        project.hub.push(CODE, {"DAVIS.tar": right})

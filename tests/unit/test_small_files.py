"""How 01_setup.sbatch fetches and checks many small files, by its own functions against the local Hub."""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import TOKEN, Hub
from tests.unit.test_setup_steps import run

REPOSITORY = "organisation/pairs"
FILES = {
    "davis_0000/gt_frames/0.jpg": b"a frame",
    "davis_0000/meta.json": b'{"regular": true}',
    "davis_0000/with space & 100%#1?.json": b"{}",
    "davis_0001/masks/0.png": b"a mask",
    "davis_0001/empty.json": b"",
    **{f"ytbv_0000/neg_frames_1/{number}.jpg": b"frame %d" % number for number in range(40)},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with the small files."""
    root = tmp_path_factory.mktemp("hub")
    for name, content in FILES.items():
        path = root / REPOSITORY / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with Hub(root) as running:
        yield running


@pytest.fixture
def hub(server: Hub) -> Hub:
    """The Hub without faults and with counters at zero."""
    server.set_faults()
    server.reset()
    return server


def listing(names: Iterator[str] | None = None) -> str:
    """Size, hash and path of files, as list_files writes them."""
    lines = []
    for name in names or FILES:
        content = FILES[name]
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        lines.append(f"{len(content)}\t{blob if name.endswith('.json') else hashlib.sha256(content).hexdigest()}\t{name}")
    return "\n".join([*lines, ""])


def fetched(tmp_path: Path, hub: Hub, script: str = "get_small_files pairs listing log", **variables: str) -> tuple[Path, str]:
    """Run the script's functions; gives the folder of the files, and what was said."""
    work = tmp_path / "project"
    work.mkdir(exist_ok=True)
    (work / "listing").write_text(listing())
    settings = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_ORG": "organisation",
        "HF_TOKEN": TOKEN,
        "DOWNLOADS": str(work / "downloads"),
        "DOWNLOAD_ATTEMPTS": "3",
        **variables,
    }
    result = run(work, script, **settings)
    assert result.returncode == 0, result.stderr
    return work / "downloads" / "pairs", result.stdout + result.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_arrives_by_one_request_and_a_second_call_asks_for_nothing(tmp_path: Path, hub: Hub) -> None:
    folder, _ = fetched(tmp_path, hub)
    assert contents(folder) == FILES
    asked = Counter(path for _, path, _, _ in hub.requests() if "/resolve/" in path)
    assert len(asked) == len(FILES)
    assert set(asked.values()) == {1}
    hub.reset()
    fetched(tmp_path, hub)
    assert hub.requests() == []


def test_a_file_cut_off_by_a_kill_is_fetched_again_and_no_other(tmp_path: Path, hub: Hub) -> None:
    folder, _ = fetched(tmp_path, hub)
    (folder / "davis_0000/gt_frames/0.jpg").write_bytes(b"a fr")
    hub.reset()
    fetched(tmp_path, hub)
    assert contents(folder) == FILES
    assert list(hub.payload()) == [f"{REPOSITORY}/davis_0000/gt_frames/0.jpg"]


@pytest.mark.slow
def test_a_rate_limit_is_heeded_by_every_connection(tmp_path: Path, hub: Hub) -> None:
    hub.set_faults({"match": "/resolve/", "kind": "limit", "value": 30, "retry_after": 1})
    folder, _ = fetched(tmp_path, hub)
    assert contents(folder) == FILES
    refused = [path for _, path, _, status in hub.requests() if status == 429]
    windows = len(FILES) // 30 + 1
    assert 0 < len(refused) <= 16 * windows


def test_a_file_that_the_hub_does_not_hold_keeps_no_other_back(tmp_path: Path, hub: Hub) -> None:
    hub.set_faults({"match": "meta.json", "kind": "status", "value": 404})
    folder, _ = fetched(tmp_path, hub)
    assert set(FILES) - set(contents(folder)) == {"davis_0000/meta.json"}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_ends_the_asking(tmp_path: Path, hub: Hub, status: int) -> None:
    hub.set_faults({"match": "/resolve/", "kind": "status", "value": status})
    folder, _ = fetched(tmp_path, hub)
    assert contents(folder) == {}
    assert len(hub.requests()) <= 16


def test_a_dropped_connection_is_taken_up_again(tmp_path: Path, hub: Hub) -> None:
    hub.set_faults({"match": "/cdn/.*/0.jpg", "kind": "drop", "value": 2, "count": 1})
    folder, _ = fetched(tmp_path, hub, "nap() { :; }; get_small_files pairs listing log")
    assert contents(folder) == FILES


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ("HTTP/2 429\nretry-after: 7\n", "8"),
        ('HTTP/2 429\nratelimit: "resolvers";r=0;t=55\n', "56"),
        ("HTTP/1.1 302 Found\nHTTP/1.1 503 Service Unavailable\n", "5"),
        ("HTTP/1.1 429\nRetry-After: 3\nHTTP/1.1 200 OK\n", "5"),
        ("HTTP/1.1 404 Not Found\n", "none"),
        ("HTTP/1.1 401 Unauthorized\n", "refused"),
        ("", "0"),
    ],
    ids=["retry-after", "ratelimit", "overloaded", "dropped later", "missing", "token", "no answer"],
)
def test_the_pause_is_the_one_that_the_hub_asks_for(tmp_path: Path, headers: str, pause: str) -> None:
    (tmp_path / "headers").write_text(headers.replace("\n", "\r\n"))
    assert run(tmp_path, "asked_pause <headers").stdout.strip() == pause


@pytest.mark.parametrize(
    "without", [(), ("git",), ("openssl",), ("git", "openssl")], ids=lambda names: "+".join(names) or "all tools"
)
def test_what_is_not_as_the_hub_holds_it_is_found_with_the_tools_that_are_there(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, without: tuple[str, ...]
) -> None:
    folder, _ = fetched(tmp_path, hub)
    tools = tmp_path / "tools-of-the-node"
    tools.mkdir()
    for directory in os.environ["PATH"].split(":"):
        for path in Path(directory).glob("*"):
            if path.name not in without and not (tools / path.name).exists():
                (tools / path.name).symlink_to(path)
    monkeypatch.setenv("PATH", str(tools))
    assert all(shutil.which(name) is None for name in without)
    assert fetched(tmp_path, hub, "wrong_files downloads/pairs <listing")[1] == ""
    spoiled = {"davis_0000/meta.json": b'{"regular": trve}', "ytbv_0000/neg_frames_1/7.jpg": b"frame 8"}
    for name, content in spoiled.items():
        (folder / name).write_bytes(content)
    (folder / "davis_0001/masks/0.png").unlink()
    (folder / "davis_0001/empty.json").unlink()
    said = fetched(tmp_path, hub, "wrong_files downloads/pairs <listing")[1]
    found = {line.split("\t")[2] for line in said.splitlines()}
    assert found == {*spoiled, "davis_0001/masks/0.png", "davis_0001/empty.json"}


@pytest.mark.slow
def test_the_token_stands_on_no_command_line(tmp_path: Path, hub: Hub) -> None:
    hub.set_faults({"match": "/cdn/.*/0.jpg", "kind": "stall", "value": 2, "count": 1})
    look = "for i in {1..25}; do ps -wweo args >>seen; sleep 0.1; done"
    fetched(tmp_path, hub, f"nap() {{ :; }}; ({look}) & get_small_files pairs listing log; wait", HF_HUB_DOWNLOAD_TIMEOUT="3")
    seen = [line for line in (tmp_path / "project" / "seen").read_text().splitlines() if line.startswith("curl ")]
    assert seen
    assert not any(TOKEN in line for line in seen)

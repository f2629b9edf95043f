"""verify-hub against the local Hub: what it finds right, what it finds wrong, and what it could not ask."""

import io
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from diffueraser_docs.__main__ import main
from diffueraser_docs.facts import FACTS, Facts, facts, load_facts
from diffueraser_docs.macros import PageMacros
from diffueraser_docs.schema.hub import Content, Repository
from diffueraser_docs.verify_hub import HubResult, record, results_table, verify_hub
from tests.hub import TOKEN, Hub

POINTER = f"{facts().hub.pointer_line}\noid sha256:{'0' * 64}\nsize 12345\n"
ORGANISATION = facts().hub.organisation


def files_of(content: Content) -> list[str]:
    """Files that make a repository hold what the facts say."""
    if not content.path.endswith("/"):
        return [content.path]
    folders = [content.path.rstrip("/").replace("*", f"{number:04}") for number in range(content.count or 1)]
    inside = [f"{member}00000.png" if member.endswith("/") else member for member in content.members] or ["config.json"]
    return [f"{folder}/{file}" for folder in folders for file in inside]


def small(content: Content) -> Content:
    """The same with few folders and without a size."""
    return content.model_copy(update={"count": 3 if content.count else None, "size_bytes": None})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with nothing in it yet."""
    with Hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def hub(server: Hub) -> Hub:
    """The Hub with the repositories as small facts have them."""
    server.set_faults()
    shutil.rmtree(server.root / ORGANISATION, ignore_errors=True)
    for repository in facts().hub.repositories:
        for content in repository.contents:
            for file in files_of(small(content)):
                path = server.root / ORGANISATION / repository.name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"\x89PNG" + bytes(300))
    return server


@pytest.fixture
def data(hub: Hub) -> Facts:
    """The facts, with the sizes of the small repositories."""

    def shrink(repository: Repository) -> Repository:
        folder = hub.root / ORGANISATION / repository.name
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return repository.model_copy(update={"size_bytes": size, "contents": [small(c) for c in repository.contents]})

    shrunk = facts().hub.model_copy(update={"repositories": [shrink(r) for r in facts().hub.repositories]})
    return facts().model_copy(update={"hub": shrunk})


def check(hub: Hub, data: Facts, token: str = TOKEN) -> dict[str, HubResult]:
    """The results by role of the repository."""
    results = verify_hub(token, hub.endpoint, data)
    return {repository.role: result for repository, result in zip(data.hub.repositories, results, strict=True)}


def place(hub: Hub, repository: str, file: str) -> Path:
    """Where the Hub keeps a file."""
    return hub.root / ORGANISATION / repository / file


def test_what_is_as_expected_is_verified(hub: Hub, data: Facts) -> None:
    results = check(hub, data)
    assert {result.state for result in results.values()} == {"verified"}
    assert results["dpo"].files == 6 * len(data.hub.by_role("dpo").contents[0].members)
    assert all(len(result.commit) == 40 and result.size_bytes > 0 for result in results.values())


def test_a_missing_file_differs(hub: Hub, data: Facts) -> None:
    place(hub, "DiffuEraser-finetune-code", "environment.yml").unlink()
    results = check(hub, data)
    assert (results["code"].state, "no file environment.yml" in results["code"].details) == ("differs", True)
    assert results["weights"].state == "verified"


def test_a_missing_folder_differs(hub: Hub, data: Facts) -> None:
    shutil.rmtree(place(hub, "DiffuEraser-finetune-weights", "stable-diffusion-v1-5"))
    assert "no folder stable-diffusion-v1-5/" in check(hub, data)["weights"].details


def test_another_number_of_folders_differs(hub: Hub, data: Facts) -> None:
    shutil.rmtree(place(hub, "DPO-dataset", "ytbv_0001"))
    assert "2 instead of 3 folders ytbv_*/" in check(hub, data)["dpo"].details


def test_a_pair_that_is_not_whole_differs(hub: Hub, data: Facts) -> None:
    shutil.rmtree(place(hub, "DPO-dataset", "davis_0002/masks"))
    assert "1 folders without masks/, such as davis_0002" in check(hub, data)["dpo"].details


def test_another_size_differs(hub: Hub, data: Facts) -> None:
    place(hub, "DiffuEraser-finetune-weights", "weights_extras.tar").write_bytes(bytes(2000))
    assert "bytes instead of about" in check(hub, data)["weights"].details


def test_a_file_of_another_size_differs(hub: Hub) -> None:
    wanted = next(c.size_bytes for c in facts().hub.by_role("weights").contents if c.size_bytes)
    details = check(hub, facts())["weights"].details
    assert f"weights_extras.tar has 304 bytes instead of about {wanted:,}" in details


def test_pointers_are_told_from_small_files(hub: Hub, data: Facts) -> None:
    for name in ("00000.png", "00001.png"):
        place(hub, "DPO-dataset", f"ytbv_0001/gt_frames/{name}").write_text(POINTER)
    place(hub, "DPO-dataset", "ytbv_0002/gt_frames/00000.png").write_bytes(b"\x89PNG" + bytes(20))
    details = check(hub, data)["dpo"].details
    assert "2 Git-LFS pointers instead of files, such as ytbv_0001/gt_frames/00000.png" in details


def test_an_unknown_token_has_no_access(hub: Hub, data: Facts) -> None:
    assert {result.state for result in check(hub, data, "hf_unknownToken").values()} == {"no access"}


@pytest.mark.parametrize(
    ("status", "state"),
    [(403, "no access"), (404, "differs"), (429, "not reachable"), (500, "not reachable"), (503, "not reachable")],
)
def test_each_refusal_has_its_state_and_the_others_are_still_checked(hub: Hub, data: Facts, status: int, state: str) -> None:
    hub.set_faults({"match": "/DPO-dataset", "kind": "status", "value": status})
    results = check(hub, data)
    assert (results["dpo"].state, str(status) in results["dpo"].details) == (state, True)
    assert results["code"].state == "verified"


def test_a_hub_that_does_not_answer_is_not_reachable(data: Facts) -> None:
    results = verify_hub(TOKEN, "http://127.0.0.1:9", data)
    assert {result.state for result in results} == {"not reachable"}
    assert all(result.details for result in results)


# --- recording -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the facts to write into."""
    return shutil.copytree(FACTS, tmp_path / "facts")


def test_what_was_verified_is_recorded_with_its_date_and_shown(hub: Hub, data: Facts, folder: Path) -> None:
    before = (folder / "hub.yaml").read_text()
    results = verify_hub(TOKEN, hub.endpoint, data)
    record(results, folder)
    record(results, folder)  # the second time changes nothing more
    added = [line for line in (folder / "hub.yaml").read_text().splitlines() if line not in before.splitlines()]
    assert len(added) == 4
    assert [line for line in (folder / "hub.yaml").read_text().splitlines() if line not in added] == before.splitlines()
    loaded = load_facts(folder)
    today = datetime.now(UTC).date()
    for repository, result in zip(loaded.hub.repositories, results, strict=True):
        assert repository.verified
        assert (repository.verified.date, repository.verified.files) == (today, result.files)
    for language in ("en", "zh"):
        assert PageMacros(loaded, language, {}).names()["repositories_table"]().count(f"✅ {today}") == 4


def test_what_differs_loses_its_tick_and_what_could_not_be_asked_keeps_it(hub: Hub, data: Facts, folder: Path) -> None:
    record(verify_hub(TOKEN, hub.endpoint, data), folder)
    place(hub, "DiffuEraser-finetune-code", "DAVIS.tar").unlink()
    hub.set_faults({"match": "/DPO-dataset", "kind": "status", "value": 503})
    record(verify_hub(TOKEN, hub.endpoint, data), folder)
    verified = {repository.role: repository.verified is not None for repository in load_facts(folder).hub.repositories}
    assert verified == {"code": False, "prompt-code": True, "weights": True, "dpo": True}


def test_without_a_check_no_date_is_shown() -> None:
    for language in ("en", "zh"):
        table = PageMacros(facts(), language, {}).names()["repositories_table"]()
        dates = sum(repository.verified is not None for repository in facts().hub.repositories)
        assert len(re.findall(r"✅ \d{4}-", table)) == dates


def test_the_command_prints_a_table_and_tells_the_outcomes_apart(
    hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "HF_ENDPOINT", hub.endpoint)
    monkeypatch.setitem(os.environ, "HF_TOKEN", TOKEN)
    assert main(["verify-hub"]) == 3  # the small repositories are not those of the facts
    printed = capsys.readouterr().out
    for repository in facts().hub.repositories:
        assert repository.name in printed
    assert printed.count("differs") == 4
    assert TOKEN not in printed
    monkeypatch.setitem(os.environ, "HF_TOKEN", "hf_unknownToken")
    assert main(["verify-hub"]) == 4
    assert capsys.readouterr().out.count("no access") == 4


def test_results_table_hostile_names() -> None:
    """Names on the Hub are no markup, and nothing that a terminal obeys."""
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(results_table([HubResult("org/data", "differs", "no folder davis_[/x]\x1b]0;a\u202e")]))
    assert "davis_[/x]?]0;a?" in console.export_text()

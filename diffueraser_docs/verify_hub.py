"""Checks the repositories on the Hugging Face Hub against the facts."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import yaml
from httpx2 import TransportError
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from rich.markup import escape
from rich.table import Table

from .facts import FACTS, Facts, facts
from .render import replace_file
from .schema.hub import Content, Repository

POINTER_BYTES = 200
NEVER_SMALL = (".jpg", ".png", ".mp4", ".tar", ".gz", ".safetensors", ".bin")
TOLERANCE = 0.1
"""The sizes of the facts are rounded and do not say whether a GB is 10^9 or 2^30 bytes."""
State = Literal["verified", "differs", "no access", "not reachable"]
COLOURS: dict[State, str] = {"verified": "green", "differs": "red", "no access": "yellow", "not reachable": "yellow"}


@dataclass(frozen=True)
class HubResult:
    """What the Hub says of one repository."""

    repository: str
    state: State
    """Verified, or it differs from the facts, or this token may not read it, or the Hub could not be asked."""
    details: str
    files: int = 0
    size_bytes: int = 0
    commit: str = ""


def _folder_problems(content: Content, paths: list[str]) -> list[str]:
    found: dict[str, set[str]] = {}
    for path in paths:
        folder, _, below = path.partition("/")
        if below and fnmatch(folder, content.path.rstrip("/")):
            name, slash, _ = below.partition("/")
            found.setdefault(folder, set()).add(name + slash)
    if content.count is not None and len(found) != content.count:
        return [f"{len(found)} instead of {content.count} folders {content.path}"]
    if not found:
        return [f"no folder {content.path}"]
    lacking = {member: sorted(folder for folder, members in found.items() if member not in members) for member in content.members}
    return [f"{len(folders)} folders without {member}, such as {folders[0]}" for member, folders in lacking.items() if folders]


def _file_problems(content: Content, sizes: dict[str, int]) -> list[str]:
    if content.path not in sizes:
        return [f"no file {content.path}"]
    if content.size_bytes and not _about(sizes[content.path], content.size_bytes):
        return [f"{content.path} has {sizes[content.path]:,} bytes instead of about {content.size_bytes:,}"]
    return []


def _about(size: int, expected: int) -> bool:
    return abs(size - expected) <= TOLERANCE * expected


def _pointer_problems(api: HfApi, data: Facts, name: str, sizes: dict[str, int]) -> list[str]:
    """Git-LFS pointers where files should be: small ones are looked into, one per folder, since a folder was lost at a time."""
    suspects: dict[str, list[str]] = {}
    for path, size in sizes.items():
        if size < POINTER_BYTES and path.endswith(NEVER_SMALL):
            suspects.setdefault(path.rpartition("/")[0], []).append(path)
    pointers: list[str] = []
    with TemporaryDirectory() as folder:
        for paths in suspects.values():
            file = api.hf_hub_download(name, paths[0], repo_type=data.hub.repo_type, local_dir=folder)
            if Path(file).read_bytes().startswith(data.hub.pointer_line.encode()):
                pointers += paths
    return [f"{len(pointers)} Git-LFS pointers instead of files, such as {pointers[0]}"] if pointers else []


def _compare(api: HfApi, data: Facts, repository: Repository) -> HubResult:
    """Compare one repository's files, folders, sizes and pointer texts with the facts."""
    name = f"{data.hub.organisation}/{repository.name}"
    info = api.repo_info(name, repo_type=data.hub.repo_type)
    tree = api.list_repo_tree(name, repo_type=data.hub.repo_type, recursive=True, revision=info.sha)
    sizes = {entry.path: entry.size for entry in tree if isinstance(entry, RepoFile)}
    wrong: list[str] = []
    for content in repository.contents:
        is_folder = content.path.endswith("/")
        wrong += _folder_problems(content, list(sizes)) if is_folder else _file_problems(content, sizes)
    wrong += _pointer_problems(api, data, name, sizes)
    size = sum(sizes.values())
    if not _about(size, repository.size_bytes):
        wrong.append(f"{size:,} bytes instead of about {repository.size_bytes:,}")
    details = "; ".join(wrong) or "files, folders and size as expected"
    return HubResult(repository.name, "differs" if wrong else "verified", details, len(sizes), size, info.sha or "")


def _verify(api: HfApi, data: Facts, repository: Repository) -> HubResult:
    try:
        return _compare(api, data, repository)
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            return HubResult(repository.name, "no access", f"the token is not known or may not read it ({status})")
        if isinstance(error, RepositoryNotFoundError):
            return HubResult(repository.name, "differs", "no such repository, or a private one that this token may not see (404)")
        return HubResult(repository.name, "not reachable", f"the Hub answers {status}")
    except (OSError, TransportError) as error:
        return HubResult(repository.name, "not reachable", (str(error) or type(error).__name__).splitlines()[0])


def verify_hub(token: str | None, endpoint: str | None = None, data: Facts | None = None) -> list[HubResult]:
    """Check all repositories.

    Args:
        token: a Hugging Face token with read access.
        endpoint: Hub to ask, that of the facts when left out.
        data: facts to compare with, those of the package when left out.

    Returns:
        One result per repository, in the order of the facts.
    """
    data = data or facts()
    api = HfApi(endpoint=endpoint or data.hub.endpoint, token=token or False)
    return [_verify(api, data, repository) for repository in data.hub.repositories]


def results_table(results: list[HubResult]) -> Table:
    """The results, for the terminal."""
    table = Table("Repository", "State", "Files", "Bytes", "Details", title="What the Hub holds")
    for result in results:
        state = f"[{COLOURS[result.state]}]{result.state}"
        details = "".join(char if char.isprintable() or char == "\n" else "?" for char in result.details)
        table.add_row(result.repository, state, f"{result.files:,}", f"{result.size_bytes:,}", escape(details))
    return table


def record(results: list[HubResult], folder: Path = FACTS) -> None:
    """Write what was verified into hub.yaml below a repository's name, leaving its comments and order alone.

    A repository that differs loses the entry of an earlier day; one that could not be asked keeps it.
    """
    path = folder / "hub.yaml"
    text, today = path.read_text(encoding="utf-8"), datetime.now(UTC).date()
    for result in results:
        entry = {"date": today, "commit": result.commit, "files": result.files, "size_bytes": result.size_bytes}
        line = f"  verified: {yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=1000)}"
        if result.state in ("verified", "differs"):
            place = rf"(?m)^(- name: {re.escape(result.repository)}\n)(?:  verified:.*\n)?"
            text = re.sub(place, rf"\1{line if result.state == 'verified' else ''}", text)
    replace_file(path, text)

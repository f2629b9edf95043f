"""Checks the four repositories on the Hugging Face Hub against the facts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

import yaml
from httpx2 import TransportError
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from .facts import FACTS, Content, Facts, Repository, facts

POINTER_BYTES = 200


@dataclass(frozen=True)
class HubResult:
    """What the Hub says of one repository."""

    repository: str
    state: str
    """verified, differs, no access or not reachable."""
    details: str
    files: int = 0
    size_bytes: int = 0
    commit: str = ""


def _missing(content: Content, paths: list[str]) -> str | None:
    if content.path.endswith("/"):
        pattern = content.path.rstrip("/")
        folders = {path.split("/")[0] for path in paths if "/" in path}
        found = [folder for folder in folders if fnmatch(folder, pattern)]
        if content.count is not None and len(found) != content.count:
            return f"{len(found)} instead of {content.count} folders {content.path}"
        return None if found else f"no folder {content.path}"
    return None if content.path in paths else f"no file {content.path}"


def verify_repository(api: HfApi, data: Facts, repository: Repository) -> HubResult:
    """Compare one repository's files, folders and size with the facts."""
    name = f"{data.hub.organisation}/{repository.name}"
    try:
        info = api.repo_info(name, repo_type=data.hub.repo_type)
        tree = api.list_repo_tree(name, repo_type=data.hub.repo_type, recursive=True)
        files = [entry for entry in tree if isinstance(entry, RepoFile)]
    except RepositoryNotFoundError as error:
        state = "no access" if error.response.status_code in (401, 403) else "differs"
        return HubResult(repository.name, state, "no such repository, or this token may not read it")
    except HfHubHTTPError as error:
        state = "no access" if error.response.status_code in (401, 403) else "not reachable"
        return HubResult(repository.name, state, str(error).splitlines()[0])
    except (OSError, TransportError) as error:
        return HubResult(repository.name, "not reachable", str(error).splitlines()[0])
    paths = [file.path for file in files]
    wrong = [reason for content in repository.contents if (reason := _missing(content, paths))]
    pointers = [f.path for f in files if f.size < POINTER_BYTES and f.path.endswith((".jpg", ".png", ".mp4", ".tar", ".gz"))]
    wrong += [f"{len(pointers)} files have the size of a Git-LFS pointer, such as {pointers[0]}"] if pointers else []
    size = sum(file.size for file in files)
    if abs(size - repository.size_bytes) > 0.1 * repository.size_bytes:
        wrong.append(f"{size:,} bytes instead of about {repository.size_bytes:,}")
    details = "; ".join(wrong) or "files and size as expected"
    return HubResult(repository.name, "differs" if wrong else "verified", details, len(files), size, info.sha or "")


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
    api = HfApi(endpoint=endpoint or data.hub.endpoint, token=token)
    return [verify_repository(api, data, repository) for repository in data.hub.repositories]


def record(results: list[HubResult], folder: Path = FACTS) -> None:
    """Write the results of verified repositories into hub.yaml, leaving its comments and order alone."""
    path = folder / "hub.yaml"
    today = datetime.now(UTC).date()
    by_name = {result.repository: result for result in results if result.state == "verified"}
    lines, current = [], None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("  verified:") and current in by_name:
            continue
        lines.append(line)
        if line.startswith("- name: "):
            current = yaml.safe_load(line[2:])["name"]
            if result := by_name.get(current):
                entry = {"date": today, "commit": result.commit, "files": result.files, "size_bytes": result.size_bytes}
                lines.append(f"  verified: {yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=1000).strip()}")
    part = path.with_suffix(".part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(path)

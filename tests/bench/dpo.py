"""DPO-dataset's small files against the plain client."""

import shutil
from pathlib import Path

from diffueraser_docs.facts import facts
from tests.bench.measure import ratio, timed
from tests.bench.models import Measurement
from tests.bench.place import environment
from tests.cluster.project import Project

WORKERS = (8, 16, 32)


def repository() -> str:
    """DPO-dataset with its organisation."""
    hub = facts().hub
    return f"{hub.organisation}/{hub.by_role('dpo').name}"


def forget(project: Project) -> Path:
    """Back to nothing downloaded; gives the folder that the script downloads into."""
    folder = project.folder / "DiffuEraser_downloads" / repository().split("/")[1]
    shutil.rmtree(folder, ignore_errors=True)
    for path in (project.folder / ".state").glob("*DPO*"):
        path.unlink()
    return folder


def script_seconds(project: Project) -> float:
    """Wall time of the script for DPO-dataset alone."""
    return timed(["bash", "01_setup.sbatch", "dpo-dataset"], project.folder, environment(project))


def client_seconds(project: Project, workers: int) -> float:
    """Wall time of the client for the same files."""
    folder = project.folder / "plain"
    shutil.rmtree(folder, ignore_errors=True)
    hf = project.folder / "environments" / "tools" / "hub" / "bin" / "hf"
    command = [str(hf), "download", repository(), "--repo-type", "dataset", "--local-dir", str(folder), "--quiet"]
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
    env = environment(project, HF_TOKEN=project.hub.token, HF_HOME=str(folder / ".home"), **quiet)
    seconds = timed([*command, "--max-workers", str(workers)], project.folder, env)
    shutil.rmtree(folder)
    return seconds


def best_workers(project: Project) -> int:
    """The number of workers at which the client is fastest, on the repository that the project points to."""
    seconds = {workers: client_seconds(project, workers) for workers in WORKERS}
    return min(WORKERS, key=lambda workers: seconds[workers])


def measure_speed(project: Project, count: int, workers: int, rounds: int) -> dict[str, Measurement]:
    """Files per second of both in turns."""
    ours, client = [], []
    for _ in range(rounds):
        forget(project)
        ours.append(count / script_seconds(project))
        forget(project)
        client.append(count / client_seconds(project, workers))
    return {"dpo-speed": ratio(ours, client)}

"""DPO-dataset's small files against the plain client, under a rate limit, and after a kill in the middle."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from diffueraser_docs.facts import facts
from tests.bench.measure import most, ratio, timed
from tests.bench.models import Measurement
from tests.bench.place import environment
from tests.cluster.lab import wait_for
from tests.cluster.project import Project

WORKERS = (8, 16, 32)
CONNECTIONS = 16
"""Of the script; what is under way on each of them is lost by a kill."""
WINDOW = {"requests": 400, "seconds": 3}
"""A rate limit that is met many times in a short while; the Hub's own is some thousand requests in five minutes."""


def repository() -> str:
    """DPO-dataset with its organisation."""
    hub = facts().hub
    return f"{hub.organisation}/{hub.by_role('dpo').name}"


def forget(project: Project) -> Path:
    """Back to nothing downloaded; gives the folder that the script downloads into."""
    folder = project.folder / "DiffuEraser_downloads" / repository().split("/")[1]
    shutil.rmtree(folder, ignore_errors=True)
    for path in (project.folder / ".state").glob("*dpo*"):
        path.unlink()
    for path in (project.folder / ".state").glob("work-*"):
        shutil.rmtree(path)
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


def measure_rate_limit(project: Project) -> dict[str, Measurement]:
    """Refused requests per connection and window, while the Hub allows fewer than are asked."""
    forget(project)
    project.hub.reset()
    project.hub.set_faults({"match": "/resolve/", "kind": "limit", "value": WINDOW["requests"], "retry_after": WINDOW["seconds"]})
    try:
        script_seconds(project)
    finally:
        project.hub.set_faults()
    answers = [status for _, path, _, status in project.hub.requests() if "/resolve/" in path]
    refused = answers.count(429)
    windows = (len(answers) - refused) / WINDOW["requests"]
    return {
        "dpo-rate-limit": Measurement(value=round(refused / windows / CONNECTIONS, 3), ours=[refused], reference=[len(answers)])
    }


def measure_kill(project: Project, moments: Sequence[float], count: int) -> dict[str, Measurement]:
    """Files downloaded twice when everything is killed after a share of the files and then run again."""
    twice = []
    for share in moments:
        forget(project)
        project.hub.reset()
        process = subprocess.Popen(
            ["bash", "01_setup.sbatch", "dpo-dataset"],
            cwd=project.folder,
            env=environment(project),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for(lambda share=share: len(project.hub.payload()) >= share * count, f"{share:.0%} of the files", 300)  # type: ignore[misc]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(1)
        script_seconds(project)
        twice.append(sum(sent > (project.hub.root / name).stat().st_size for name, sent in project.hub.payload().items()))
    return {"dpo-killed": most(twice, CONNECTIONS)}

"""Setup against the limit: `hf download` of the same repositories, then `tar` of the same archives, without any check.

Not counted: building tools and environment, which are there already; that depends on the package index alone.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path

from diffueraser_docs.facts import facts
from tests.bench.measure import Peak, most, ratio, timed, used_bytes
from tests.bench.models import Measurement
from tests.bench.place import environment
from tests.cluster.project import Project
from tests.hub import Hub

ROLES = ("code", "prompt-code", "weights")
GB = 1e9
ROOM = "60G"
"""Of the file system in memory on which disk use is measured: what setup asks for beforehand; only what is used is taken."""


def files_of(hub: Hub) -> dict[str, Path]:
    """Address and source of every file that setup downloads."""
    data, found = facts().hub, {}
    for role in ROLES:
        name = f"{data.organisation}/{data.by_role(role).name}"
        for path in sorted((hub.root / name).rglob("*")):
            if path.is_file():
                found[f"{hub.endpoint}/datasets/{name}/resolve/main/{path.relative_to(hub.root / name)}"] = path
    return found


def limit_script(project: Project, folder: Path) -> str:
    """The commands of the limit: `hf download` into one folder, `tar` into another, without any check."""
    hub, data = project.hub, facts().hub
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "unpacked").mkdir(parents=True)
    hf = project.folder / "environments" / "tools" / "hub" / "bin" / "hf"
    names = [data.by_role(role).name for role in ROLES]
    options = "--repo-type dataset --max-workers 16 --quiet"
    commands = [f"{hf} download {data.organisation}/{name} {options} --local-dir {folder}/downloads/{name}" for name in names]
    archives = [path.relative_to(hub.root / data.organisation) for path in files_of(hub).values() if ".tar" in path.suffixes]
    commands += [f"tar --extract --file={folder}/downloads/{path} --directory={folder}/unpacked" for path in archives]
    return " && ".join(commands)


def limit_environment(project: Project, folder: Path) -> dict[str, str]:
    """What `hf` needs, with nothing that costs time."""
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
    return environment(project, HF_TOKEN=project.hub.token, HF_HOME=str(folder / ".home"), **quiet)


def setup_seconds(project: Project, **env: str) -> float:
    """Wall time of setup, everything of it but the environment."""
    return timed(["bash", "01_setup.sbatch", "training"], project.folder, environment(project, **env))


def measure_time(project: Project, folder: Path, rounds: int) -> dict[str, Measurement]:
    """Setup and limit in turns, each from nothing, and the run after it."""
    hub, ours, limit, again, again_bytes = project.hub, [], [], [], []

    def measure_limit() -> None:
        script = limit_script(project, folder / "limit")
        limit.append(timed(["bash", "-c", script], folder, limit_environment(project, folder)))
        shutil.rmtree(folder / "limit")

    for number in range(rounds):
        if number % 2:  # a disk may become slower with what was written before: each is first in turn
            measure_limit()
        project.forget_setup()
        ours.append(setup_seconds(project))
        hub.reset()
        again.append(setup_seconds(project))
        again_bytes.append(sum(hub.payload().values()))
        project.forget_setup()
        if not number % 2:
            measure_limit()
    return {
        "setup-time": ratio(ours, limit),
        "setup-again": most(again),
        "setup-again-bytes": most(again_bytes),
        "setup-server": most([server_speed(hub) for _ in range(rounds)]),
    }


def server_speed(hub: Hub) -> float:
    """GB per second that the Hub sends to a client that does nothing with them."""
    address, path = max(files_of(hub).items(), key=lambda item: item[1].stat().st_size)
    command = ["curl", "--silent", "--fail", "--location", "--output", "/dev/null", "--config", "-", address]
    header = f'header = "Authorization: Bearer {hub.token}"\nwrite-out = "%{{time_total}}"\noutput = "/dev/null"'
    seconds = subprocess.run(command, input=header, capture_output=True, text=True, check=True).stdout
    return path.stat().st_size / float(seconds) / GB


@contextmanager
def memory_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def moved(project: Project, folder: Path) -> Project:
    """The same project in another folder, with tools and environment where they were built."""
    new = copy(project)
    new.folder = folder
    new.copy_scripts()
    new.two_edits("non-prompt")
    (folder / "environments").symlink_to(project.folder / "environments")
    (folder / ".state").mkdir()
    for name in ("tools", "environment"):
        text = (project.folder / ".state" / name).read_text()
        (folder / ".state" / name).write_text(text.replace(str(project.folder), str(folder)))
    return new


def measure_disk(project: Project, folder: Path) -> dict[str, Measurement]:
    """Peak disk use, with downloads kept and removed, against what must be there in the end."""
    with memory_disk(folder / "memory") as disk:
        empty = used_bytes(disk)
        timed(["bash", "-c", limit_script(project, disk / "limit")], disk, limit_environment(project, disk))
        kept = used_bytes(disk) - empty
        archives = [path.stat().st_blocks * 512 for path in (disk / "limit" / "downloads").rglob("*.tar")]
        shutil.rmtree(disk / "limit")
        least = {"yes": kept, "no": kept - sum(archives) + max(archives)}
        peak = {}
        for keep in least:
            peak[keep] = Peak(disk)
            with peak[keep].watched():
                setup_seconds(moved(project, disk / keep), KEEP_DOWNLOADS=keep)
            shutil.rmtree(disk / keep)
    return {
        name: ratio([peak[keep].bytes / GB], [least[keep] / GB])
        for name, keep in (("setup-disk-keep", "yes"), ("setup-disk-remove", "no"))
    }

"""Wall time of commands, peak use of a disk, and what is made of several rounds."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.bench.models import Measurement

LIMIT_SECONDS = 600


class CommandError(Exception):
    """A measured command ended otherwise than it should; the message holds the end of its output."""


def timed(command: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float = LIMIT_SECONDS) -> float:
    """Run a command that must succeed.

    Pages that earlier commands left to be written are written first, so that no command pays for another. The output goes
    to a file: a pipe would be held open by whatever the command left behind.

    Returns:
        Seconds of wall time.
    """
    os.sync()
    with tempfile.TemporaryFile() as output:
        begin = time.monotonic()
        status = subprocess.run(list(command), cwd=cwd, env=dict(env), stdout=output, stderr=output, timeout=timeout, check=False)
        seconds = time.monotonic() - begin
        if status.returncode:
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines()[-5:]
            raise CommandError(f"{' '.join(command)[:200]} ended with status {status.returncode}: {' | '.join(lines)}")
    return seconds


def used_bytes(folder: Path) -> int:
    """Bytes in use on the file system of a folder."""
    state = os.statvfs(folder)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


class Peak:
    """The most that was in use on a file system above what was in use before, in bytes."""

    def __init__(self, folder: Path, interval: float = 0.01) -> None:
        self.folder = folder
        self.interval = interval
        self.bytes = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch while the block runs."""
        before, ended = used_bytes(self.folder), threading.Event()

        def watch() -> None:
            while not ended.wait(self.interval):
                self.bytes = max(self.bytes, used_bytes(self.folder) - before)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            self.bytes = max(self.bytes, used_bytes(self.folder) - before)


def compare(how: Callable[[float, float], float], ours: Sequence[float], reference: Sequence[float]) -> Measurement:
    """What the pairs of rounds say, and their median."""
    pairs = _list([how(*pair) for pair in zip(ours, reference, strict=True)])
    return Measurement(value=median(pairs), ours=_list(ours), reference=_list(reference), pairs=pairs)


def ratio(ours: Sequence[float], reference: Sequence[float]) -> Measurement:
    """Ours over the reference."""
    return compare(lambda our, other: our / other, ours, reference)


def difference(ours: Sequence[float], reference: Sequence[float]) -> Measurement:
    """How much ours lies above the reference."""
    return compare(lambda our, other: our - other, ours, reference)


def percent_above(ours: Sequence[float], reference: Sequence[float]) -> Measurement:
    """By how many percent ours lies above the reference."""
    return compare(lambda our, other: 100 * (our / other - 1), ours, reference)


def most(values: Sequence[float], unit: float = 1) -> Measurement:
    """The worst of several, counted in a unit."""
    return Measurement(value=_digits(max(values) / unit), ours=_list(values))


def _digits(value: float) -> float:
    """Three digits after the point: more would be noise, and a results file that changes for nothing."""
    return round(float(value), 3)


def _list(values: Sequence[float]) -> list[float]:
    return [_digits(value) for value in values]

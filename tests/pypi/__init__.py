"""Stand-in for the package index: a folder of real wheels, served as a simple index on loopback."""

import hashlib
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock

from tests.cluster.lab import free_ports

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache"
LISTS = (HERE / "wheelhouse.txt", HERE / "tools.txt")
# There is no torchvision for CPU on the index; the trainers only import it.
TORCHVISION = "0.28.0"
METADATA = f"""Metadata-Version: 2.1
Name: torchvision
Version: {TORCHVISION}
Summary: Stand-in of the tests: it can be imported, nothing else
"""
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def _build_torchvision(folder: Path) -> None:
    info = f"torchvision-{TORCHVISION}.dist-info"
    with zipfile.ZipFile(folder / f"torchvision-{TORCHVISION}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("torchvision/__init__.py", f'"""Stand-in."""\n__version__ = "{TORCHVISION}"\n')
        wheel.writestr(f"{info}/METADATA", METADATA)
        wheel.writestr(f"{info}/WHEEL", WHEEL)
        wheel.writestr(
            f"{info}/RECORD",
            f"torchvision/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        )


def build_wheelhouse() -> Path:
    """Download the wheels once; the folder's name holds the hash of the lists.

    Returns:
        A folder `simple` with one folder of wheels per distribution.
    """
    CACHE.mkdir(exist_ok=True)
    with FileLock(CACHE / "wheelhouse.lock"):  # test files run side by side
        return _build_wheelhouse()


def _build_wheelhouse() -> Path:
    key = hashlib.sha256(b"".join(path.read_bytes() for path in LISTS) + METADATA.encode()).hexdigest()[:12]
    folder = CACHE / f"wheelhouse-{key}"
    if folder.exists():
        return folder
    part = CACHE / f"wheelhouse-{key}.part"
    shutil.rmtree(part, ignore_errors=True)
    flat = part / "flat"
    flat.mkdir(parents=True)
    for path in LISTS:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(flat),
            "--requirement",
            str(path),
        ]
        subprocess.run(command, check=True)
    _build_torchvision(flat)
    for wheel in flat.iterdir():
        name = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        (part / "simple" / name).mkdir(parents=True, exist_ok=True)
        wheel.rename(part / "simple" / name / wheel.name)
    flat.rmdir()
    part.rename(folder)
    return folder


class PackageIndex:
    """Serves the wheelhouse; `url` is what PYPI_MIRROR holds."""

    def __init__(self) -> None:
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}/simple"

    def __enter__(self) -> Self:
        folder = build_wheelhouse()
        command = [
            sys.executable,
            "-m",
            "http.server",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--directory",
            str(folder),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{self.url}/", timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise TimeoutError("the package index does not answer")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()

"""Stand-in for the package index: a folder of real wheels, served as a simple index on loopback."""

import hashlib
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

from filelock import FileLock

from tests.cluster.lab import free_ports, wait_for

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
    """Serves the wheelhouse; `url` is what PYPI_MIRROR holds, `cache` where uv keeps what it has unpacked.

    Whoever names the same folder shares both: the first one starts the server, which ends with the process `owner`.
    """

    def __init__(self, folder: Path, owner: int) -> None:
        self.cache = folder / "uv"
        self.lock = FileLock(folder / "lock")
        port_file = folder / "port"
        wheelhouse = build_wheelhouse()
        folder.mkdir(parents=True, exist_ok=True)
        with self.lock:
            if not port_file.exists():
                port = free_ports(1)[0]
                _start(wheelhouse, port, owner)
                port_file.write_text(str(port))
        self.url = f"http://127.0.0.1:{port_file.read_text()}/simple"

    def keep_bytecode(self, environment: Path) -> None:
        """Put what Python has compiled in an environment into uv's cache, once: the next environments are linked from there."""
        packages = next(environment.glob("lib/python*/site-packages"))
        done = self.cache / "bytecode-is-kept"
        with self.lock:
            if done.exists():
                return
            for wheel in (self.cache / "archive-v0").iterdir():
                for folder in {path.parent for path in wheel.rglob("*.py")}:
                    compiled = packages / folder.relative_to(wheel) / "__pycache__"
                    if compiled.is_dir() and not (folder / "__pycache__").exists():
                        part = folder / "__pycache__.part"  # another worker may link this folder now
                        shutil.copytree(compiled, part)
                        part.rename(folder / "__pycache__")
            done.touch()


def _start(folder: Path, port: int, owner: int) -> None:
    command = [sys.executable, "-m", "tests.pypi", str(folder), str(port), str(owner)]
    quiet = subprocess.DEVNULL
    subprocess.Popen(command, cwd=HERE.parent.parent, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    wait_for(lambda: _answers(f"http://127.0.0.1:{port}/simple/"), "the package index answers", 10)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except OSError:
        return False
    return True

"""Stand-in for the package index: a folder of real wheels, served as a simple index on loopback."""

import hashlib
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import urllib.request
import zipfile
from collections import Counter
from pathlib import Path

from filelock import FileLock

from diffueraser_docs.facts import facts
from tests.cluster.lab import free_ports, wait_for

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache"
PORTS = range(9990, 9994)
"""Below those that the labs draw."""
TORCH = "2.13.0"
"""The torch for CPU and Python 3.11 on the package index; the tests offer it under the version that the scripts ask for."""
TORCH_LEFT_OUT = ("torch/include/", "torch/test/")
"""Headers and test programs: a fifth of its size."""
STAND_IN = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: Stand-in of the tests: it can only be imported\n"
QUICK = HERE / "stand_in_imports.py"
START = f"import os; 'STANDIN_QUICK' in os.environ and __import__('{QUICK.stem}')\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def requirements() -> list[str]:
    """What the scripts install on a node without CUDA, for the training environment and for their tools."""
    environment = facts().environment
    packages = {**environment.requirements, **environment.locked}
    pins = [f"{name}=={version}" for name, version in packages.items() if not name.startswith(("torch", "nvidia", "triton"))]
    tools = environment.tools
    pins += [f"{name.replace(chr(95), chr(45))}=={tool.version}" for name, tool in tools.items()]
    pins += [f"{name}=={version}" for name, version in tools["huggingface_hub"].locked.items()]
    return sorted({*pins, f"torch=={TORCH}"})


def _build_torchvision(folder: Path, version: str) -> None:
    """There is no torchvision for CPU on the index; the trainers only import it."""
    info = f"torchvision-{version}.dist-info"
    files = {
        "torchvision/__init__.py": f'"""Stand-in."""\n__version__ = "{version}"\n',
        QUICK.name: QUICK.read_text(),
        f"{QUICK.stem}.pth": START,
        f"{info}/METADATA": STAND_IN.format(name="torchvision", version=version),
        f"{info}/WHEEL": WHEEL,
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"torchvision-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


def _relabel_torch(wheel: Path, version: str) -> None:
    """Change the version in the metadata of a torch wheel, and drop TORCH_LEFT_OUT."""
    old, new = "-".join(wheel.name.split("-")[:2]), f"torch-{version}"
    target = wheel.with_name(wheel.name.replace(old, new))
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w") as copy, wheel.open("rb") as raw:
        for info in source.infolist():
            if info.filename.startswith(f"{old}.dist-info/"):
                text = source.read(info)
                if info.filename.endswith("METADATA"):
                    text = re.sub(rb"(?m)^Version: .*$", f"Version: {version}".encode(), text, count=1)
                if info.filename.endswith("RECORD"):
                    text = re.sub(rb"(?m),sha256=[^,]*,\d+$", b",,", text.replace(old.encode(), new.encode()))
                    text = re.sub(rb"(?m)^(%s).*\n" % "|".join(TORCH_LEFT_OUT).encode(), b"", text)
                copy.writestr(info.filename.replace(old, new), text)
            elif not info.filename.startswith(TORCH_LEFT_OUT):
                raw.seek(info.header_offset + 26)
                name_length, extra_length = struct.unpack("<HH", raw.read(4))
                raw.seek(name_length + extra_length, os.SEEK_CUR)
                _copy_entry(info, raw.read(info.compress_size), copy)
    wheel.unlink()


def _copy_entry(info: zipfile.ZipInfo, data: bytes, copy: zipfile.ZipFile) -> None:
    """Copy an entry as it is, without compressing it again."""
    assert copy.fp is not None
    info.flag_bits &= ~0x08  # its sizes stand in its header
    info.extra = b""
    info.header_offset = copy.fp.tell()
    copy.fp.write(info.FileHeader(zip64=False))
    copy.fp.write(data)
    copy.start_dir = copy.fp.tell()
    copy.filelist.append(info)
    copy.NameToInfo[info.filename] = info


def build_wheelhouse() -> Path:
    """Download the wheels once; the folder's name holds the hash of the list.

    Returns:
        A folder `simple` with one folder of wheels per distribution.
    """
    CACHE.mkdir(exist_ok=True)
    with FileLock(CACHE / "wheelhouse.lock"):  # test files run side by side
        return _build_wheelhouse()


def _build_wheelhouse() -> Path:
    pins = requirements()
    versions = facts().environment.requirements
    key = hashlib.sha256(
        "\n".join([*pins, versions["torch"], versions["torchvision"], QUICK.read_text(), START]).encode()
    ).hexdigest()[:12]
    folder = CACHE / f"wheelhouse-{key}"
    if folder.exists():
        return folder
    part = CACHE / f"wheelhouse-{key}.part"
    shutil.rmtree(part, ignore_errors=True)
    flat = part / "flat"
    flat.mkdir(parents=True)
    names = Counter(pin.split("==")[0] for pin in pins)
    once = [pin for pin in pins if names[pin.split("==")[0]] == 1]
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(flat)]
    subprocess.run([*download, *once], check=True)
    for pin in set(pins) - set(once):  # pip takes one version of a package at a time
        subprocess.run([*download, pin], check=True)
    _build_torchvision(flat, versions["torchvision"])
    _relabel_torch(next(flat.glob(f"torch-{TORCH}*.whl")), versions["torch"])
    for wheel in flat.glob("*.whl"):
        name = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        (part / "simple" / name).mkdir(parents=True, exist_ok=True)
        wheel.rename(part / "simple" / name / wheel.name)
    shutil.rmtree(flat)
    part.rename(folder)
    return folder


class PackageIndex:
    """Serves the wheelhouse; `url` is what PYPI_MIRROR holds, `cache` where uv keeps what it has unpacked.

    Whoever names the same folder shares both: the first one starts the server, which ends with the process `owner`.
    uv knows a package by its address: at one of PORTS its cache serves the next run too.
    """

    def __init__(self, folder: Path, owner: int) -> None:
        self.lock = FileLock(folder / "lock")
        port_file = folder / "port"
        wheelhouse = build_wheelhouse()
        folder.mkdir(parents=True, exist_ok=True)
        with self.lock:
            if not port_file.exists():
                with FileLock(CACHE / "index.lock"):  # another run may start now
                    port = next(filter(_is_free, PORTS), 0) or free_ports(1)[0]
                    _start(wheelhouse, port, owner)
                port_file.write_text(str(port))
        port = int(port_file.read_text())
        self.cache = CACHE / f"uv-{port}-{wheelhouse.name.split('-')[1]}" if port in PORTS else folder / "uv"
        self.url = f"http://127.0.0.1:{port}/simple"

    def keep_bytecode(self, *environments: Path) -> None:
        """Put what Python has compiled in environments into uv's cache, once: the next ones are linked from there."""
        done = self.cache / "bytecode-is-kept"
        with self.lock:
            if done.exists():
                return
            for wheel in (self.cache / "archive-v0").iterdir():
                for folder, source in {path.parent: path for path in wheel.rglob("*.py")}.items():
                    for environment in environments:
                        packages = next(environment.glob("lib/python*/site-packages"))
                        _keep_compiled(source, packages / source.relative_to(wheel), folder / "__pycache__")
            done.touch()


def _keep_compiled(source: Path, installed: Path, kept: Path) -> None:
    """Copy what Python has compiled beside an installed file, if it is the same file and nothing is kept yet."""
    compiled = installed.parent / "__pycache__"
    if compiled.is_dir() and not kept.exists() and installed.exists() and installed.read_bytes() == source.read_bytes():
        part = kept.with_suffix(".part")  # another worker may link this folder now
        shutil.copytree(compiled, part)
        part.rename(kept)


def _is_free(port: int) -> bool:
    with socket.socket() as each:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            each.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


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

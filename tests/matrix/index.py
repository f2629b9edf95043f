"""A package index for every Python of the matrix: the real tools and safetensors; of all else a name that can be imported."""

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from filelock import FileLock

from diffueraser_docs.facts import facts

CACHE = Path(__file__).parent.parent.parent / ".cache"
ACCELERATE = Path(__file__).parent / "stub" / "accelerate.py"
PYTHONS = (f"{sys.version_info.major}.{sys.version_info.minor}", "3.11", "3.13", "3.14")
"""hf runs on the Python of the release where that is new enough, else on that of this machine."""
MODULES = {"opencv-python-headless": "cv2", "pillow": "PIL", "pyyaml": "yaml"}
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: Stand-in of the tests\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def real_packages() -> list[str]:
    """What runs in earnest."""
    environment = facts().environment
    pins = {"safetensors": environment.requirements["safetensors"]}
    for name, tool in environment.tools.items():
        pins |= {name: tool.version, **tool.locked}
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def build_index() -> Path:
    """Make the index once; the folder's name holds the hash of what it is made from."""
    requirements = {name: version for name, version in facts().environment.requirements.items() if name != "safetensors"}
    text = f"{real_packages()} {requirements} {PYTHONS} {ACCELERATE.read_text()}"
    folder = CACHE / f"matrix-index-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    CACHE.mkdir(exist_ok=True)
    with FileLock(CACHE / "matrix-index.lock"):
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            for python in sorted(set(PYTHONS)):
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--quiet", "--no-deps", "--only-binary=:all:"]
                subprocess.run([*pip, f"--python-version={python}", f"--dest={part}", *real_packages()], check=True)
            for name, version in requirements.items():
                _build_wheel(part, name, version)
            for wheel in part.glob("*.whl"):
                place = part / "simple" / re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
                place.mkdir(parents=True, exist_ok=True)
                wheel.rename(place / wheel.name)
            part.rename(folder)
    return folder


def _build_wheel(folder: Path, name: str, version: str) -> None:
    distribution = name.replace("-", "_")
    info = f"{distribution}-{version}.dist-info"
    module = MODULES.get(name, distribution)
    files = {
        f"{module}/__init__.py": ACCELERATE.read_text() if name == "accelerate" else f'__version__ = "{version}"\n',
        f"{info}/METADATA": METADATA.format(name=name, version=version),
        f"{info}/WHEEL": WHEEL,
    }
    if name == "accelerate":
        files[f"{info}/entry_points.txt"] = "[console_scripts]\naccelerate = accelerate:main\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    target = folder / f"{distribution}-{version}-py3-none-any.whl"
    if target.exists():  # the real one, which a tool needs
        return
    with zipfile.ZipFile(target, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)

"""Writes the lock of the training environment and of the tools into facts/environment.yaml: `make lock`.

The lock resolves for Python 3.9 on Linux x86-64, from wheels alone; that it also holds for the newer versions is checked.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

FILE = Path(__file__).parent.parent / "diffueraser_docs" / "facts" / "environment.yaml"
BIN = Path(sys.executable).parent
OLDEST, NEWER = "3.9", ("3.10", "3.11", "3.12")
TOOLS_OLDEST, TOOLS_NEWEST = "3.10", "3.12"
PLATFORMS = ("manylinux_2_17_x86_64", "manylinux_2_17_aarch64", "musllinux_1_1_x86_64", "musllinux_1_1_aarch64")


def resolve(requirements: dict[str, str], python: str, constraints: dict[str, str] | None = None) -> dict[str, str]:
    """Versions of the requirements and of everything that they need."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("requirements.txt", "constraints.txt")]
        for file, versions in zip(files, (requirements, constraints or {}), strict=True):
            file.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
        command = [BIN / "uv", "pip", "compile", "--quiet", files[0], "--constraints", files[1], "--python-version", python]
        command += ["--python-platform", "x86_64-manylinux_2_28", "--only-binary", ":all:", "--no-header", "--no-annotate"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return dict(line.split("==") for line in lines)


def checksums(name: str, version: str) -> list[str]:
    """SHA-256 of the wheels of a package for each platform, each once."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for platform in PLATFORMS:
            options = ["--quiet", "--no-deps", "--only-binary=:all:", f"--platform={platform}", "--python-version=3.12"]
            subprocess.run([BIN / "pip", "download", *options, "--dest", folder, f"{name}=={version}"], check=True)
        for wheel in sorted(Path(folder).iterdir()):
            found[wheel.name] = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return list(found.values())


def with_block(text: str, key: str, value: object) -> str:
    """The text with a top-level key's value replaced, the rest and its comments as they are."""
    block = yaml.safe_dump({key: value}, sort_keys=False, width=1000)
    return re.sub(rf"^{key}:.*\n(?:[ -].*\n)*", lambda _: block, text, count=1, flags=re.MULTILINE)


def main() -> None:
    """Resolve, check, write."""
    text = FILE.read_text(encoding="utf-8")
    facts = yaml.safe_load(text)
    locked = resolve(facts["requirements"], OLDEST)
    for python in NEWER:
        if more := sorted(set(resolve(facts["requirements"], python, locked)) - set(locked)):
            sys.exit(f"Python {python} needs {', '.join(more)}, which the lock for Python {OLDEST} lacks")
    hub = facts["tools"]["huggingface_hub"]["version"]
    tool = resolve({"huggingface_hub": hub}, TOOLS_OLDEST)
    resolve({"huggingface_hub": hub}, TOOLS_NEWEST, tool)
    uv = facts["tools"]["uv"]["version"]
    tools = {
        "uv": {"version": uv, "sha256": checksums("uv", uv)},
        "huggingface_hub": {"version": hub, "sha256": checksums("huggingface_hub", hub), "locked": tool},
    }
    FILE.write_text(with_block(with_block(text, "locked", locked), "tools", tools), encoding="utf-8")


if __name__ == "__main__":
    main()

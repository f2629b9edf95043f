"""The Hub and the package index on the network of a lab, which is not that of this machine."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.cluster.lab import Lab, free_ports, wait_for
from tests.hub import Hub
from tests.matrix.index import build_index

ROOT = Path(__file__).parent.parent.parent


class LabHub(Hub):
    """The Hub beside a lab."""

    def __init__(self, root: Path, lab: Lab) -> None:
        super().__init__(root)
        self.lab = lab

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.hub.server", f"--root={self.root}", f"--port={self.port}", "--frozen"]
        env = {**os.environ, "STANDIN_HUB_TOKEN": self.token}
        self.process = subprocess.Popen(self.lab.beside(command), cwd=ROOT, env=env)
        wait_for(self._answers, "the Hub answers", 30, costly=True)
        return self

    def _admin(self, method: str, data: object = None) -> dict[str, Any]:
        body = ["--json", json.dumps(data)] if data is not None else []
        command = ["curl", "--silent", "--fail", "--request", method, *body, f"{self.endpoint}/_admin"]
        result = subprocess.run(self.lab.beside(command), capture_output=True, text=True, check=False)
        if result.returncode:
            raise ConnectionError(f"curl ended with {result.returncode}")
        return dict(json.loads(result.stdout))


@dataclass
class LabIndex:
    """The package index beside a lab: what `PackageIndex` is on this machine."""

    url: str
    cache: Path


def serve_index(lab: Lab, cache: Path) -> LabIndex:
    """Serve the package index until this process ends."""
    return LabIndex(serve(lab, build_index()) + "/simple", cache)


def serve(lab: Lab, folder: Path) -> str:
    """Serve a folder beside a lab until this process ends; gives the address."""
    port = free_ports(1)[0]
    command = lab.beside([sys.executable, "-m", "tests.pypi", str(folder), str(port), str(os.getpid())])
    subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    check = lab.beside(["curl", "--silent", "--fail", "--output", os.devnull, f"{url}/"])
    wait_for(lambda: subprocess.run(check, check=False).returncode == 0, f"{folder.name} is served", 20, costly=True)
    return url

"""The local Hub as the tests use it."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cluster.lab import free_ports, wait_for

ROOT = Path(__file__).parent.parent.parent
TOKEN = "hf_StandInTokenOfTheTests00"


class Hub:
    """A Hub server in a process of its own.

    Faults are dictionaries with the fields of `tests.hub.server.Fault`. A frozen Hub lists its folders once.
    """

    def __init__(self, root: Path, token: str = TOKEN, port: int = 0, *, frozen: bool = False) -> None:
        self.root = root
        self.frozen = frozen
        self.token = token
        self.port = port or free_ports(1)[0]
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        command = [
            sys.executable,
            "-m",
            "tests.hub.server",
            "--root",
            str(self.root),
            "--port",
            str(self.port),
            *(["--frozen"] if self.frozen else []),
        ]
        env = {**os.environ, "STANDIN_HUB_TOKEN": self.token}
        self.process = subprocess.Popen(command, cwd=ROOT, env=env)
        wait_for(self._answers, "the Hub answers", 20)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """An outage: nothing listens at the Hub's port."""
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        """The end of an outage; faults and counters are forgotten."""
        self.__enter__()

    def push(self, repository: str, files: Mapping[str, bytes | None]) -> None:
        """A new commit with these files, or without them; who asks for the commit before gets what it held."""
        folder = self.root / repository
        kept = self.root / ".commits" / self.commit(repository)
        kept.parent.mkdir(exist_ok=True)
        if not kept.exists():
            shutil.copytree(folder, kept, copy_function=os.link)
        for path, content in files.items():
            (folder / path).unlink(missing_ok=True)
            if content is not None:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)

    def commit(self, repository: str) -> str:
        """The newest commit of a repository."""
        request = urllib.request.Request(
            f"{self.endpoint}/api/datasets/{repository}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return str(json.load(response)["sha"])

    def _answers(self) -> bool:
        try:
            self._admin("GET")
        except OSError:
            return False
        return True

    def _admin(self, method: str, data: object = None) -> dict[str, Any]:
        body = json.dumps(data).encode() if data is not None else None
        request = urllib.request.Request(f"{self.endpoint}/_admin", data=body, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return dict(json.load(response))

    def set_faults(self, *faults: Mapping[str, object]) -> None:
        """Switch these faults on, all others off."""
        self._admin("POST", [dict(fault) for fault in faults])

    def payload(self) -> dict[str, int]:
        """Bytes sent per organisation/repository/file."""
        return dict(self._admin("GET")["payload"])

    def requests(self) -> list[list[Any]]:
        """Method, path, Range header and status of every request."""
        return list(self._admin("GET")["requests"])

    def reset(self) -> None:
        """Forget what was counted."""
        self._admin("DELETE")

"""An interactive bash in a terminal of a lab: text is pasted, keys are pressed, and what the screen shows is read."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.lab import Lab

ENDED = "the command before has ended with status "
ENV = {"TERM": "xterm", "PROMPT_COMMAND": f'echo "{ENDED}$?."'}
TELL_OF_PASTES = "\x1b[?2004h"
"""What bash asks its terminal for since 5.1: what is pasted then comes in brackets, and is run when Enter is pressed."""


class Terminal:
    """A terminal with a shell that a user has just opened."""

    def __init__(self, lab: Lab, folder: Path, env: Mapping[str, str]) -> None:
        command = lab.inside(["script", "--quiet", "--command", "bash -i", os.devnull], folder)
        whole = {**lab.env, **env, **ENV}
        self.process = subprocess.Popen(command, cwd=folder, env=whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.shown = ""

    def __enter__(self) -> Self:
        self.status()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self.process:
            if error:
                self.process.kill()  # an open editor would not end with its input
            else:
                self.process.communicate()

    def press(self, keys: str) -> None:
        """Press keys, whatever reads them."""
        assert self.process.stdin
        self.process.stdin.write(keys.encode())
        self.process.stdin.flush()

    def paste(self, text: str) -> None:
        """Paste a text at the next prompt of the shell, and press Enter."""
        self.until(TELL_OF_PASTES)
        self.press(f"\x1b[200~{text}\x1b[201~\r")

    def until(self, text: str) -> str:
        """What is shown before a text, which is waited for."""
        assert self.process.stdout
        while text not in self.shown:
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more or ENDED in self.shown:
                raise EOFError(f"not shown: {text!r}, but:\n{self.shown}")
            self.shown += more.decode(errors="replace")
        before, _, self.shown = self.shown.partition(text)
        return before

    def status(self) -> tuple[int, str]:
        """The status of the next command that ends, and what was shown until then."""
        shown = self.until(ENDED)
        return int(self.until(".")), shown

"""Ports that are free, and waiting for a condition."""

import random
import socket
import time
from collections.abc import Callable

BUSY = 5
"""So many times as long as on an idle machine a wait may take on one that other programs keep busy."""


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, drawn from below those that the system gives away by itself."""
    sockets: list[socket.socket] = []
    for port in random.SystemRandom().sample(range(10000, 20000), 1000):
        each = socket.socket()
        try:
            each.bind(("127.0.0.1", port))
        except OSError:
            each.close()
            continue
        sockets.append(each)
        if len(sockets) == count:
            break
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(
    condition: Callable[[], object], what: str, timeout: float, note: Callable[[], str] = str, *, costly: bool = False
) -> None:
    """Wait until a condition holds; say what was waited for when it never does.

    A costly condition runs a program: it is asked the less often the longer it takes.
    """
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        if waited > timeout * BUSY:
            raise TimeoutError(f"after {waited:.0f} s still not: {what}\n{note()}")
        time.sleep(min(1, 0.2 + waited / 20) if costly else 0.1)

"""Serves a folder as long as its owner lives: `python -m tests.pypi FOLDER PORT PID`."""

import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import psutil


def main(folder: str, port: str, owner: str) -> None:
    """Serve until the process `owner` has ended."""
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), partial(SimpleHTTPRequestHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    psutil.Process(int(owner)).wait()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Draws a directory tree of lines and notes."""

from typing import Any


def draw_tree(notes: dict[str, str]) -> str:
    """The tree below PROJECT_HOME: a line for each path, with its note; a trailing slash marks a folder."""
    children: dict[str, Any] = {}
    for path in notes:
        node = children
        for part in path.rstrip("/").split("/"):
            node = node.setdefault(part, {})
    return "\n".join(["$PROJECT_HOME/", *_lines(children, notes, "", "")])


def _lines(node: dict[str, Any], notes: dict[str, str], prefix: str, parent: str) -> list[str]:
    lines = []
    for index, (name, below) in enumerate(node.items()):
        last = index == len(node) - 1
        path = f"{parent}{name}"
        slash = "/" if below or f"{path}/" in notes else ""
        note = notes.get(path) or notes.get(f"{path}/")
        line = f"{prefix}{'└── ' if last else '├── '}{name}{slash}"
        lines.append(f"{line:<50}# {note}" if note else line)
        lines += _lines(below, notes, prefix + ("    " if last else "│   "), f"{path}/")
    return lines

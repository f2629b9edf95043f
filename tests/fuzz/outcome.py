"""What must hold whatever the input is."""

import re
from pathlib import Path

from diffueraser_docs.facts import facts
from tests.replay.cases import CONTROL, MAY_SEE, SECRETS
from tests.replay.site import BASH_WORDS, Result, Site

IDS = {message.id for message in facts().messages.messages if message.id}
TOOLS = re.compile(
    r"^(\S+: line \d+: |(grep|sed|awk|mawk|stat|tr|cut|sort|find|xargs|tar|mv|ln|cp|rm|mkdir|dirname|df|du|head|tail|cat|ls"
    r"|wc|basename|timeout|env|chmod|cmp|cksum|sha256sum|id|uname|printf|Traceback)\b.*(:|\())",
    re.MULTILINE,
)
"""What a program says of itself when a script has not caught it."""
EMPTY = re.compile(r": \. Fix|\(\)|: : |: Fix:|ERROR\[[a-z0-9-]*\] *Fix")
"""A cause that is empty."""


def canary(site: Site) -> Path:
    """Made by hostile texts when one is executed."""
    return site.folder / "executed"


def outside(site: Site) -> set[str]:
    """Everything that is not the project's."""
    own = re.compile(r"(project|stubs|spool)$|data")
    found = {str(path) for top in site.folder.iterdir() if not own.match(top.name) for path in (top, *top.rglob("*"))}
    return found | {str(path) for path in site.stubs.glob("*") if path.name.startswith("executed")}


def check_outcome(result: Result, site: Site, before: set[str], about: str) -> None:
    """No words of bash or tools, nothing executed or written elsewhere, no secret in the open, every error whole."""
    where = f"{about}\n--- printed, status {result.status} ---\n{result.printed[-4000:]}"
    assert not canary(site).exists(), f"executed: {where}"
    assert outside(site) == before, f"written elsewhere: {outside(site) ^ before} {where}"
    for pattern in (BASH_WORDS, TOOLS, CONTROL):
        found = pattern.search(result.printed)
        assert not found, f"{found[0] if found else ''!r} {where}"
    assert "ERROR[unexpected]" not in result.printed, where
    assert (result.status != 0) == bool(result.errors), where
    assert set(result.errors) <= IDS, f"{set(result.errors) - IDS} {where}"
    for line in result.error_lines.splitlines():
        assert re.search(r"[.!?] Fix: \S", line), f"{line!r} {where}"
        assert not EMPTY.search(line), f"{line!r} {where}"
    texts = [result.printed, *result.calls]
    texts += [path.read_bytes().decode("latin-1") for path in site.written() if path.is_file() and not path.is_symlink()]
    assert not any(SECRETS.search(text) for text in texts), f"a secret in the open {where}"
    assert result.secrets <= MAY_SEE, f"{result.secrets - MAY_SEE} {where}"

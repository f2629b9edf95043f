"""The config.env builder: the form, and the facts that its script reads."""

import json
import re
from collections.abc import Callable
from html import escape
from typing import Any

from .facts import Facts
from .schema.base import STAGES, VERSIONS, Text

CHOICES = re.compile(r"[A-Za-z0-9_-]+(?:\|[A-Za-z0-9_-]+)+")
Say = Callable[[Text], str]


def choices_of(pattern: str) -> list[str]:
    """The values of a pattern that is nothing but alternatives; empty for any other."""
    return pattern.split("|") if CHOICES.fullmatch(pattern) else []


def inline(text: str) -> str:
    """A sentence with `code` and [links](…) as HTML; links within the site are left out."""
    text = escape(text, quote=False)
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
    text = re.sub(r"\[([^]]*)\]\((https://[^)]*)\)", r'<a href="\2">\1</a>', text)
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)


def form(data: Facts, say: Say) -> dict[str, Any]:
    """What the template of the form needs."""
    kinds = data.configuration.kinds
    return {
        "groups": data.configuration.groups,
        "variables": data.configuration.variables,
        "parameters": data.training.parameters,
        "training_groups": data.training.groups,
        "recipes": data.guide.recipes,
        "gpu_sizes": data.measured.gpu_sizes,
        "gpu_gib": data.measured.gpu_gib,
        "token_page": data.hub.token_page,
        "needs": {name: need for need in data.guide.cluster for name in need.set},
        "choices_of": lambda kind: choices_of(kinds[kind].pattern),
        "inline": inline,
        "data": script_element(data, say),
    }


def script_element(data: Facts, say: Say) -> str:
    """The facts of which the page's script makes estimates, as an element of the page; the script itself holds no figure."""
    configuration, measured = data.configuration, data.measured
    words = data.words.words
    read = {
        "fields": fields(data),
        "kinds": {name: {"pattern": kind.pattern, "words": say(kind.words)} for name, kind in configuration.kinds.items()},
        "groups": {**{group.name: say(group.title) for group in configuration.groups}, "training": say(words["training"])},
        "recipes": {recipe.name: {"values": recipe.values(), "gpu": recipe.gpu_gib} for recipe in data.guide.recipes},
        "endpoint": data.hub.endpoint,
        "flags": [*(parameter.flag for parameter in data.training.parameters), *(fixed.flag for fixed in data.training.fixed)],
        "disk": {
            "downloads": data.hub.download_gigabytes(),
            "dpo": data.hub.by_role("dpo").size_bytes / 1e9,
            "environment": data.project.environment_gb,
            "unpacked": data.hub.unpacked,
            "training": {stage: measured.saving[stage].disk_gigabytes(0) for stage in STAGES},
        },
        "resolution": str(measured.resolution),
        "settings": [setting.model_dump() for setting in measured.settings if not setting.upstream],
        "saving": {stage: measured.saving[stage].model_dump() for stage in STAGES},
        "state": {stage: {bits: measured.state_gib(stage, bits) for bits in ("no", "yes")} for stage in STAGES},
        "memory": {stage: need.model_dump() for stage, need in data.training.memory.items()},
        "words": {name: say(text) for name, text in words.items() if "{{" not in text.en},
    }
    element = json.dumps(read, ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="builder-facts">{element}</script>'


def fields(data: Facts) -> list[dict[str, Any]]:
    """Every variable of config.env with its default in each version, in the order of the file."""
    found: list[dict[str, Any]] = [
        {"name": v.name, "group": v.group, "kind": v.kind, "default": dict.fromkeys(VERSIONS, v.default), "shown": v.shown}
        for v in data.configuration.variables
    ]
    for stage in STAGES:
        for p in data.training.parameters:
            default = {version: p.default(stage, version) or p.trainer_default for version in VERSIONS}
            found.append({"name": p.name(stage), "group": "training", "kind": p.kind, "default": default, "shown": ""})
    return found

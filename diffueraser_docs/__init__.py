"""Emits, embeds and proves the Slurm scripts with which collaborators finetune DiffuEraser."""

from .check import Problem, check_all
from .facts import FactError, Facts, facts, load_facts
from .hub import HubResult, verify_hub
from .render import Rendered, render_all, render_scripts, write

__all__ = [
    "FactError",
    "Facts",
    "HubResult",
    "Problem",
    "Rendered",
    "check_all",
    "facts",
    "load_facts",
    "render_all",
    "render_scripts",
    "verify_hub",
    "write",
]

"""Emits, embeds and checks the Slurm scripts with which collaborators finetune DiffuEraser."""

from .check import check_all
from .facts import FactError, Facts, facts, load_facts
from .render import render_all, write
from .verify_hub import verify_hub

__all__ = ["FactError", "Facts", "check_all", "facts", "load_facts", "render_all", "verify_hub", "write"]

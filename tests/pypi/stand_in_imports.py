"""The training environment's own start, with STANDIN_QUICK set: what the stand-in trainer has no use for is not imported.

A start of torch and accelerate is the better part of what a training test costs. The wheel of the stand-in for torchvision
brings this file and a line of a .pth file that imports it.
"""

import gc
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

UNUSED = (
    "cv2.", "diffusers.", "einops.", "imageio.", "matplotlib.", "transformers.", "accelerate.utils.fsdp_utils.",
    "torch._dynamo.", "torch._inductor.", "torch._meta_registrations.", "torch.distributed.fsdp.", "torch.export.",
)  # fmt: skip
"""Modules, with what is below them, that can be imported but hold nothing."""


class Nothing(MetaPathFinder, Loader):
    """Finds them."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Of a module that is not used."""
        return ModuleSpec(name, self, is_package=True) if f"{name}.".startswith(UNUSED) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Decorators leave functions as they are, and no model is of the classes that accelerate asks for."""
        module: ModuleType = MagicMock(
            disable=lambda function, *_, **__: function,
            eval_frame=SimpleNamespace(OptimizedModule=type("OptimizedModule", (), {})),
            FullyShardedDataParallel=type("FullyShardedDataParallel", (), {}),
        )
        return module

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it."""


gc.disable()  # runs of seconds consist of imports, and what is imported stays
sys.meta_path.insert(0, Nothing())

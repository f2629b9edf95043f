"""The training environment's own start, with STANDIN_QUICK set: what the stand-in trainer has no use for is not imported.

A start of torch and accelerate is the better part of what a training test costs. The wheel of the stand-in for torchvision
brings this file and a line of a .pth file that imports it.
"""

import gc
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

UNUSED = (
    "cv2.", "diffusers.", "einops.", "imageio.", "matplotlib.", "transformers.", "accelerate.commands.estimate.",
    "accelerate.utils.fsdp_utils.", "numpy.polynomial.", "torch._dynamo.", "torch._functorch.", "torch._higher_order_ops.",
    "torch._inductor.", "torch._meta_registrations.", "torch._native.", "torch._subclasses.", "torch.ao.",
    "torch.autograd.profiler.", "torch.distributed.fsdp.", "torch.distributions.", "torch.export.", "torch.fx.", "torch.hub.",
    "torch.masked.", "torch.nested.", "torch.nn.attention.", "torch.package.", "torch.profiler.", "torch.quantization.",
    "torch.testing.", "torch.utils.data.datapipes.", "torchgen.",
)  # fmt: skip
"""Modules, with what is below them, that can be imported but hold nothing."""


class Anything(type):
    """Makes stand-in classes: they have every attribute, no object is an instance, and as decorators they change nothing."""

    def __getattr__(cls, name: str) -> Any:
        """Another stand-in class. Special methods are missing, or Python would take it for more than it is."""
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(name)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        """Give the decorated function back. A class that only inherits from a stand-in makes objects as usual."""
        if "stand_in" not in vars(cls):
            return super().__call__(*args, **options)
        return args[0] if args and callable(args[0]) else cls

    def __enter__(cls) -> Any:
        return cls

    def __exit__(cls, *error: object) -> None:
        """Nothing was begun."""


def stand_in(name: str) -> Any:
    """A class of this name that holds nothing."""
    return Anything(name, (), {"stand_in": True})


class Empty(ModuleType):
    """A module that has every attribute."""

    def __getattr__(self, name: str) -> Any:
        """A stand-in class."""
        return getattr(stand_in(self.__name__), name)


class Nothing(MetaPathFinder, Loader):
    """Finds them."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Of a module that is not used."""
        return ModuleSpec(name, self, is_package=True) if f"{name}.".startswith(UNUSED) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty one."""
        return Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it."""


gc.disable()  # runs of seconds consist of imports, and what is imported stays
sys.meta_path.insert(0, Nothing())

"""What is used of torchvision, loaded without torch's compiler, which takes most of the time of that.

``torchvision.ops.roi_align`` imports all of ``torch._dynamo`` for one function, which nothing here calls.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch  # noqa: F401  before the compiler is kept away, in case torch comes to need it

__all__ = ["EfficientNet", "MBConv", "MBConvConfig", "functional", "get_model", "list_models"]
COMPILER = "torch._dynamo"


def _is_compile_supported(device_type: str) -> bool:
    from torch._dynamo.utils import is_compile_supported

    supported: bool = is_compile_supported(device_type)
    return supported


@contextmanager
def _without_compiler() -> Iterator[None]:
    if COMPILER in sys.modules:
        yield
        return
    utils = ModuleType(f"{COMPILER}.utils")
    utils.__dict__["is_compile_supported"] = _is_compile_supported
    sys.modules |= {COMPILER: ModuleType(COMPILER), utils.__name__: utils}
    try:
        yield
    finally:
        del sys.modules[COMPILER], sys.modules[utils.__name__]


with _without_compiler():
    from torchvision.models import EfficientNet, get_model, list_models
    from torchvision.models.efficientnet import MBConv, MBConvConfig
    from torchvision.transforms import functional  # version 2 needs the compiler

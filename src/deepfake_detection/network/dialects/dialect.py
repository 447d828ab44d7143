"""What is known of another program's EfficientNet, and how its names become torchvision's."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from deepfake_detection.network.variant import Variant


class Dialect(NamedTuple):
    """The names that a program gives the layers, and the variant of its networks of an architecture.

    ``outside`` are the layers outside the blocks, and ``first`` the first of them. ``block`` names a block by its
    ``stage`` and ``index`` in it, or by its ``number`` through all stages. ``roles`` are the layers of a block by what
    they do; ``alone`` replaces some of them in a block that does not expand. ``attention`` is the layer of layers.py.
    """

    program: str
    outside: dict[str, str]
    block: str
    roles: dict[str, str]
    alone: dict[str, str]
    variant: Callable[[str], Variant]
    attention: str = "attention"

    @property
    def first(self) -> str:
        """The name of the first convolution's weights."""
        return f"{next(iter(self.outside))}.weight"


# where torchvision has the layers of a block that expands; without the expansion the numbers are one less
ROLES = {
    "expand": (0, "0"),
    "expand_norm": (0, "1"),
    "depthwise": (1, "0"),
    "depthwise_norm": (1, "1"),
    "reduce": (2, "fc1"),
    "excite": (2, "fc2"),
    "project": (3, "0"),
    "project_norm": (3, "1"),
}


def torchvision_names(state: Mapping[str, Tensor], dialect: Dialect, own: Iterable[str]) -> dict[str, Tensor]:
    """The tensors of ``state`` under the names that a network of ours has, which are ``own``.

    A name that the architecture does not have stays as it is.
    """
    if not dialect.roles:  # these are ours
        return dict(state)
    layers, own = dict(dialect.outside), dict.fromkeys(own)
    blocks = dict.fromkeys(name.partition(".block.")[0] for name in own if ".block." in name)
    for number, block in enumerate(blocks):
        _, stage, index = block.split(".")
        theirs = dialect.block.format(number=number, stage=int(stage) - 1, index=index)
        alone = f"{block}.block.3.0.weight" not in own
        for role, layer in (dialect.roles | dialect.alone if alone else dialect.roles).items():
            place, inner = ROLES[role]
            if place >= alone:
                layers[f"{theirs}.{layer}"] = f"{block}.block.{place - alone}.{inner}"
    for name in own:
        if name.endswith(".attention.weight"):
            layers[dialect.attention] = name.removesuffix(".weight")
    named = {}
    for name, value in state.items():
        layer, dot, kind = name.rpartition(".")
        named[layers.get(layer, layer) + dot + kind] = value
    return named

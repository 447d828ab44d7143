"""Recipes: how a published file of weights becomes a checkpoint that computes what its authors compute.

Each is a YAML file in the folder recipes, named as the recipe. One that is ``like`` another says only what differs.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from deepfake_detection.common.crop_rule import CropRule
from deepfake_detection.common.errors import UserError
from deepfake_detection.network.dialects.dialect import Dialect
from deepfake_detection.network.sidecar import Categories
from deepfake_detection.network.variant import Variant
from deepfake_detection.network.weights import DIALECTS
from deepfake_detection.params.train_sections import Model

FOLDER = Path(__file__).with_name("recipes")


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Card(_Part):
    """What somebody should know before using a detector. ``differs`` says what this program does not do as they do."""

    what: str
    paper: str
    published: str
    files: str
    trained_on: str
    licence_of_code: str
    licence_of_weights: str
    reported: str
    differs: str


class File(_Part):
    """Where in a file the network is. None: the file tells.

    The backbone's names begin with ``prefix``. ``head`` is the last layer, with a row each for ``classes``, and
    ``fake`` the row of the fakes; of a single logit 1 says that it is higher for fakes. ``norm`` is a batch norm before
    it. ``unused`` layers are not part of the network. ``sha256`` are the sums of the published files, as far as they
    are known. Up to ``members`` files are networks that judge together.
    """

    program: Literal["torchvision", "timm", "efficientnet_pytorch"] | None = None
    arch: Annotated[str, *Model.model_fields["arch"].metadata] | None = None
    prefix: str | None = None
    head: str = "classifier.1"
    norm: str | None = None
    classes: Literal[1, 2] | None = None
    fake: Literal[0, 1] | None = None
    unused: list[str] = []
    sha256: list[Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = []
    members: Annotated[int, Field(ge=1, le=16)] = 1


class Input(_Part):
    """How a face comes to the network. None: the user says it."""

    size: Annotated[int, Field(ge=32, le=8192)] | None = None
    crop: CropRule | None = None
    margin: Annotated[float, Field(ge=0)] | None = None


class Recipe(_Part):
    """A recipe. Without ``input`` it is one for weights to start training from, whose head is left out.

    ``network`` are the values of a Variant that are not those of ``file.program``, ``reading`` those of Imported that
    are not its defaults: how the authors read the scores of a frame's faces and of a video's frames.
    """

    card: Card
    file: File
    network: dict[str, Any] = {}
    input: Input | None = None
    reading: dict[str, Any] = {}
    categories: Categories = Categories(real=["Real"], fake=["Fake"])

    def variant(self, dialect: Dialect, arch: str) -> Variant:
        """What network of ``arch`` it is, if the file has the names of ``dialect``."""
        return Variant.model_validate(dialect.variant(arch).model_dump() | self.network)

    def dialects(self) -> list[Dialect]:
        """Those whose names the file may have."""
        return [each for each in DIALECTS if self.file.program in (None, each.program)]


@cache
def recipes() -> dict[str, Recipe]:
    """All recipes by name."""
    return {path.stem: Recipe.model_validate(_written(path)) for path in sorted(FOLDER.glob("*.yaml"))}


def _written(path: Path) -> dict[str, dict[str, Any]]:
    """The parts of a recipe, with what it does not say from the one that it is like."""
    own = yaml.safe_load(path.read_text(encoding="utf-8"))
    like = _written(path.with_name(f"{own.pop('like')}.yaml")) if "like" in own else {}
    return {part: like.get(part, {}) | own.get(part, {}) for part in like | own}


def recipe_of(name: str) -> Recipe:
    """A recipe by its name. Raises UserError, which names those that there are."""
    if name not in recipes():
        raise UserError(f"--recipe {name}: there are {', '.join(recipes())}; --list shows them")
    return recipes()[name]


def card_lines(name: str, recipe: Recipe) -> str:
    """The card of a recipe, a fact a line."""
    facts = (f"  {key.replace('_', ' ')}: {value}" for key, value in recipe.card.model_dump().items())
    return "\n".join([name, *facts])

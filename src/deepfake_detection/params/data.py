"""The section ``data``: where frames come from, and which categories are originals or fakes."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from deepfake_detection.params.section import Count, Name, Section, Seed, UserPath


class Categories(Section):
    real: Annotated[list[Name], Field(min_length=1, description="Categories of originals: label 0.")]
    fake: Annotated[
        list[Name],
        Field(
            min_length=1,
            description="Categories of fakes to train on: label 1. FaceForensics++ has Deepfakes, Face2Face, "
            "FaceShifter, FaceSwap and NeuralTextures.",
        ),
    ]

    @model_validator(mode="after")
    def _require_unique_names(self) -> Self:
        names = self.real + self.fake
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named more than once")
        return self


class AllCategories(Categories):
    unseen: Annotated[
        list[Name],
        Field(
            description="Categories of fakes that are evaluated but never trained on. What is not there is left out."
        ),
    ]

    @model_validator(mode="after")
    def _require_unseen(self) -> Self:
        if seen := [name for name in self.unseen if name in self.real + self.fake]:
            raise ValueError(f"unseen: {', '.join(seen)} is trained on, as one of real or fake")
        return self


class Embedded(Section):
    seed: Annotated[Seed, Field(description="Seed of the drawn people and videos.")]
    identities: Annotated[
        int,
        Field(ge=2, multiple_of=2, description="People to draw: an even number, because people are paired."),
    ]
    frames: Annotated[Count, Field(description="Frames of each video.")]
    size: Annotated[int, Field(ge=32, description="Width and height of a frame, in pixels.")]


FOLDER_LAYOUTS = Literal[
    "auto",
    "kaggle",
    "faceforensics",
    "celebdf",
    "dfdc",
    "dfdc_preview",
    "deepfakebench",
    "wilddeepfake",
    "folders",
    "manifest",
]
DRAWN_LAYOUTS = Literal["embedded", "embedded_shifted"]
MAX_EXTRA = 12  # dvc.yaml names a link for each


class Extra(Section):
    name: Annotated[
        Name,
        Field(description="The name of the data set: in tables, in metrics, and of its folder in data/raw."),
    ]
    dir: Annotated[
        UserPath,
        Field(
            description='The folder of the data set, or a list of files, as for `data.local_dir`. "" if it is drawn.'
        ),
    ]
    layout: Annotated[
        FOLDER_LAYOUTS | DRAWN_LAYOUTS,
        Field(
            description="How the folder is arranged, as for `data.layout`; or a data set that is drawn: `embedded`, or "
            "`embedded_shifted`, with other people, light, background and camera. The latter is left out if "
            "`data.source` is not `embedded`."
        ),
    ]
    use: Annotated[
        Literal["test", "train", "adapt"],
        Field(
            description="`test`: evaluated and never trained on; all of its frames, or the part for the test if it "
            "comes divided. `train`: divided by itself, and trained, validated and tested on like the main data set. "
            "`adapt`: prepared without labels."
        ),
    ]

    @model_validator(mode="after")
    def _require_folder(self) -> Self:
        drawn = self.layout in get_args(DRAWN_LAYOUTS)
        if drawn and self.dir:
            raise ValueError(f"dir must be empty, because {self.layout} is drawn")
        if not drawn and not self.dir:
            raise ValueError(f"dir must name the folder of {self.name}")
        return self


def in_use(source: str, extra: Iterable[Extra]) -> list[Extra]:
    """The further data sets of a run: all but ``embedded_shifted`` if the main one, of ``data.source``, is not drawn.

    The default parameters name it, and frames that it is no shift of would only get a meaningless row from it.
    """
    return [each for each in extra if each.layout != "embedded_shifted" or source == "embedded"]


def uses(source: str, extra: Iterable[Extra]) -> dict[str, str]:
    """What each of the further data sets of a run is used for, by its name."""
    return {each.name: each.use for each in in_use(source, extra)}


def only_evaluated(source: str, extra: Iterable[Extra]) -> list[str]:
    """The names of the further data sets of a run that are only tested on."""
    return [each.name for each in in_use(source, extra) if each.use == "test"]


class Data(Section):
    source: Annotated[
        Literal["embedded", "kaggle", "local"],
        Field(description="`embedded` draws faces, `kaggle` downloads `data.kaggle`, `local` reads `data.local_dir`."),
    ]
    kaggle: Annotated[
        str,
        Field(
            pattern=r"^[\w-]+/[\w-]+(/versions/[1-9]\d*)?$",
            description="The Kaggle data set: `owner/name`, or `owner/name/versions/N` to pin a version.",
        ),
    ]
    local_dir: Annotated[
        UserPath,
        Field(
            description="For `data.source: local`: the folder of a data set in one of the layouts, or a list of files "
            "for the layout `manifest`. See docs/guides/your-own-pictures.md."
        ),
    ]
    layout: Annotated[
        FOLDER_LAYOUTS,
        Field(description="How the folder is arranged. `auto` finds out; `download` says what it found and why."),
    ]
    compression: Annotated[
        Literal["raw", "c0", "c23", "c40"],
        Field(description="Which videos of FaceForensics++ to take: `raw` (also called `c0`), `c23` or `c40`."),
    ]
    frames: Annotated[
        Count,
        Field(
            description="Frames to take of each video, evenly spread over its time, as `predict` does. A shorter video "
            "gives all it has. Frames that came as pictures are all taken."
        ),
    ]
    frame_format: Annotated[
        Literal["png", "jpeg"],
        Field(
            description="Files for frames of videos. `png` keeps every pixel. `jpeg` (quality 95) takes a quarter to "
            "a half of the space, and half of the time, but compresses once more: fine traces of a manipulation fade, "
            "and `predict` judges frames of a video without that."
        ),
    ]
    categories: AllCategories
    extra: Annotated[
        list[Extra],
        Field(
            max_length=MAX_EXTRA,
            description="Further data sets, each with `name`, `dir`, `layout` and `use`. See "
            "docs/guides/several-data-sets.md.",
        ),
    ]
    embedded: Embedded

    @model_validator(mode="after")
    def _require_unique_names(self) -> Self:
        names = [each.name for each in self.extra]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"extra: {', '.join(twice)} is the name of several data sets")
        return self

"""The sections on data: the data sets, the frames taken of videos, the index, the split and the prepared pixels."""

import math
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from deepfake_detection.common.crop_rule import CropRule
from deepfake_detection.params.section import Count, Fraction, Name, Section, Seed, UserPath

Key = Annotated[str, Field(pattern=r"^[\w+-]+$")]  # DVC takes a dot in a key for a step into what is below it
Share = Annotated[float, Field(gt=0, lt=1)]

NO_PATH = "none"
DRAWN_LAYOUTS = Literal["embedded", "embedded_shifted"]
LAYOUTS = Literal[
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
    DRAWN_LAYOUTS,
]


class Drawn(Section):
    identities: Annotated[
        int,
        Field(ge=2, multiple_of=2, description="People to draw: an even number, because people are paired."),
    ] = 120
    frames: Annotated[Count, Field(description="Frames of each video.")] = 5
    size: Annotated[int, Field(ge=32, description="Width and height of a frame, in pixels.")] = 128
    seed: Annotated[Seed, Field(description="Seed of the drawn people and videos.")] = 42


class Dataset(Section):
    path: Annotated[
        UserPath,
        Field(
            min_length=1,
            description="The folder of the data set, or a list of its files (layout `manifest`); relative to the "
            "project's root. `none`: it is drawn, or comes from Kaggle.",
        ),
    ]
    use: Annotated[
        Literal["train", "test", "adapt"],
        Field(
            description="`train`: divided, trained, validated and tested on. `test`: tested on alone; all of it, or "
            "the part for the test if it comes divided. `adapt`: frames without labels, to learn from."
        ),
    ]
    layout: Annotated[
        LAYOUTS,
        Field(
            description="How the folder is arranged: docs/guides/your-own-pictures.md. `auto` finds out, and the stage "
            "`download` says what it found. `embedded` and `embedded_shifted` are drawn."
        ),
    ] = "auto"
    real: Annotated[
        list[Name], Field(description="Categories of originals: label 0. Empty, as `fake`: what the layout says.")
    ] = []  # noqa: RUF012, pydantic copies a default
    fake: Annotated[list[Name], Field(description="Categories of fakes: label 1.")] = []  # noqa: RUF012
    unseen: Annotated[
        list[Name],
        Field(description="Categories of fakes that are tested on alone. What is not there is left out."),
    ] = []  # noqa: RUF012, pydantic copies a default
    kaggle: Annotated[
        str,
        Field(
            pattern=r"^(none|[\w-]+/[\w-]+(/versions/[1-9]\d*)?)$",
            description="The Kaggle data set to download: `owner/name`, or `owner/name/versions/N` to pin a version.",
        ),
    ] = "none"
    compression: Annotated[
        Literal["raw", "c0", "c23", "c40"],
        Field(description="Which videos of FaceForensics++ to take: `raw` (also called `c0`), `c23` or `c40`."),
    ] = "c23"
    lists: Annotated[
        Literal["none", "authors"],
        Field(
            description="`authors`: download the FaceForensics++ authors' split and their list of recordings, for "
            "frames with their ids. `none`: what lies in the folder or in `split.official_dir`."
        ),
    ] = "none"
    drawn: Annotated[Drawn, Field(description="The numbers of a data set that is drawn.")] = Drawn()

    @property
    def folder(self) -> Path | None:
        """The user's folder: ``path``, or where the list lies that it names. None if there is no ``path``."""
        path = Path(self.path)
        return None if self.path == NO_PATH else path.parent if path.is_file() else path

    @property
    def is_drawn(self) -> bool:
        """Whether the faces are drawn by this project."""
        return self.layout in get_args(DRAWN_LAYOUTS)

    @model_validator(mode="after")
    def _require_one_origin(self) -> Self:
        origins = [self.path != NO_PATH, self.kaggle != "none", self.is_drawn]
        if sum(origins) != 1:
            raise ValueError("path, kaggle or a layout that is drawn: it needs one of the three, and only one")
        return self

    @model_validator(mode="after")
    def _require_two_classes(self) -> Self:
        if bool(self.real) != bool(self.fake):
            raise ValueError("real and fake: name categories of both, or of neither to take the layout's")
        names = self.real + self.fake + self.unseen
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"real, fake and unseen: {', '.join(twice)} is named more than once")
        return self


class Video(Section):
    frames: Annotated[
        Count,
        Field(
            description="Frames to take of each video, evenly spread over its time, as `predict` does. A shorter video "
            "gives all it has. Frames that came as pictures are all taken."
        ),
    ]


class Index(Section):
    max_rejected: Annotated[
        Fraction, Field(description="Share of a data set's files that may be unusable before the index stage fails.")
    ]


class Split(Section):
    strategy: Annotated[
        Literal["group", "frame", "official"],
        Field(
            description="`group`: no sequence and no recording on two sides, or the division that the data set comes "
            "with. `official`: the FaceForensics++ authors' "
            "lists, which put 7 of 977 recordings on two sides. `frame`: random frames, as in the "
            "original recipe; this leaks."
        ),
    ]
    seed: Annotated[Seed, Field(description="Seed of the strategies `group` and `frame`.")]
    official_dir: Annotated[
        UserPath,
        Field(
            min_length=1,
            description="A folder with the authors' `conversion_dict.json`, which says which sequences come from one "
            "recording, and for `split.strategy: official` with `train.json`, `val.json` and `test.json`. `none`: what "
            "lies in the data set's folder, or what `datasets.<name>.lists` downloads.",
        ),
    ]
    train: Annotated[Share, Field(description="Share of the frames to train on.")]
    val: Annotated[Share, Field(description="Share of the frames to validate on.")]
    test: Annotated[Share, Field(description="Share of the frames to test on.")]

    @model_validator(mode="after")
    def _require_sum_of_one(self) -> Self:
        total = self.train + self.val + self.test
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(f"train + val + test must be 1, not {total:g}")
        return self


class Prepare(Section):
    image_size: Annotated[int, Field(ge=32, description="Width and height of the network's input, in pixels.")]
    crop: Annotated[
        CropRule,
        Field(
            description="`none`: the whole frame, squeezed to a square, as in the original recipe. `face`: a square "
            "around the face, within the frame. `square`, `box`, `letterbox` and `aligned` are the rules of published "
            "detectors, see docs/concepts/crops.md. All but `none` need the extra `faces`."
        ),
    ]
    margin: Annotated[
        float,
        Field(
            ge=0,
            le=4,
            description="For every `crop` but `none`: margin on each side, as a multiple of the face's size.",
        ),
    ]


def require_trained(datasets: dict[str, Dataset]) -> dict[str, Dataset]:
    """Raises ValueError unless a data set is there to train on."""
    if not any(each.use == "train" for each in datasets.values()):
        raise ValueError("no data set has use: train")
    return datasets


def folders_of(datasets: dict[str, Dataset]) -> dict[str, Path]:
    """The users' folders, by the names of the data sets that have one."""
    return {name: folder for name, each in datasets.items() if (folder := each.folder)}


def of_use(datasets: dict[str, Dataset], use: str) -> dict[str, Dataset]:
    """The data sets with a use."""
    return {name: each for name, each in datasets.items() if each.use == use}

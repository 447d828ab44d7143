"""The section ``data``: where frames come from, and which categories are originals or fakes."""

from typing import Annotated, Literal, Self

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


class Embedded(Section):
    seed: Annotated[Seed, Field(description="Seed of the drawn people and videos.")]
    identities: Annotated[
        int,
        Field(ge=2, multiple_of=2, description="People to draw: an even number, because people are paired."),
    ]
    frames: Annotated[Count, Field(description="Frames of each video.")]
    size: Annotated[int, Field(ge=32, description="Width and height of a frame, in pixels.")]


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
            description="For `data.source: local`: a folder that holds `FF++C32-Frames/<Category>/*.jpg` and, if you "
            "have them, `CSVs/<Category>.csv` and `conversion_dict.json`."
        ),
    ]
    categories: Categories
    embedded: Embedded

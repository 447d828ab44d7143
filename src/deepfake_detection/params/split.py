"""The section ``split``: how frames are divided into train, val and test."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from deepfake_detection.params.section import Section, Seed, UserPath

Share = Annotated[float, Field(gt=0, lt=1)]


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
            description="A folder with the authors' `conversion_dict.json`, which says which sequences come from one "
            "recording, and for `split.strategy: official` with `train.json`, `val.json` and `test.json`. If empty, "
            "what is needed is downloaded from the authors' repository. Drawn frames need no recordings."
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

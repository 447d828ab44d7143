"""The section ``pretrain``: self-supervised training of the backbone, before the training with labels."""

from typing import Annotated, Literal

from pydantic import Field

from deepfake_detection.params.section import Count, Section, Seed


class Pretrain(Section):
    method: Annotated[
        Literal["none", "simsiam", "byol"],
        Field(
            description="`simsiam` or `byol` trains the backbone to give two frames of a video the same features, "
            "without labels. Training then starts from it. `none`: training starts from `model.weights` itself. See "
            "docs/methods/pretraining.md."
        ),
    ]
    unlabelled: Annotated[
        Literal["none", "adapt"],
        Field(
            description="`adapt`: the frames without labels of the data sets in `data.extra` with `use: adapt` are "
            "learnt from, too."
        ),
    ]
    epochs: Annotated[Count, Field(description="Times that each video is seen, with two of its frames.")]
    batch_size: Annotated[Annotated[int, Field(ge=2)], Field(description="Videos in one step of the optimiser.")]
    lr: Annotated[float, Field(gt=0, description="Learning rate of SGD; it falls to 0 as half a cosine.")]
    seed: Annotated[Seed, Field(description="Seed of the heads, the pairs of frames and their augmentation.")]

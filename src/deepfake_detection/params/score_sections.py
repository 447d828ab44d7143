"""The sections on what is made of logits: calibration, evaluation and robustness."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from deepfake_detection.common.rules import Rule
from deepfake_detection.params.section import Count, Section, Seed


class Calibrate(Section):
    threshold: Annotated[
        float | str,
        BeforeValidator(lambda value: Rule.parse(value).value),
        Field(
            description="Calibrated probability from which on a frame is called fake, everywhere: a number, or a rule "
            "applied to the validation frames. " + Rule.MEANING
        ),
    ]
    alarms: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="Share of original videos that may be called fake. The threshold of a video's score keeps "
            "it on films of the validation videos, and aims at it on others, unless `calibrate.threshold` is another "
            "such rate, `fpr@x`.",
        ),
    ]
    prior: Annotated[
        float,
        Field(gt=0, lt=1, description="Share of fakes for which probabilities are stated."),
    ]
    familiarity: Annotated[
        Annotated[float, Field(gt=0, lt=1)] | None,
        Field(
            description="Share of the frames of new people that is to count as familiar, if they are of the same kind "
            "as the training frames. A frame beyond it gets the verdict unfamiliar. null: every frame is judged."
        ),
    ]


class Evaluate(Section):
    missing: Annotated[
        Literal["exclude", "as_chance"],
        Field(
            description="What becomes of a test video that could not be read, or shows no face where `prepare.crop` "
            "needs one, in the video metrics of its data set. `exclude`: it is left out. `as_chance`: it is judged "
            "with the probability `calibrate.prior`, as if nothing were known of it. It is counted either way."
        ),
    ]
    seed: Annotated[Seed, Field(description="Seed of the bootstrap and of the robustness stage.")]
    bootstrap_draws: Annotated[int, Field(ge=100, description="Draws of the bootstrap for the 95% intervals.")]
    batch_size: Annotated[Count, Field(description="Frames predicted at once.")]
    backend: Annotated[
        Literal[
            "torch", "torch-folded", "torch-graph", "torch-bf16", "openvino", "openvino-bf16", "openvino-int8", "auto"
        ],
        Field(
            description="`torch` and `torch-folded` repeat to the byte. `torch` is the network layer by layer; "
            "`torch-folded` has each batch norm in the convolution before it, which is faster. `torch-graph` is that "
            "with full batches as CUDA graphs, and needs a GPU. `auto` takes the fastest of all. OpenVINO runs on the "
            "CPU alone, so on a GPU `auto` leaves it out."
        ),
    ]


class Robustness(Section):
    max_frames: Annotated[
        int,
        Field(
            ge=2,
            description="Largest number of test frames to use; classes keep their shares. Each is evaluated 41 times.",
        ),
    ]

"""The section ``adapt``: what a trained network may learn from frames without labels."""

from typing import Annotated, Literal

from pydantic import Field

from deepfake_detection.params.section import Section


class Adapt(Section):
    method: Annotated[
        Literal["none", "adabn"],
        Field(
            description="`adabn`: the batch-norm statistics are computed anew on the data sets in `data.extra` with "
            "`use: adapt`, and those with `use: test` are scored before and after. See docs/methods/adaptation.md."
        ),
    ]

"""The section ``index``: the limit on unusable files."""

from typing import Annotated

from pydantic import Field

from deepfake_detection.params.section import Fraction, Section


class Index(Section):
    max_rejected: Annotated[Fraction, Field(description="Share of unusable files above which the index stage fails.")]

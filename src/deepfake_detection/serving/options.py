"""Options that several commands have, and what is loaded by them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of
from deepfake_detection.common.rules import Rule
from deepfake_detection.serving.paths import find_checkpoint

if TYPE_CHECKING:  # torch takes seconds to load, and --help does not need it
    from deepfake_detection.serving.detector import Detector
    from deepfake_detection.serving.second_opinion import SecondOpinion

Threshold = Annotated[
    str | None,
    typer.Option(help=f"In place of the checkpoint's: {Rule.FORMS}."),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        help="Checkpoint with its JSON file beside it, or the folder of one. Without it the one in models/ is taken."
    ),
]
Checkpoints = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoint",
        help="Checkpoint with its JSON file beside it, or the folder of one. Without it the one in models/ is taken. "
        "A second one gives a second opinion.",
    ),
]
Scores = Annotated[
    list[Path] | None,
    typer.Option(
        help="The data/predictions.csv of the pipeline that trained a checkpoint, one for each of two: fuses both."
    ),
]
Device = Annotated[
    str | None, typer.Option(help="Where to compute: cpu, cuda, cuda:1. Without it a GPU, if there is one.")
]

TrustAnchors = Annotated[
    Path | None,
    typer.Option(help="PEM certificates: whose Content Credentials lead to one of them is trusted."),
]
Frames = Annotated[
    int | None,
    typer.Option(min=1, help="Frames taken of each video; without it one a second, at least 32, at most 128."),
]


def checkpoints_of(given: list[Path] | None, scores: list[Path] | None) -> list[Path]:
    """One checkpoint, or two. Raises UserError for more, and for tables of scores that are not one for each of two."""
    if given and len(given) > 2:
        raise UserError("--checkpoint: give one, or a second one for a second opinion")
    if scores and not (given and len(given) == len(scores) == 2):
        raise UserError("--scores: give one table for each of two --checkpoint, in the same order")
    return list(map(find_checkpoint, given)) if given else [find_checkpoint(None)]


def second_opinion(
    first: "Detector", checkpoint: Path, scores: list[Path] | None, device: str | None, threshold: str | None
) -> "SecondOpinion":
    """The network of a second checkpoint, and how to read both by the tables of their ``scores``, if they are given."""
    from deepfake_detection.serving.second_opinion import SecondOpinion, fit_fusion, read_scored

    second = load_detector(checkpoint, device=device, threshold=threshold)
    both = zip(scores or [], (first.sidecar, second.sidecar), strict=False)
    tables = [read_scored(path, sidecar) for path, sidecar in both]
    return SecondOpinion(second, first.name, sha256_of(checkpoint), fit_fusion(*tables) if tables else None)


def as_rule(threshold: str | None) -> float | str | None:
    """What the user typed: a number, or the name of a rule."""
    try:
        return None if threshold is None else float(threshold)
    except ValueError:
        return threshold


def load_detector(
    checkpoint: Path, backend: str = "torch", device: str | None = None, threshold: str | None = None
) -> "Detector":
    """The detector of this process, which is a command's own: it may keep freed memory."""
    from deepfake_detection.network.allocator import keep_freed_memory
    from deepfake_detection.serving.detector import Detector

    detector = Detector.load(checkpoint, backend, device, as_rule(threshold))
    keep_freed_memory(detector.device)
    return detector

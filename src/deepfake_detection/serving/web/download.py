"""The case file that the page gives, of the files that were sent. It is made in the process that holds the network."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from deepfake_detection.serving.credentials import Anchors


def case_page(
    checkpoint: Path,
    files: Sequence[tuple[Path, str]],
    device: str | None,
    threshold: float | str | None,
    anchors: Anchors | None = None,
) -> str:
    """The HTML of a case file, in which each file has the name it was sent under. Raises UserError like write_case."""
    from deepfake_detection.serving.case.write import Examination, composed
    from deepfake_detection.serving.view import detector_of

    # the command that gives the same case file; the server's own has other words, and paths that are nobody's business
    command = ["deepfake-detect", "report", "--checkpoint", checkpoint.name]
    command += ["--device", device] if device else []
    command += ["--threshold", str(threshold)] if threshold is not None else []
    command += ["--trust-anchors", anchors.name] if anchors else []
    named = [(path, name or "unnamed") for path, name in files]
    words = shlex.join([*command, "--", *(name for _, name in named)])
    asked = Examination(checkpoint, detector_of(checkpoint, device, threshold), words, anchors=anchors)
    return composed(asked, named, alone=True)[1]

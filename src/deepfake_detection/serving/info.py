"""Says what a checkpoint is, from its file and its sidecar. The network is not loaded."""

import sys
from pathlib import Path
from typing import Any

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of
from deepfake_detection.common.text import printable
from deepfake_detection.inference.tested import Tested, read_tested
from deepfake_detection.network.sidecar import FAMILIARITY, read_sidecar


def described(checkpoint: Path) -> dict[str, Any]:
    """``path``, ``bytes`` and ``sha256`` of the checkpoint's file, every key of its sidecar, and ``tested``.

    That is what ``usable_results`` gives. Raises UserError if the checkpoint or its sidecar is missing, or if the
    sidecar is invalid.
    """
    sidecar = read_sidecar(checkpoint.with_suffix(".json"))
    try:
        digest = sha256_of(checkpoint)
    except FileNotFoundError:
        raise UserError(f"{checkpoint}: no such checkpoint, only its JSON file is there") from None
    size = checkpoint.stat().st_size
    tested = usable_results(checkpoint)
    about = {"path": str(checkpoint), "bytes": size, "sha256": digest, **sidecar.model_dump()}
    return about | {"tested": tested.model_dump() if tested else None}


def usable_results(checkpoint: Path) -> Tested | None:
    """The test results beside a checkpoint, or None if there are none, or with a warning if they are of other files.

    So a checkpoint with a new threshold can be used before it is tested again.
    """
    try:
        return read_tested(checkpoint)
    except UserError as error:
        print(f"warning: {printable(str(error))}", file=sys.stderr)
        return None


def table(found: dict[str, Any]) -> str:
    """What ``described`` found, for people: one line for each fact."""
    (height, width), frame, video = (found[key] for key in ("input_size", "frame", "video"))
    rows = [
        ("checkpoint", found["path"]),
        ("file", f"{found['bytes'] / 1e6:.1f} MB, SHA-256 {found['sha256']}"),
        ("network", f"{found['arch']}, {found['parameters']:,} parameters"),
        ("input", f"{width} x {height} pixels, {found['channels']}"),
        ("", found["resize"]),
        *([("", f"margin on each side: {found['margin']:g} of the face")] if found["crop"] == "face" else []),
        ("trained on", f"originals: {', '.join(found['categories']['real'])}"),
        ("", f"deepfakes: {', '.join(found['categories']['fake'])}"),
        (
            "decides",
            f"fake if the probability, sigmoid(logit / {frame['temperature']:.4g} + {frame['bias']:.4g}), "
            f"is {frame['threshold']:.4g} or more (rule: {found['threshold_rule']})",
        ),
        ("", f"probabilities hold for a share of {found['prior']:.0%} deepfakes"),
        (
            "videos",
            f"fake if sigmoid(mean logit / {video['temperature']:.4g} + {video['bias']:.4g}) "
            f"is {video['threshold']:.4g} or more",
        ),
    ]
    if (share := found["familiarity"]) is not None:
        known = f"unlike {share:.0%} of the validation frames: {Path(found['path']).with_suffix(FAMILIARITY).name}"
        rows.append(("unfamiliar", known))
    for rule, threshold in frame["thresholds"].items():
        rows.append(("" if rows[-1][0] in ("", "thresholds") else "thresholds", f"{rule:10} {threshold:.4g}"))
    rows += _test_rows(found["tested"])
    return "\n".join(f"{name:12}{printable(text)}" for name, text in rows)


def _test_rows(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """How it did in its tests, first on what it was trained on."""
    if found is None:
        return [("tested", "not known: no file with its test results lies beside the checkpoint")]
    tested = Tested.model_validate(found)
    results = [("frames", tested.test.frame), ("videos", tested.test.video)]
    unseen = [*tested.unseen(), *(each for each in tested.datasets if not each.trained_on)]
    results += [(f"{each.name}, not trained on", each.frame) for each in unseen]
    said = [f"AUROC {metrics['auroc']}: {name}" for name, metrics in results]
    return [("" if number else "tested", words) for number, words in enumerate(said)]

"""Computes batch-norm statistics anew on frames without labels, and scores the data sets to test on before and after.

Without ``adapt.method`` it does nothing.
"""

from pathlib import Path
from typing import Any

from deepfake_detection.common.files import write_json
from deepfake_detection.params.load import Params, load_params
from stages import run

PREPARED = Path("data/prepared")


def main() -> None:
    params = load_params()
    found: dict[str, Any] = {"method": params.adapt.method}
    if params.adapt.method != "none":
        found |= adapted(params)
    write_json(Path("metrics/adapt.json"), found)


def adapted(params: Params) -> dict[str, Any]:
    # imported here, because the stage is to cost nothing when it is switched off
    from deepfake_detection.evaluation.adaptation import adaptation
    from deepfake_detection.frames.prepared import open_prepared, open_unlabelled
    from deepfake_detection.inference.checkpoint import load_checkpoint
    from deepfake_detection.network.allocator import keep_freed_memory
    from deepfake_detection.params.data import only_evaluated

    keep_freed_memory()
    network, sidecar, _ = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth"))
    target, _ = open_unlabelled(PREPARED / "adapt")
    pixels, rows = open_prepared(PREPARED / "evaluated", Path("data/splits.csv"))
    rows = rows[(rows["split"] == "test") & rows["dataset"].isin(only_evaluated(params.data.source, params.data.extra))]
    how = (params.evaluate.batch_size, params.evaluate.seed, params.evaluate.bootstrap_draws)
    return adaptation(network, sidecar, target, (pixels, rows), *how)


if __name__ == "__main__":
    run(main)

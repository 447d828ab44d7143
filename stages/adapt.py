"""Scores the data sets to test on before and after batch-norm statistics of frames without labels."""

from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_json
from deepfake_detection.evaluation.adaptation import adaptation
from deepfake_detection.frames.prepared import open_prepared, open_set
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.params.load import load_params
from stages import run

PREPARED = Path("data/prepared")


def main(method: str) -> None:
    if method != "adabn":
        raise UserError(f"adapt: {method} is no method, only adabn")
    params = load_params()
    keep_freed_memory()
    network, sidecar, _ = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth"))
    target, _ = open_set(PREPARED / "adapt")
    scored = open_prepared(PREPARED / "test", Path("data/splits.csv"))
    how = (params.evaluate.batch_size, params.evaluate.seed, params.evaluate.bootstrap_draws)
    found = {"method": method} | adaptation(network, sidecar, target, scored, *how)
    write_json(Path(f"metrics/adapt/{method}.json"), found)


if __name__ == "__main__":
    run(main)

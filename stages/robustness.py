"""Evaluates the best checkpoint on the test split under corruptions of increasing severity."""

from pathlib import Path

import pandas as pd
import torch

from deepfake_detection.common.files import write_csv, write_json
from deepfake_detection.common.parallel import cpu_count
from deepfake_detection.common.text import group_count
from deepfake_detection.evaluation.robustness import evaluate_robustness, robustness_table
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import open_prepared
from deepfake_detection.inference.backends import choose_backend
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.familiarity import scoring
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.params.load import load_params
from stages import run

METRICS = Path("metrics")


def main() -> None:
    params = load_params()
    keep_freed_memory()
    model, sidecar, familiarity = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth"))
    pixels, rows = open_prepared(Path("data/prepared/trained"), Path("data/splits_trained.csv"))
    test = rows[rows["split"] == "test"]
    share = min(1, params.robustness.max_frames / len(test))
    validation = FrameDataset(pixels, rows[rows["split"] == "val"])
    backend = choose_backend(params.evaluate.backend, model, validation, params.evaluate.batch_size)
    result, coverage = evaluate_robustness(
        scoring(backend, familiarity),
        pixels,
        test.groupby("label").sample(frac=share, random_state=params.evaluate.seed).sort_index(),
        params.evaluate.batch_size,
        sidecar.frame,
        params.evaluate.seed,
        # a GPU would wait for one process to corrupt the frames; without a GPU, the network keeps the processors busy
        num_workers=cpu_count() if torch.cuda.is_available() else 0,
        draws=params.evaluate.bootstrap_draws,
    )
    write_json(METRICS / "robustness.json", result)
    write_csv(METRICS / "robustness" / "robustness.csv", robustness_table(result))
    write_csv(METRICS / "robustness" / "coverage.csv", coverage)
    print(f"95% intervals from {group_count(result['groups'])}")
    rows_shown = {name: {"test frames": result[name], "95%": ends or ""} for name, ends in result["intervals"].items()}
    print(pd.DataFrame.from_dict(rows_shown, orient="index").to_string())


if __name__ == "__main__":
    run(main)

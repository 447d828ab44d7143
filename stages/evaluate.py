"""Evaluates the best checkpoint on the test split, once. The threshold comes from the validation frames."""

from pathlib import Path

import pandas as pd

from deepfake_detection.common.files import write_csv, write_json
from deepfake_detection.evaluation.calibration import choose_threshold
from deepfake_detection.evaluation.metrics import class_report, evaluation, prediction_table
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import open_prepared
from deepfake_detection.index.splits import identity_groups
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.backends import choose_backend
from deepfake_detection.network.checkpoint import load_checkpoint
from deepfake_detection.network.logits import predict_logits
from deepfake_detection.params.load import load_params
from stages import run

METRICS = Path("metrics")
PREDICTIONS = ["path", "category", "video_id", "label", "split", "logit", "probability"]


def main() -> None:
    params = load_params()
    keep_freed_memory()
    model, sidecar = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth"))
    pixels, rows = open_prepared(Path("data/prepared"), Path("data/splits.csv"))
    rows = rows.assign(group=identity_groups(rows))[rows["split"].isin(["val", "test"])]
    validation = FrameDataset(pixels, rows[rows["split"] == "val"])
    backend = choose_backend(params.evaluate.backend, model, validation, params.evaluate.batch_size)
    logits = predict_logits(backend, FrameDataset(pixels, rows), params.evaluate.batch_size)
    table = prediction_table(rows, logits, sidecar.temperature)
    val, test = table[table["split"] == "val"], table[table["split"] == "test"]
    threshold, calibrated = (
        choose_threshold(params.evaluate.threshold, val["label"].to_numpy(), val[score].to_numpy())
        for score in ("probability", "calibrated")
    )
    metrics = evaluation(
        test,
        threshold,
        sidecar.temperature,
        sidecar.categories.real + sidecar.categories.fake,
        params.seed,
        params.evaluate.bootstrap_draws,
        threshold_rule=params.evaluate.threshold,
        calibrated_threshold=calibrated,
    )
    headline = test[~test["category"].isin(params.evaluate.unseen_categories)]
    report = class_report(headline["label"].to_numpy(), headline["probability"].to_numpy(), threshold)
    write_csv(Path("data/predictions.csv"), test[PREDICTIONS])
    write_json(METRICS / "test.json", metrics)
    write_json(METRICS / "classification_report.json", report)
    intervals = metrics["intervals"]
    print(pd.DataFrame({"test frames": {name: metrics[name] for name in intervals}, "95%": intervals}).to_string())


if __name__ == "__main__":
    run(main)

"""Evaluates the best checkpoint on the test split, once, and on the validation split, where experiments are chosen."""

from pathlib import Path

import pandas as pd

from deepfake_detection.common.files import write_csv, write_json
from deepfake_detection.evaluation.groups import group_count
from deepfake_detection.evaluation.metrics import class_report, evaluation, prediction_table
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import open_prepared
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.backends import choose_backend
from deepfake_detection.network.checkpoint import load_checkpoint
from deepfake_detection.network.logits import predict_logits
from deepfake_detection.params.load import load_params
from stages import run

METRICS = Path("metrics")
SUMMARY = ("macro_auroc_seen", "macro_auroc_unseen", "worst_category_auroc")


def main() -> None:
    params = load_params()
    keep_freed_memory()
    model, sidecar = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth"))
    pixels, rows = open_prepared(Path("data/prepared"), Path("data/splits.csv"))
    rows = rows[rows["split"].isin(["val", "test"])]
    validation = FrameDataset(pixels, rows[rows["split"] == "val"])
    backend = choose_backend(params.evaluate.backend, model, validation, params.evaluate.batch_size)
    logits = predict_logits(backend, FrameDataset(pixels, rows), params.evaluate.batch_size)
    table = prediction_table(rows, logits, sidecar)
    val, test = (
        evaluation(table[table["split"] == name], sidecar, params.evaluate.seed, params.evaluate.bootstrap_draws)
        for name in ("val", "test")
    )
    headline = table[(table["split"] == "test") & ~table["category"].isin(params.data.categories.unseen)]
    report = class_report(headline["label"].to_numpy(), headline["probability"].to_numpy(), sidecar.threshold)
    write_csv(Path("data/predictions.csv"), table)
    write_json(METRICS / "test.json", test)
    write_json(METRICS / "val.json", val)
    write_json(METRICS / "classification_report.json", report)
    print(f"95% intervals from {group_count(test['groups'])}")
    rows_shown = {name: {"test frames": test[name], "95%": test["intervals"].get(name, "")} for name in SUMMARY}
    rows_shown |= {name: {"test frames": test[name], "95%": ends or ""} for name, ends in test["intervals"].items()}
    print(pd.DataFrame.from_dict(rows_shown, orient="index").to_string())


if __name__ == "__main__":
    run(main)

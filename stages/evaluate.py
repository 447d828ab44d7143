"""Evaluates the best checkpoint on the test split, once."""

import json
from pathlib import Path

from deepfake_detection.checkpoint import load_checkpoint
from deepfake_detection.frames import FrameDataset
from deepfake_detection.metrics import class_report, frame_metrics, prediction_table
from deepfake_detection.params import load_params
from deepfake_detection.prepared import open_prepared
from deepfake_detection.training import predict_logits
from stages import run


def main() -> None:
    params = load_params()
    model, _ = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth"))
    pixels, rows = open_prepared(Path("data/prepared"), Path("data/splits.csv"))
    test = rows[rows["split"] == "test"]
    logits = predict_logits(model, FrameDataset(pixels, test), params.evaluate.batch_size)

    table = prediction_table(test, logits)
    table.to_csv("data/predictions.csv", index=False)
    labels, probabilities = table["label"].to_numpy(), table["probability"].to_numpy()
    metrics = frame_metrics(labels, probabilities, params.evaluate.threshold)
    report = class_report(labels, probabilities, params.evaluate.threshold)
    Path("metrics").mkdir(exist_ok=True)
    Path("metrics/test.json").write_text(json.dumps(metrics, indent=2) + "\n")
    Path("metrics/classification_report.json").write_text(json.dumps(report, indent=2) + "\n")
    for name, value in metrics.items():
        print(f"{name:<18}{value:.4f}" if isinstance(value, float) else f"{name:<18}{value}")


if __name__ == "__main__":
    run(main)

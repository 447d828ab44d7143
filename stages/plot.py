"""Draws the confusion matrix, ROC, precision-recall, reliability and learning curves."""

import json
from pathlib import Path

import pandas as pd

from deepfake_detection.curves import read_curves
from deepfake_detection.files import write_csv
from deepfake_detection.logits import sigmoid
from deepfake_detection.metrics import CLASS_NAMES
from deepfake_detection.params import load_params
from deepfake_detection.plots import (
    confusion_figure,
    curves_figure,
    precision_recall_figure,
    precision_recall_table,
    reliability_figure,
    roc_figure,
    roc_table,
    save_figure,
)
from deepfake_detection.tables import read_predictions
from stages import run

PLOTS = Path("metrics/plots")


def main() -> None:
    params = load_params()
    table = read_predictions(Path("data/predictions.csv"))
    table = table[~table["category"].isin(params.evaluate.unseen_categories)]
    labels, probabilities = table["label"].to_numpy(), table["probability"].to_numpy()
    test = json.loads(Path("metrics/test.json").read_text())
    called = (probabilities >= test["threshold"]).astype(int)
    best_epoch = json.loads(Path("metrics/train.json").read_text())["best_epoch"]
    curves = read_curves(Path("metrics/train"))
    calibrated = sigmoid(table["logit"].to_numpy() / test["temperature"])

    save_figure(confusion_figure(labels, called), PLOTS / "confusion_matrix.png")
    save_figure(roc_figure(labels, probabilities), PLOTS / "roc.png")
    save_figure(precision_recall_figure(labels, probabilities), PLOTS / "precision_recall.png")
    save_figure(reliability_figure(labels, probabilities, calibrated), PLOTS / "reliability.png")
    save_figure(curves_figure(curves, best_epoch), PLOTS / "learning_curves.png")
    names = pd.DataFrame({"actual": labels, "predicted": called}).replace(dict(enumerate(CLASS_NAMES)))
    write_csv(PLOTS / "confusion_matrix.csv", names)
    write_csv(PLOTS / "roc.csv", roc_table(labels, probabilities))
    write_csv(PLOTS / "precision_recall.csv", precision_recall_table(labels, probabilities))
    write_csv(PLOTS / "learning_curves.csv", curves)


if __name__ == "__main__":
    run(main)

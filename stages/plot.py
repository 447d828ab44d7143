"""Draws the confusion matrix, the ROC curve and the learning curves."""

import json
from pathlib import Path

import pandas as pd

from deepfake_detection.metrics import CLASS_NAMES
from deepfake_detection.params import load_params
from deepfake_detection.plots import (
    confusion_figure,
    curves_figure,
    read_curves,
    roc_figure,
    roc_table,
    save_figure,
)
from stages import run

PLOTS = Path("metrics/plots")


def main() -> None:
    params = load_params()
    table = pd.read_csv("data/predictions.csv")
    labels, probabilities = table["label"].to_numpy(), table["probability"].to_numpy()
    called = (probabilities >= params.evaluate.threshold).astype(int)
    curves = read_curves(Path("metrics/train"))
    best_epoch = json.loads(Path("metrics/train.json").read_text())["best_epoch"]

    save_figure(confusion_figure(labels, called), PLOTS / "confusion_matrix.png")
    save_figure(roc_figure(labels, probabilities), PLOTS / "roc.png")
    save_figure(curves_figure(curves, best_epoch), PLOTS / "learning_curves.png")
    names = pd.DataFrame({"actual": labels, "predicted": called}).replace(dict(enumerate(CLASS_NAMES)))
    names.to_csv(PLOTS / "confusion_matrix.csv", index=False)
    roc_table(labels, probabilities).to_csv(PLOTS / "roc.csv", index=False)
    curves.to_csv(PLOTS / "learning_curves.csv", index=False)


if __name__ == "__main__":
    run(main)

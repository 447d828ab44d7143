"""Draws the figures of the split, the evaluation, the learning curves and the robustness."""

import json
from pathlib import Path

import pandas as pd

from deepfake_detection.common.files import write_csv, write_figure
from deepfake_detection.index.roles import TRAINED, roles
from deepfake_detection.index.tables import CLASS_NAMES, read_predictions
from deepfake_detection.params.data import uses
from deepfake_detection.params.load import load_params
from deepfake_detection.reporting.figures import (
    confusion_figure,
    curves_figure,
    distances_figure,
    precision_recall_figure,
    precision_recall_table,
    reliability_figure,
    roc_figure,
    roc_table,
)
from deepfake_detection.reporting.robustness_figures import robustness_curves, robustness_heatmap
from deepfake_detection.training.curves import read_curves
from stages import run

METRICS, PLOTS, ROBUSTNESS = Path("metrics"), Path("metrics/plots"), Path("metrics/robustness")


def main() -> None:
    params = load_params()
    table = read_predictions(Path("data/predictions.csv"))
    trained = roles(table, params.data.categories.unseen, uses(params.data.source, params.data.extra)) == TRAINED
    table = table[(table["split"] == "test") & trained]
    labels, probabilities = table["label"].to_numpy(), table["probability"].to_numpy()
    test = json.loads((METRICS / "test.json").read_text())
    predicted = (probabilities >= test["threshold"]).astype(int)
    train, curves = json.loads((METRICS / "train.json").read_text()), read_curves(METRICS / "train")
    distances = pd.read_csv(METRICS / "split" / "distances.csv")
    max_distance = json.loads((METRICS / "split.json").read_text())["leak_audit"]["max_distance"]
    robustness = json.loads((METRICS / "robustness.json").read_text())
    write_figure(PLOTS / "confusion_matrix.png", confusion_figure(labels, predicted))
    write_figure(PLOTS / "roc.png", roc_figure(labels, probabilities))
    write_figure(PLOTS / "precision_recall.png", precision_recall_figure(labels, probabilities))
    write_figure(
        PLOTS / "reliability.png", reliability_figure(labels, table["raw_probability"].to_numpy(), probabilities)
    )
    write_figure(PLOTS / "learning_curves.png", curves_figure(curves, train["best_epoch"]))
    write_figure(PLOTS / "leak_distances.png", distances_figure(distances, max_distance))
    write_figure(ROBUSTNESS / "heatmap.png", robustness_heatmap(robustness))
    write_figure(ROBUSTNESS / "curves.png", robustness_curves(robustness))
    names = pd.DataFrame({"actual": labels, "predicted": predicted}).replace(dict(enumerate(CLASS_NAMES)))
    write_csv(PLOTS / "confusion_matrix.csv", names)
    write_csv(PLOTS / "roc.csv", roc_table(labels, probabilities))
    write_csv(PLOTS / "precision_recall.csv", precision_recall_table(labels, probabilities))
    write_csv(PLOTS / "learning_curves.csv", curves)


if __name__ == "__main__":
    run(main)

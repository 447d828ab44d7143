"""Draws the figures of the split, the evaluation, the learning curves and the robustness."""

import json
from pathlib import Path

import pandas as pd

from deepfake_detection.common.files import write_csv, write_figure
from deepfake_detection.common.tables import CLASS_NAMES, read_predictions
from deepfake_detection.evaluation.selective import selective_curve
from deepfake_detection.index.roles import TRAINED, roles
from deepfake_detection.params.data import only_evaluated, uses
from deepfake_detection.params.load import load_params
from deepfake_detection.reporting import figures
from deepfake_detection.reporting.robustness_figures import robustness_curves, robustness_heatmap, verdicts_heatmap
from deepfake_detection.training.curves import read_curves
from stages import run

METRICS, PLOTS, ROBUSTNESS = Path("metrics"), Path("metrics/plots"), Path("metrics/robustness")


def main() -> None:
    params = load_params()
    table = read_predictions(Path("data/predictions.csv")).query("split == 'test'")
    table = table.merge(pd.read_csv("data/unfamiliarity.csv"), on="path")
    trained = roles(table, params.data.categories.unseen, uses(params.data.source, params.data.extra)) == TRAINED
    elsewhere = table[table["dataset"].isin(set(only_evaluated(params.data.source, params.data.extra)))]
    table = table[trained]
    labels, probabilities, raw = (table[name].to_numpy() for name in ("label", "probability", "raw_probability"))
    test = json.loads((METRICS / "test.json").read_text())
    predicted = (probabilities >= (threshold := test["threshold"])).astype(int)
    best_epoch, curves = json.loads((METRICS / "train.json").read_text())["best_epoch"], read_curves(METRICS / "train")
    distances = pd.read_csv(METRICS / "split" / "distances.csv")
    max_distance = json.loads((METRICS / "split.json").read_text())["leak_audit"]["max_distance"]
    robustness = json.loads((METRICS / "robustness.json").read_text())
    coverage = [
        selective_curve(table, threshold).assign(frames="test frames"),
        *(selective_curve(rows, threshold).assign(frames=name) for name, rows in elsewhere.groupby("dataset")),
        pd.read_csv(ROBUSTNESS / "coverage.csv").query("frames == 'corrupted'"),
    ]
    write_figure(PLOTS / "confusion_matrix.png", figures.confusion_figure(labels, predicted))
    write_figure(PLOTS / "roc.png", figures.roc_figure(labels, probabilities))
    write_figure(PLOTS / "precision_recall.png", figures.precision_recall_figure(labels, probabilities))
    write_figure(PLOTS / "reliability.png", figures.reliability_figure(labels, raw, probabilities))
    write_figure(PLOTS / "learning_curves.png", figures.curves_figure(curves, best_epoch))
    write_figure(PLOTS / "leak_distances.png", figures.distances_figure(distances, max_distance))
    write_figure(PLOTS / "coverage.png", figures.coverage_figure(pd.concat(coverage)))
    write_figure(ROBUSTNESS / "heatmap.png", robustness_heatmap(robustness))
    write_figure(ROBUSTNESS / "curves.png", robustness_curves(robustness))
    write_figure(ROBUSTNESS / "verdicts.png", verdicts_heatmap(robustness))
    names = pd.DataFrame({"actual": labels, "predicted": predicted}).replace(dict(enumerate(CLASS_NAMES)))
    write_csv(PLOTS / "confusion_matrix.csv", names)
    write_csv(PLOTS / "roc.csv", figures.roc_table(labels, probabilities))
    write_csv(PLOTS / "precision_recall.csv", figures.precision_recall_table(labels, probabilities))
    write_csv(PLOTS / "learning_curves.csv", curves)
    write_csv(PLOTS / "coverage.csv", pd.concat(coverage))


if __name__ == "__main__":
    run(main)

"""Draws the figures of the split, the training, the evaluation and the robustness, and writes their tables."""

from itertools import product
from pathlib import Path

import pandas as pd

from deepfake_detection.common.files import write_csv, write_figure
from deepfake_detection.common.tables import CLASS_NAMES, read_predictions
from deepfake_detection.evaluation.selective import selective_curve
from deepfake_detection.reporting import evidence_figures, figures, robustness_figures
from deepfake_detection.reporting.measured import headline_of, read_measured, read_robustness, trained_and_other
from deepfake_detection.reporting.worth import LEVELS
from stages import run

METRICS, PLOTS, TABLES = Path("metrics"), Path("metrics/plots"), Path("metrics/tables")


def main() -> None:
    test, robustness = read_measured(METRICS / "details.json"), read_robustness(METRICS)
    table = read_predictions(Path("data/predictions.csv")).query("split == 'test'")
    table = table.merge(pd.read_csv("data/unfamiliarity.csv"), on="path")
    headline, (_, elsewhere), threshold = headline_of(table, test), trained_and_other(test), test["threshold"]
    frames = {"test frames": headline} | {name: table[table["dataset"] == name] for name in sorted(elsewhere)}
    coverage = [selective_curve(rows, threshold).assign(frames=name) for name, rows in frames.items()]
    coverage.append(pd.read_csv(METRICS / "robustness" / "coverage.csv").query("frames == 'corrupted'"))
    labels, probabilities, raw = (headline[name].to_numpy() for name in ("label", "probability", "raw_probability"))
    called = (probabilities >= threshold).astype(int)
    best_epoch = read_measured(METRICS / "train.json")["best_epoch"]
    near = read_measured(METRICS / "split.json")["leak_audit"]["max_distance"]
    for name, figure in {
        "confusion_matrix": figures.confusion_figure(labels, called),
        "roc": figures.roc_figure(labels, probabilities),
        "precision_recall": figures.precision_recall_figure(labels, probabilities),
        "reliability": figures.reliability_figure(labels, raw, probabilities),
        "tippett": evidence_figures.tippett_figure(test["evidence"]),
        "cross_entropy": evidence_figures.entropy_figure(test["evidence"]),
        "learning_curves": figures.curves_figure(pd.read_csv(METRICS / "train" / "curves.csv"), best_epoch),
        "leak_distances": figures.distances_figure(pd.read_csv(METRICS / "split" / "distances.csv"), near),
        "coverage": figures.coverage_figure(pd.concat(coverage)),
        "robustness_heatmap": robustness_figures.robustness_heatmap(*robustness),
        "robustness_curves": robustness_figures.robustness_curves(*robustness),
        "robustness_verdicts": robustness_figures.verdicts_heatmap(*robustness),
    }.items():
        write_figure(PLOTS / f"{name}.png", figure)
    names = pd.DataFrame({"actual": labels, "predicted": called}).replace(dict(enumerate(CLASS_NAMES)))
    write_csv(TABLES / "confusion_matrix.csv", names)
    write_csv(TABLES / "roc.csv", figures.roc_table(labels, probabilities))
    write_csv(TABLES / "precision_recall.csv", figures.precision_recall_table(labels, probabilities))
    write_csv(TABLES / "coverage.csv", pd.concat(coverage))
    for level, curve in product(LEVELS, evidence_figures.CURVES):
        points = evidence_figures.points(test["evidence"], level, curve)
        write_csv(TABLES / f"{curve}_{level}.csv", points)


if __name__ == "__main__":
    run(main)

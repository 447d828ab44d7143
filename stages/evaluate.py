"""Measures the scores, on the test split, once, and on the validation split, where experiments are chosen."""

from functools import partial
from pathlib import Path

import pandas as pd

from deepfake_detection.common import tables
from deepfake_detection.common.files import write_csv, write_json
from deepfake_detection.common.text import group_count
from deepfake_detection.evaluation import metrics
from deepfake_detection.evaluation.evidence_tables import measured_evidence
from deepfake_detection.evaluation.selective import misleading_verdicts
from deepfake_detection.network.sidecar import read_sidecar
from deepfake_detection.params.data_sections import of_use
from deepfake_detection.params.load import load_params
from stages import run

DATA, METRICS = Path("data"), Path("metrics")


def main() -> None:
    params = load_params()
    sidecar = read_sidecar(Path(f"models/best_model_{params.model.arch}.json"))
    elsewhere = list(of_use(params.datasets, "test"))
    rows = tables.read_index(DATA / "index.csv").merge(
        tables.read_splits(DATA / "splits.csv")[["path", "split"]], on="path"
    )
    scores = pd.concat(tables.read_scores(DATA / "scores" / f"{name}.csv") for name in params.datasets)
    table = metrics.prediction_table(rows.query("split in ['val', 'test']"), scores, sidecar.frame)
    measure = partial(
        metrics.evaluation,
        sidecar=sidecar,
        seed=params.evaluate.seed,
        draws=params.evaluate.bootstrap_draws,
        only_evaluated=elsewhere,
        missing=pd.concat(tables.read_missing(DATA / "missing" / f"{name}.csv") for name in params.datasets),
        as_chance=params.evaluate.missing == "as_chance",
    )
    val, test = (measure(table[table["split"] == name]) for name in ("val", "test"))
    headline = tables.headline_rows(table[table["split"] == "test"], sidecar.categories.fake, elsewhere)
    write_csv(DATA / "predictions.csv", table.drop(columns="unfamiliarity"))
    write_csv(DATA / "unfamiliarity.csv", table[["path", "unfamiliarity"]])
    judged = table.merge(rows[["path", "width", "height"]], on="path").query("split == 'test'")
    boxes = pd.concat(tables.read_boxes(DATA / "faces" / f"{name}.csv") for name in params.datasets)
    evidence = measured_evidence(judged, sidecar, elsewhere, boxes)
    write_json(METRICS / "details.json", test | {"evidence": evidence, "val": val})
    datasets = {name: {"auroc": found["frame"]["auroc"]} for name, found in test["datasets"].items()}
    write_json(METRICS / "test.json", metrics.key_numbers(test) | {"datasets": datasets})
    write_json(METRICS / "val.json", metrics.choosing_numbers(val))
    write_json(METRICS / "classification_report.json", metrics.class_report(headline, sidecar.frame.threshold))
    print(f"95% intervals from {group_count(test['groups'])}\n{metrics.overview(test).to_string()}")
    for words in (*metrics.guesses(test), *misleading_verdicts(test)):
        print(words)


if __name__ == "__main__":
    run(main)

"""Evaluates the best checkpoint on the test split, once, and on the validation split, where experiments are chosen."""

from functools import partial
from pathlib import Path

import pandas as pd
from deepfake_detection.params.data import only_evaluated

from deepfake_detection.common.files import write_csv, write_json
from deepfake_detection.common.tables import read_missing
from deepfake_detection.common.text import group_count
from deepfake_detection.evaluation.metrics import class_report, evaluation, overview, prediction_table
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import open_prepared
from deepfake_detection.inference.backends import choose_backend
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.familiarity import scoring
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.params.load import load_params
from stages import run

METRICS, PREPARED = Path("metrics"), Path("data/prepared")


def main() -> None:
    params = load_params()
    keep_freed_memory()
    model, sidecar, familiarity = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth"))
    trained = open_prepared(PREPARED / "trained", Path("data/splits_trained.csv"))
    evaluated = open_prepared(PREPARED / "evaluated", Path("data/splits.csv"))
    validation = FrameDataset(trained[0], trained[1].query("split == 'val'"))
    backend = choose_backend(params.evaluate.backend, model, validation, params.evaluate.batch_size)
    predict, tables = scoring(backend, familiarity), []
    for pixels, rows in (trained, evaluated):
        rows = rows.query("split in ['val', 'test']")
        scores = predict_logits(predict, FrameDataset(pixels, rows), params.evaluate.batch_size)
        tables.append(prediction_table(rows, scores, sidecar.frame))
    table = pd.concat(tables).sort_values("path", ignore_index=True)
    measure = partial(
        evaluation,
        sidecar=sidecar,
        seed=params.evaluate.seed,
        draws=params.evaluate.bootstrap_draws,
        only_evaluated=only_evaluated(params.data.source, params.data.extra),
        missing=read_missing(Path("data/missing.csv")),
        as_chance=params.evaluate.missing == "as_chance",
    )
    val, test = (measure(table[table["split"] == name]) for name in ("val", "test"))
    write_csv(Path("data/predictions.csv"), table.drop(columns="unfamiliarity"))
    write_csv(Path("data/unfamiliarity.csv"), table[["path", "unfamiliarity"]])
    write_json(METRICS / "test.json", test)
    write_json(METRICS / "val.json", val)
    headline = tables[0].query("split == 'test'")
    write_json(METRICS / "classification_report.json", class_report(headline, sidecar.frame.threshold))
    print(f"95% intervals from {group_count(test['groups'])}\n{overview(test).to_string()}")


if __name__ == "__main__":
    run(main)

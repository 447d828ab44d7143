"""Scores the frames of a data set, but for those that were trained on."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from deepfake_detection.common.files import write_csv
from deepfake_detection.common.tables import SCORE_COLUMNS
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import Pixels, open_prepared, open_set
from deepfake_detection.inference.backends import choose_backend
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.familiarity import scoring
from deepfake_detection.inference.logits import predict_logits, score_table
from deepfake_detection.network.allocator import keep_freed_memory, use_threads
from deepfake_detection.params.load import load_params
from stages import data_set, run

DATA, PREPARED, TRAINED = Path("data"), Path("data/prepared"), Path("data/splits_trained.csv")


def main(name: str) -> None:
    params = load_params()
    keep_freed_memory()
    use_threads(params.train.threads)
    use, batch_size = data_set(params, name).use, params.evaluate.batch_size
    tables = [pd.DataFrame(columns=list(SCORE_COLUMNS))]
    if use != "adapt":
        model, _, familiarity = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth"))
        pixels, rows = open_prepared(PREPARED / "train", TRAINED)
        validation = FrameDataset(pixels, rows[rows["split"] == "val"])
        predict = scoring(choose_backend(params.evaluate.backend, model, validation, batch_size), familiarity)
        for pixels, rows in not_trained_on(name, use):
            tables.append(score_table(rows, predict_logits(predict, FrameDataset(pixels, rows), batch_size)))
    write_csv(DATA / "scores" / f"{name}.csv", pd.concat(tables))


def not_trained_on(name: str, use: str) -> Iterator[tuple[Pixels, pd.DataFrame]]:
    if use == "test":
        yield open_set(PREPARED / "test", name)
    else:
        for folder, splits in (("train", TRAINED), ("unseen", DATA / "splits_unseen.csv")):
            pixels, rows = open_prepared(PREPARED / folder, splits, name)
            yield pixels, rows[rows["split"].isin(["val", "test"])]


if __name__ == "__main__":
    run(main)

"""Trains networks with one manipulation left out: ``python -m experiments.left_out.network FaceSwap``."""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from pytorch_lightning import seed_everything
from sklearn.metrics import roc_auc_score

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_csv
from deepfake_detection.common.tables import read_index, read_splits
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import PIXELS, ROWS
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.model import build_model
from deepfake_detection.params.data import uses
from deepfake_detection.params.load import load_params
from deepfake_detection.training.fit import fit
from deepfake_detection.training.loader import FrameBatches
from experiments.study import RESULTS, pretrained
from stages import run

# keys of params.yaml's train that the study may have of its own
TRAIN = ("epochs", "batch_size", "lr", "optimizer", "weight_decay", "schedule", "warmup_epochs", "monitor")
FOLDER, PREPARED, DEFAULT = Path("experiments/left_out"), Path("data/prepared"), "efficientnet_lite0"


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("manipulation", help="the one to leave out")
    parser.add_argument("--network", default=DEFAULT, help=f"a file of {FOLDER}, without .yaml (default: {DEFAULT})")
    options = parser.parse_args()
    left_out, described = options.manipulation, FOLDER / f"{options.network}.yaml"
    if not described.exists():
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
        raise UserError(f"--network {options.network}: not there; choose from {known}")
    params, own = load_params(), yaml.safe_load(described.read_text())
    keep_freed_memory()
    pixels, rows = frames_of_main_data_set(uses(params.data.source, params.data.extra))
    fakes = set(params.data.categories.fake + params.data.categories.unseen)
    if left_out not in fakes:
        raise UserError(f"{left_out} is neither in data.categories.fake nor in data.categories.unseen")
    trained = rows[rows["split"].isin(["train", "val"]) & (rows["category"] != left_out)]
    per_video = trained.groupby(["category", "video_id", "source_id"]).cumcount()
    trained = trained[per_video < own["frames"]]
    test = rows[rows["split"] == "test"]
    weights = pretrained(own["arch"], own["weights"])
    given = {key: own[key] for key in TRAIN if key in own}
    augment = params.train.augment.model_copy(update=own.get("augment", {}))
    train = params.train.model_copy(update={**given, "augment": augment, "patience": own["epochs"]})
    result = RESULTS / "left_out" / options.network / f"{left_out}.csv"
    found = pd.read_csv(result).to_dict("records") if result.exists() else []  # a killed run goes on with the next seed
    for seed in own["seeds"]:
        if any(row["seed"] == seed for row in found):
            continue
        seed_everything(seed, workers=True, verbose=False)
        model = build_model(own["arch"], params.model.dropout, weights)
        if (fitted := fit(model, FrameBatches(pixels, trained, train, seed), train)) is None:
            return  # with several processes, only rank 0 writes
        model.load_state_dict(fitted[0])
        logits = predict_logits(model, FrameDataset(pixels, test), 32)
        for category in sorted(fakes):
            kept = (test["category"].isin([category, *params.data.categories.real])).to_numpy()
            auroc = roc_auc_score(test["label"][kept], logits[kept])
            found.append({"left_out": left_out, "seed": seed, "tested_on": category, "auroc": auroc})
        write_csv(result, pd.DataFrame(found))


def frames_of_main_data_set(extra: dict[str, str]) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """The prepared frames of all categories, those that the project only evaluates too.

    Their ``split`` is that of their group, so a manipulation that is new to the training set stands on the same side as
    the originals of its videos. All pixels are in memory at once.
    """
    sides = read_splits(Path("data/splits_trained.csv")).set_index("path")["split"]
    tables = [read_index(PREPARED / role / ROWS) for role in ("trained", "evaluated")]
    arrays = [np.load(PREPARED / role / PIXELS, mmap_mode="r") for role in ("trained", "evaluated")]
    rows = pd.concat(tables, ignore_index=True)
    of_group = dict(zip(tables[0]["group"], sides.reindex(tables[0]["path"]), strict=True))
    rows["split"] = rows["group"].map(of_group)
    main = ~rows["dataset"].isin(set(extra)) & rows["split"].notna()
    return np.concatenate(arrays), rows[main]


if __name__ == "__main__":
    run(main)

"""Trains networks with one manipulation left out: ``python -m experiments.left_out.network FaceSwap``."""

from argparse import ArgumentParser
from pathlib import Path

import pandas as pd
import yaml
from sklearn.metrics import roc_auc_score

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_csv
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import Pixels, open_prepared
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.params.load import load_params
from deepfake_detection.params.train_sections import Train
from deepfake_detection.training.loader import FrameBatches
from deepfake_detection.training.runs import train_network
from experiments.study import PREPARED, RESULTS, any_in, open_trained, stacked, weights_of
from stages import run

FOLDER, DEFAULT = Path("experiments/left_out"), "efficientnet_lite0"


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
    model = params.model.model_copy(update={key: own.pop(key) for key in ("arch", "weights")})
    seeds, most, augment = own.pop("seeds"), own.pop("frames"), own.pop("augment", {})
    pixels, rows = frames_of_all_categories()
    fakes = sorted(set(rows.loc[rows["label"] == 1, "category"]))
    if left_out not in fakes:
        raise UserError(f"{left_out}: no manipulation of the data trained on, which has {', '.join(fakes)}")
    trained = rows[rows["split"].isin(["train", "val"]) & (rows["category"] != left_out)]
    trained = trained[trained.groupby(["category", "video_id", "source_id"]).cumcount() < most]
    test = rows[rows["split"] == "test"]
    result = RESULTS / "left_out" / options.network / f"{left_out}.csv"
    found = pd.read_csv(result).to_dict("records") if result.exists() else []  # a killed run goes on with the next seed
    for seed in [each for each in seeds if each not in {row["seed"] for row in found}]:
        tree = params.train.model_dump() | own | {"seed": seed, "patience": own["epochs"]}
        train = Train.model_validate(tree | {"augment": tree["augment"] | augment})
        batches = FrameBatches(pixels, trained, train, seed)
        done = train_network(model, train, (params.prepare.crop, params.prepare.margin), batches, weights_of(model))
        if done is None:
            return  # with several processes, only rank 0 writes
        logits = predict_logits(done[0], FrameDataset(pixels, test), 32)
        for category in fakes:
            kept = (test["category"].eq(category) | test["label"].eq(0)).to_numpy()
            auroc = roc_auc_score(test["label"][kept], logits[kept])
            found.append({"left_out": left_out, "seed": seed, "tested_on": category, "auroc": auroc})
        write_csv(result, pd.DataFrame(found))


def frames_of_all_categories() -> tuple[Pixels, pd.DataFrame]:
    """The prepared frames of the data sets trained on, with the categories that are held out.

    Their ``split`` is that of their group, so a held-out manipulation stands on the same side as the originals of its
    videos.
    """
    trained = open_trained()
    sides = dict(zip(trained[1]["group"], trained[1]["split"], strict=True))
    unseen = PREPARED / "unseen"
    held_out = [open_prepared(unseen, Path("data/splits_unseen.csv"))] if any_in(unseen) else []
    pixels, rows = stacked([trained, *held_out])
    rows["split"] = rows["group"].map(sides)
    return pixels, rows[rows["split"].notna()]


if __name__ == "__main__":
    run(main)

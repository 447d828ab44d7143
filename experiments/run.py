"""Trains the networks of a study and keeps their logits: ``python -m experiments.run STUDY [--methods NAME ...]``.

The frames are those that the project has prepared. Each method is trained with every seed of the study, for the same
number of steps. The epoch that is kept is chosen on validation frames of what the network was trained on. Its logits of
validation, test and corrupted frames go to ``experiments/results/STUDY/METHOD/SEED.npz``, for ``experiments.table``.

A killed run goes on with what has no result yet. Methods may run side by side in several processes.
"""

import math
import time
from argparse import ArgumentParser
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pytorch_lightning import seed_everything

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing, write_csv
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.frames.corruptions import CORRUPTIONS
from deepfake_detection.frames.dataset import FrameDataset, derive_seed
from deepfake_detection.frames.prepared import open_landmarks, open_prepared
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.logits import predict_logits
from deepfake_detection.network.model import add_level, build_model, drop_level
from deepfake_detection.params.load import load_params
from deepfake_detection.params.train import Train
from deepfake_detection.training.fit import fit
from deepfake_detection.training.loader import FrameBatches
from experiments.study import RESULTS, Study, pretrained, read_study, result_file, train_params
from stages import run

PREPARED = Path("data/prepared")
BATCH = 128  # frames whose logits are computed at once
Frames = NDArray[np.uint8]


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("study", help="a file of experiments/studies/, without .yaml")
    parser.add_argument("--methods", nargs="*", help="those to train; otherwise all")
    options = parser.parse_args()
    study, params = read_study(options.study), load_params()
    folder = RESULTS / options.study
    chosen = options.methods or list(study.methods)
    if unknown := [name for name in chosen if name not in study.methods]:
        raise UserError(f"no method {', '.join(unknown)} in the study {options.study}")
    folder.mkdir(parents=True, exist_ok=True)
    keep_freed_memory()
    trained = open_prepared(PREPARED / "trained", Path("data/splits_trained.csv"))
    evaluated = open_prepared(PREPARED / "evaluated", Path("data/splits.csv"))
    landmarks = open_landmarks(PREPARED / "trained")
    val, test = (trained[1][trained[1]["split"] == split] for split in ("val", "test"))
    share = min(1.0, params.robustness.max_frames / len(test))
    sample = test.groupby("label").sample(frac=share, random_state=params.evaluate.seed).sort_index()
    tables = {"val": val, "test": test, "evaluated": evaluated[1], "corrupted": sample}
    for name, rows in tables.items():
        write_csv(folder / f"{name}.csv", rows)
    corrupted = corrupted_frames(folder / "corrupted.npy", trained[0], sample, params.evaluate.seed)
    served = {
        "val": FrameDataset(trained[0], val),
        "test": FrameDataset(trained[0], test),
        "evaluated": FrameDataset(*evaluated),
        "corrupted": FrameDataset(corrupted, pd.DataFrame({"label": np.zeros(len(corrupted))})),
    }
    weights = pretrained(study.arch, study.weights)
    for method, seed in product(chosen, study.seeds):
        result = result_file(options.study, method, seed)
        if result.exists():
            continue
        train = train_params(study, method, params.train, seed)
        batches = FrameBatches(trained[0], trained[1], train, seed, landmarks)
        start = time.perf_counter()
        network = train_network(study, train, batches, params.model.dropout, weights)
        seconds = time.perf_counter() - start
        logits = {name: predict_logits(network, frames, BATCH).astype(np.float32) for name, frames in served.items()}
        result.parent.mkdir(exist_ok=True)
        with replacing(result) as (part,), part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, seconds=np.array(seconds), **logits)


def train_network(
    study: Study, train: Train, batches: FrameBatches, dropout: float, weights: Path | None
) -> torch.nn.Module:
    """Trains one network for the steps of the study and returns its best epoch."""
    steps = math.ceil(len(batches.train_rows) / int(train.batch_size))
    epochs = max(1, round(study.steps / steps))
    limited = train.model_copy(update={"epochs": epochs, "patience": epochs})
    seed_everything(train.seed, workers=True, verbose=False)
    network = build_model(study.arch, dropout, weights)
    if train.method == "nested":
        add_level(network)
    if (fitted := fit(network, batches, limited)) is None:
        raise UserError("a study trains each network in one process: set train.devices=1")
    network.load_state_dict(fitted[0])
    if train.method == "nested":
        drop_level(network)
    return network.eval()


def corrupted_frames(path: Path, pixels: Frames, rows: pd.DataFrame, seed: int) -> Frames:
    """Every frame of ``rows`` under each corruption and severity, in this order, kept in a file for later runs."""
    kinds = [(name, setting) for name, each in CORRUPTIONS.items() for setting in each.settings]
    count = len(kinds) * len(rows)
    if not path.exists():
        with replacing(path) as (part,):
            work = [(name, setting, row) for name, setting in kinds for row in rows.index]
            made = map_in_processes(partial(_corrupt, pixels, seed), work, count, None, "corrupting frames", "frame")
            with part.open("wb") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": (count, *pixels.shape[1:])}
                np.lib.format.write_array_header_1_0(file, header)
                for frame in made:
                    file.write(np.ascontiguousarray(frame).data)
    found: Frames = np.load(path, mmap_mode="r")
    if len(found) != count:
        raise UserError(f"{path}: made of other frames; remove experiments/results/ and run the study again")
    return found


def _corrupt(pixels: Frames, seed: int, work: tuple[str, float, int]) -> Frames:
    torch.set_num_threads(1)  # there is a process for each core already
    name, setting, row = work
    return CORRUPTIONS[name].apply(np.asarray(pixels[row]), setting, derive_seed(seed, row))


if __name__ == "__main__":
    run(main)

"""Trains the networks of a study and keeps their logits: ``python -m experiments.run STUDY [--methods NAME ...]``.

The frames are those that the project has prepared. Each method is trained with every seed of the study, for the same
number of steps. The epoch that is kept is chosen on validation frames of what the network was trained on. Its logits of
validation, test and corrupted frames go to ``experiments/results/STUDY/METHOD/SEED.npz``, for ``experiments.table``.

A killed run goes on with what has no result yet. Methods may run side by side in several processes.
"""

import time
from argparse import ArgumentParser
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing, write_csv
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.evaluation.adaptation import shuffled_batches
from deepfake_detection.evaluation.corruptions import CORRUPTIONS
from deepfake_detection.frames.dataset import FrameDataset, derive_seed
from deepfake_detection.frames.prepared import Pixels, open_landmarks
from deepfake_detection.inference.adabn import with_statistics_of
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.network.weights import save_weights
from deepfake_detection.params.load import Params, load_params
from deepfake_detection.training.loader import FrameBatches, Unlabelled, open_unlabelled
from deepfake_detection.training.runs import train_network
from deepfake_detection.training.self_supervised import Source, pretrain_backbone
from experiments.study import (
    PREPARED,
    RESULTS,
    any_in,
    frames_of,
    method_of,
    network_file,
    open_evaluated,
    open_trained,
    read_study,
    result_file,
    weights_of,
)
from stages import run

BATCH = 128  # frames whose logits are computed at once
SAME_VIDEOS = "degraded"  # how the name of a data set begins that experiments.degraded has made of the main one
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
    trained, (pixels, evaluated) = open_trained(), open_evaluated()
    # manipulations of videos that were trained on are not measured
    test_groups = trained[1].loc[trained[1]["split"] == "test", "group"]
    evaluated = evaluated[~evaluated["dataset"].isin(trained[1]["dataset"]) | evaluated["group"].isin(test_groups)]
    unlabelled, target = None, evaluated[:0]
    if study.target:
        evaluated, target = halves(evaluated, study.target, trained[1])
        unlabelled = Unlabelled(pixels, target.index)
    elif any_in(PREPARED / "adapt"):
        unlabelled = open_unlabelled(PREPARED / "adapt")
    val, test = (trained[1][trained[1]["split"] == split] for split in ("val", "test"))
    share = min(1.0, params.robustness.max_frames / len(test))
    sample = test.groupby("label").sample(frac=share, random_state=params.evaluate.seed).sort_index()
    tables = {"val": val, "test": test, "evaluated": evaluated, "corrupted": sample}
    for name, rows in tables.items():
        write_csv(folder / f"{name}.csv", rows)
    corrupted = corrupted_frames(folder / "corrupted.npy", trained[0], sample, params.evaluate.seed)
    served = {
        "val": FrameDataset(trained[0], val),
        "test": FrameDataset(trained[0], test),
        "evaluated": FrameDataset(pixels, evaluated),
        "corrupted": FrameDataset(corrupted, pd.DataFrame({"label": np.zeros(len(corrupted))})),
    }
    landmarks = open_landmarks(PREPARED / "train")
    for name, seed in product(chosen, study.seeds):
        result = result_file(options.study, name, seed)
        if result.exists():
            continue
        method = method_of(study, name, params, seed)
        start = time.perf_counter()
        if method.of:
            source = network_file(options.study, method.of, seed)
            network = build_model(method.params.model.arch, 0.0, source, trained=True).eval()
            shown = frames_of(pixels, chosen_frames(target, method.statistics or "all"))
            network = with_statistics_of(network, shuffled_batches(shown, BATCH, seed))
        else:
            batches = FrameBatches(*trained, method.params.train, seed, landmarks, unlabelled)
            network = trained_network(method.params, batches, result.with_suffix(".backbone.pth"))
        seconds = time.perf_counter() - start
        logits = {name: predict_logits(network, frames, BATCH).astype(np.float32) for name, frames in served.items()}
        result.parent.mkdir(exist_ok=True)
        save_weights(network_file(options.study, name, seed), network.efficientnet, network.variant)
        with replacing(result) as (part,), part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, seconds=np.array(seconds), **logits)


def trained_network(params: Params, batches: FrameBatches, backbone: Path) -> Network:
    """The best epoch of one network. If it is pretrained first, ``backbone`` gets the result of that."""
    model, train, weights = params.model, params.train, weights_of(params.model)
    for method, own in params.pretrain.items():
        sources = [Source(batches.pixels, batches.train_rows)]
        print(pretrain_backbone(model.arch, method, own, train.augment, train.threads, sources, backbone), flush=True)
        weights = backbone
    trained = train_network(model, train, (params.prepare.crop, params.prepare.margin), batches, weights)
    if trained is None:
        raise UserError("a study trains each network in one process: set train.devices=1")
    return trained[0].eval()


def halves(evaluated: pd.DataFrame, target: str, trained: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to score, and those of the data set ``target`` that are adapted to, half of its groups.

    If the target shows the very videos that were trained on, changed, the groups to score are those of the test side:
    otherwise people would be scored that the network was trained on.
    """
    rows = evaluated[evaluated["dataset"] == target]
    if rows.empty:
        raise UserError(f"target: there is no data set {target} with use: test")
    if len(groups := sorted(rows["group"].unique())) < 2:
        raise UserError(f"target: {target} has one identity group, which cannot be halved")
    known = set(trained.loc[trained["split"] != "test", "video_id"]) if target.startswith(SAME_VIDEOS) else set()
    half = set(np.random.default_rng(0).permutation(groups)[: len(groups) // 2])
    adapted = rows[rows["video_id"].isin(known)] if known else rows[rows["group"].isin(half)]
    return evaluated.drop(adapted.index), adapted


def chosen_frames(target: pd.DataFrame, which: str) -> pd.DataFrame:
    """All rows of the target, or those of one class, or of the first video."""
    first = target.iloc[0]
    chosen = {
        "all": target["label"] >= 0,
        "originals": target["label"] == 0,
        "fakes": target["label"] == 1,
        "one video": (target["category"] == first["category"]) & (target["video_id"] == first["video_id"]),
    }
    rows: pd.DataFrame = target.loc[chosen[which]]
    return rows


def corrupted_frames(path: Path, pixels: Pixels, rows: pd.DataFrame, seed: int) -> Frames:
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


def _corrupt(pixels: Pixels, seed: int, work: tuple[str, float, int]) -> Frames:
    torch.set_num_threads(1)  # there is a process for each core already
    name, setting, row = work
    return CORRUPTIONS[name].apply(np.asarray(pixels[row]), setting, derive_seed(seed, row))


if __name__ == "__main__":
    run(main)

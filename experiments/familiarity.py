"""Compares measures of how unlike its training frames a frame is: ``python -m experiments.familiarity [FOLDER ...]``.

It takes the project's prepared frames and checkpoint, and pictures in further folders. Each measure is fitted on the
training frames. Its limit is set so that 2% of the test frames are flagged, and the table says what share of other
frames that limit flags: manipulations not trained on, other data sets, the folders, plain and noisy pictures, and test
frames under the corruptions of each severity. docs/concepts/unfamiliar-frames.md has the result.
"""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.nn.functional import avg_pool2d

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.progress import progress
from deepfake_detection.evaluation.corruptions import CORRUPTIONS
from deepfake_detection.evaluation.fit_familiarity import whitening_of
from deepfake_detection.frames.dataset import derive_seed
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.familiarity import FLOOR, frame_statistics
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.model import Network
from deepfake_detection.params.load import load_params
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.paths import find_files
from experiments.study import frames_of, open_evaluated, open_trained
from stages import run

FALSE_FLAGS = 0.02
CORRUPTED = 40  # test frames under each corruption and severity
PICTURES = 100  # of each folder
NEIGHBOUR = 10  # the k of the k-th neighbour; Sun et al. take more for more frames
BATCH = 32

Frames = NDArray[np.uint8]
Floats = NDArray[np.float64]


class Layers(NamedTuple):
    """What a network makes of frames: means and deviations of its first stages, its last features, its logits."""

    stages: Floats
    last: Floats
    logits: Floats


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", help="folders of further pictures")
    folders = parser.parse_args().folders
    params = load_params()
    keep_freed_memory()
    network, sidecar, _ = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth"))
    sets, labels = frames_of_project(params.evaluate.seed)
    detector = Detector(network, sidecar)
    for folder in folders:
        files = find_files([folder]).files
        if not files:
            raise UserError(f"{folder}: no pictures")
        step = max(1, len(files) // PICTURES)
        sets[Path(folder).name] = np.stack(list(detector.crops(files[::step][:PICTURES])))
    layers = {}
    with progress(title="looking at frames", total=sum(map(len, sets.values())), unit="frame") as bar:
        for name, frames in sets.items():
            layers[name] = layers_of(network, frames)
            bar.update(len(frames))
    corrupted = [name for name in sets if name.startswith("corrupted")]
    calls = np.concatenate(
        [sidecar.frame.probability(layers[name].logits) >= sidecar.frame.threshold for name in corrupted]
    )
    right = calls == np.tile(labels, len(calls) // len(labels))
    rows = {}
    for measure, fit in MEASURES.items():
        score = fit(sets["train"], layers["train"])
        start = time.perf_counter()
        score(sets["test"], layers["test"])
        seconds = (time.perf_counter() - start) / len(sets["test"]) * 1000
        distances = {name: score(sets[name], layers[name]) for name in sets}
        limit = np.quantile(distances["test"], 1 - FALSE_FLAGS)
        rows[measure] = {name: (found > limit).mean() for name, found in distances.items() if name not in FITTED}
        rows[measure]["test, limit of validation"] = (distances["test"] > np.quantile(distances["val"], 0.99)).mean()
        order = np.argsort(np.concatenate([distances[name] for name in corrupted]), kind="stable")
        rows[measure]["accuracy on corrupted"] = (np.cumsum(right[order]) / np.arange(1, len(order) + 1)).mean()
        rows[measure]["s for 1,000 frames"] = seconds
    print(pd.DataFrame(rows).round(3).to_string())


def frames_of_project(seed: int) -> tuple[dict[str, Frames], NDArray[np.int64]]:
    """The frames to flag or not, uint8 of shape (frames, size, size, 3), by what they are.

    Then the labels of those that are corrupted, which repeat for each corruption and severity.
    """
    pixels, rows = open_trained()
    sets = {split: frames_of(pixels, rows[rows["split"] == split]) for split in ("train", "val", "test")}
    others, evaluated = open_evaluated()
    trained = set(rows["dataset"])
    for name, part in evaluated[evaluated["split"] == "test"].groupby("dataset"):
        sets["unseen manipulations" if name in trained else str(name)] = frames_of(others, part)
    rng, size = np.random.default_rng(seed), pixels.shape[1]
    colours = [np.full((1, 1, 3), 0), np.full((1, 1, 3), 255), *rng.integers(0, 256, (28, 1, 1, 3))]
    sets["black, white, one colour"] = np.stack([np.broadcast_to(each, (size, size, 3)) for each in colours]).astype(
        np.uint8
    )
    sets["noise"] = rng.integers(0, 256, (30, size, size, 3)).astype(np.uint8)
    test = rows[rows["split"] == "test"]
    sample = test.sample(min(CORRUPTED, len(test)), random_state=seed).index
    for severity in range(5):
        sets[f"corrupted, severity {severity + 1}"] = np.stack(
            [
                corruption.apply(np.asarray(pixels[row]), corruption.settings[severity], derive_seed(seed, row))
                for corruption in CORRUPTIONS.values()
                for row in sample
            ]
        )
    return sets, test.loc[sample, "label"].to_numpy()


def layers_of(network: Network, frames: Frames) -> Layers:
    stages, last, logits = [], [], []
    efficientnet = network.efficientnet
    with torch.inference_mode():
        for start in range(0, len(frames), BATCH):
            values = network.normalise(torch.from_numpy(np.ascontiguousarray(frames[start : start + BATCH])))
            found = []
            for number, stage in enumerate(efficientnet.features):  # type: ignore[arg-type]
                values = stage(values)
                if number in (1, 2, 3):
                    found += [values.mean((2, 3)), values.std((2, 3), correction=0)]
            features = efficientnet.avgpool(values).flatten(1)  # type: ignore[operator]
            stages.append(torch.cat(found, dim=1))
            last.append(features)
            logits.append(efficientnet.classifier(features).squeeze(1))  # type: ignore[operator]
    return Layers(*(torch.cat(part).double().numpy() for part in (stages, last, logits)))


Score = Callable[[Frames, Layers], Floats]


def neighbouring_pixels(frames: Frames, _: Layers) -> Score:
    """The project's own measure, see ``inference.familiarity``. Its unit does not matter here."""
    return _mahalanobis(_in_batches(frame_statistics, frames), lambda frames, _: _in_batches(frame_statistics, frames))


def second_differences(frames: Frames, _: Layers) -> Score:
    """The same with differences of differences, and at a quarter of the size too."""
    return _mahalanobis(_in_batches(_more, frames), lambda frames, _: _in_batches(_more, frames))


def _more(frames: Tensor) -> Tensor:
    red, green, blue = (frames.float() / 255).permute(3, 0, 1, 2)
    mixtures = (red, green, blue, (red + green + blue) / 3, red - green, (red + green) / 2 - blue)
    found = []
    for scale in (1, 2, 4):
        scaled = avg_pool2d(torch.stack(mixtures, dim=1), scale)
        along_x, along_y = scaled.diff(dim=3), scaled.diff(dim=2)
        for differences in (along_x, along_y, along_x.diff(dim=3), along_y.diff(dim=2), along_x.diff(dim=2)):
            found.append(torch.log(differences.abs().mean((2, 3)) + FLOOR))
    return torch.cat(found, dim=1)


def first_stages(_: Frames, known: Layers) -> Score:
    """Mahalanobis's distance of the statistics of the first three stages (Lee et al. 2018)."""
    return _mahalanobis(known.stages, lambda _, others: others.stages)


def nearest_neighbours(_: Frames, known: Layers) -> Score:
    """Distance to the k-th nearest of the normalised last features (Sun et al. 2022)."""
    index = NearestNeighbors(n_neighbors=NEIGHBOUR).fit(_normalised(known.last))
    return lambda _, others: index.kneighbors(_normalised(others.last))[0][:, -1]


def energy(_: Frames, __: Layers) -> Score:
    """The free energy of the two classes' logits, here 0 and the logit (Liu et al. 2020)."""
    return lambda _, others: -np.logaddexp(0, others.logits)


def _mahalanobis(known: Floats, statistics: Callable[[Frames, Layers], Floats]) -> Score:
    mean, whitening = whitening_of(known)
    return lambda frames, layers: np.linalg.norm((statistics(frames, layers) - mean) @ whitening, axis=1)


def _in_batches(statistics: Callable[[Tensor], Tensor], frames: Frames) -> Floats:
    starts = range(0, len(frames), BATCH)
    with torch.inference_mode():
        found = [statistics(torch.from_numpy(np.ascontiguousarray(frames[at : at + BATCH]))) for at in starts]
    return torch.cat(found).double().numpy()


def _normalised(features: Floats) -> Floats:
    normalised: Floats = features / np.linalg.norm(features, axis=1, keepdims=True)
    return normalised


MEASURES = {
    "neighbouring pixels": neighbouring_pixels,
    "second differences": second_differences,
    "first stages": first_stages,
    "nearest neighbours": nearest_neighbours,
    "energy": energy,
}
FITTED = ("train", "val")

if __name__ == "__main__":
    run(main)

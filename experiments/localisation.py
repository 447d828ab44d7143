"""Asks whether a network knows where a frame was changed: ``python -m experiments.localisation FOLDER [--seeds N]``.

FOLDER is as for ``experiments.genuine``. For each seed its network of ROW is trained on one split of the people, with
``train.localise`` and without. Maps of test frames are compared with masks, as ``evaluation.localisation`` does it:

- blends of originals with themselves, whose masks are known;
- each manipulation, whose mask is where a frame differs from its original at the same place and time.

The maps are the head's, HiResCAM's of both networks, each map as a share of its greatest value, and a control that is
blind: the mean mask of the validation blends. IoU is at the threshold that is best on these blends, and an original
counts as marked if a place of it is above that. The second table has AUROCs of frames with the head, without it, and
the differences, whose intervals count seeds and people. The last lines are the time of each map, in one thread.
"""

import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_csv
from deepfake_detection.common.tables import VIDEO_KEY
from deepfake_detection.evaluation.differences import between_methods
from deepfake_detection.evaluation.localisation import STEPS, compare_places
from deepfake_detection.frames.dataset import Frame, FrameDataset
from deepfake_detection.frames.prepared import open_landmarks
from deepfake_detection.frames.preparing import read_faces
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.model import described
from deepfake_detection.network.sidecar import Sidecar, Where, categories_of
from deepfake_detection.params.load import Params
from deepfake_detection.pictures.crops import crop_face
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.explain import PLACE, changed_places, contributions
from deepfake_detection.training.runs import epoch_log
from deepfake_detection.training.training_frames import TrainingFrames
from deepfake_detection.videos.footage import file_of, read_pixels
from experiments.genuine import ROWS, SET, Trained, aurocs, params_of, trained
from experiments.heat_maps import mask_of
from experiments.run import BATCH
from experiments.study import RESULTS
from stages import run

SPLIT, ROW = 0, "small-128-nested"
NETWORKS = {"without head": 0.0, "with head": 1.0}  # train.localise

Map = NDArray[np.float32]
Masked = list[tuple[Frame, Map]]
"""Frames of shape (size, size, 3), and the masks of each, from 0 to 1, of shape (size, size)."""


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3, help="pairs of networks to train (default: 3)")
    options = parser.parse_args()
    keep_freed_memory()
    to = RESULTS / "genuine" / "_".join(options.folder.resolve().parts[1:])  # whose prepared frames are taken
    own = RESULTS / "localisation" / to.name
    places, tests = [], []
    for seed in range(options.seeds):
        files = own / f"{seed}.places.csv", own / f"{seed}.logits.csv"
        if not all(file.exists() for file in files):
            for file, found in zip(files, studied(options.folder, to, own, seed), strict=True):
                write_csv(file, found)
        places.append(pd.read_csv(files[0]))
        tests.append(pd.read_csv(files[1], dtype=dict.fromkeys(("video_id", "source_id", "group"), str)))
    every = pd.concat(places)
    for measure in ("AUROC", "IoU", "hits", "frames counted"):
        shown = every.pivot_table(measure, "map", "frames", lambda each: f"{each.mean():.3f} ± {each.std():.3f}")
        print(f"{measure}\n{shown.to_string()}\n")
    print(f"{every.groupby('map')[['marked originals', 'ms a frame']].mean().round(3).to_string()}\n")
    print(f"AUROC of frames\n{detection(tests).to_string()}")


def studied(folder: Path, to: Path, own: Path, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What each map is worth on each kind of frames, and the test frames with the logits of both networks."""
    detectors = {}
    for name, weight in NETWORKS.items():
        print(f"seed {seed}, {name}", flush=True)
        params = params_of([*ROWS[ROW], f"train.localise={weight}"], own / f"{weight:g}.yaml")
        done = trained(folder, to, params, SPLIT, seed, epoch_log(own / f"{seed}.{weight:g}.curves.csv"))
        detectors[name] = detector_of(done, params)
    test = done.rows[done.rows["split"] == "test"]
    logits = {
        name: predict_logits(each.network, FrameDataset(done.pixels, test), BATCH) for name, each in detectors.items()
    }
    tested = test[["path", "label", *VIDEO_KEY, "group"]].assign(seen=test["category"] == done.seen, **logits)
    known, blends = (blends_of(done, split, to / "prepared" / str(detectors[name].size)) for split in ("val", "test"))
    originals = [done.pixels[row] for row in test.index[test["label"] == 0]]
    kinds = {"blends": blends} | dict(manipulated(folder, done, test, to, params))
    found = []
    for name, mapped in maps_of(detectors, known).items():
        threshold = score(mapped, known).threshold
        start = time.perf_counter()
        marked = float(np.mean([mapped(crop).max() >= threshold for crop in originals]))
        spent = 1000 * (time.perf_counter() - start) / len(originals)
        for kind, frames in kinds.items():
            worth = score(mapped, frames, threshold)
            values = {"AUROC": worth.auroc, "IoU": worth.iou, "hits": worth.hits, "frames counted": worth.blends}
            found.append({"map": name, "frames": kind, **values, "marked originals": marked, "ms a frame": spent})
    return pd.DataFrame(found), tested


def detector_of(done: Trained, params: Params) -> Detector:
    about = described(done.network, params.model.arch) | {"categories": categories_of(done.rows)}
    return Detector(done.network, Sidecar(**about, input_size=[params.prepare.image_size] * 2))


def blends_of(done: Trained, split: str, prepared: Path) -> Masked:
    originals = done.rows.query(f"split == '{split}' and label == 0")
    frames = TrainingFrames(
        done.pixels, originals.assign(label=1, blended=True), None, open_landmarks(prepared), masked=True
    )
    return [(frame.numpy(), mask.numpy()) for frame, _, mask in (frames[item] for item in range(len(frames)))]


def manipulated(
    folder: Path, done: Trained, test: pd.DataFrame, to: Path, params: Params
) -> Iterator[tuple[str, Masked]]:
    """For each manipulation its test frames, with where their crops differ from the same crops of their originals."""
    fakes = test[test["label"] == 1].reset_index(names="row")
    pairs = fakes.merge(test.query("label == 0"), on=["video_id", "frame"], suffixes=("", "_original"))
    faces, rule = dict(read_faces(to / "faces.csv")), (params.prepare.crop, params.prepare.margin)
    for category, part in pairs.groupby("category"):
        masked: Masked = []
        for _, film in part.groupby([part["path_original"].map(file_of), "source_id"]):
            originals = dict(zip(film["path_original"], zip(film["path"], film["row"], strict=True), strict=True))
            for path, pixels in read_pixels(to / "raw", {SET: folder}, list(originals)):
                fake, row = originals[path]
                crop, frame = crop_face(pixels, faces[fake], *rule, len(done.pixels[row])), done.pixels[row]
                masked.append((frame, mask_of(frame, crop).astype(np.float32)))
        yield str(category), masked


def maps_of(detectors: dict[str, Detector], known: Masked) -> dict[str, Callable[[Frame], Map]]:
    """Each gives, for a frame, a value from 0 to 1 for each place."""
    head, plain = detectors["with head"], detectors["without head"]
    blind = pooled([mask for _, mask in known], head.size // PLACE).mean(axis=0).astype(np.float32)
    return {
        "head": partial(changed_places, head),
        "HiResCAM": partial(hirescam, head),
        "HiResCAM, without head": partial(hirescam, plain),
        "blind": lambda _: blind,
    }


def hirescam(detector: Detector, crop: Frame) -> Map:
    found = contributions(detector, crop)[0].clip(0)
    return np.asarray(found / max(float(found.max()), 1e-9), np.float32)


def pooled(masks: list[Map], places: int) -> Map:
    shares: Map = adaptive_avg_pool2d(torch.from_numpy(np.stack(masks))[:, None], places)[:, 0].numpy()
    return shares


def score(mapped: Callable[[Frame], Map], frames: Masked, threshold: float | None = None) -> Where:
    found = np.stack([mapped(crop) for crop, _ in frames])
    masks = pooled([mask for _, mask in frames], found.shape[-1])
    worth = compare_places(found, masks, STEPS if threshold is None else np.array([threshold]))
    if worth is None:
        raise UserError("no mask covers half a place of a frame: the maps cannot be compared")
    return worth


def detection(tests: list[pd.DataFrame]) -> pd.DataFrame:
    """For each manipulation the AUROC of frames with and without the head, and the difference with its interval."""
    logits = {name: np.stack([test[name].to_numpy() for test in tests]) for name in NETWORKS}
    without, with_head = (dict(aurocs(tests[0], values)) for values in logits.values())
    rows = {}
    for name, values in without.items():
        change = between_methods(values, with_head[name], tests[0]["group"].nunique())
        interval = "" if change["interval"] is None else "[{:+.3f}, {:+.3f}]".format(*change["interval"])
        means = {key: f"{each[:, 0].mean():.3f}" for key, each in zip(NETWORKS, (values, with_head[name]), strict=True)}
        rows[name] = means | {"difference": f"{change['difference']:+.3f} {interval}"}
    return pd.DataFrame(rows).T


if __name__ == "__main__":
    run(main)

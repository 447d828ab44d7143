"""Asks whether a network knows where a frame was changed: ``python -m experiments.localisation FOLDER [--splits N]``.

FOLDER is as for ``experiments.genuine``, whose ROW is trained for each split of the people, and whose results it adds
to, so that this compares its scores with those of other rows. Maps of the test frames of each manipulation are
compared with masks, as ``evaluation.localisation`` does it: a mask is where a frame differs from its original.

The maps are the head's, HiResCAM's of the same network, each map as a share of its greatest value, and a control that
is blind: the mean mask of the validation fakes. IoU is at the threshold that is best on these, and an original counts
as marked if a place of it is above that. The tables have the mean over the splits and their standard deviation. Then
comes the time of each map, in one thread. ``SPLIT.png`` has frames with their mask and all maps.
"""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_csv, write_figure
from deepfake_detection.evaluation.localisation import STEPS, compare_places
from deepfake_detection.frames.dataset import Frame
from deepfake_detection.frames.prepared import open_landmarks
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.model import described
from deepfake_detection.network.sidecar import Sidecar, Where, categories_of
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.explain import PLACE, changed_places, contributions
from deepfake_detection.training.changed import changed_mask, originals_of
from deepfake_detection.training.runs import epoch_log
from experiments.genuine import ROWS, Trained, params_of, ready, tested, trained
from experiments.study import RESULTS
from stages import run

ROW = "small-localise"
SHOWN = 4  # frames of each manipulation in the picture

Map = NDArray[np.float32]
Masked = list[tuple[Frame, Map]]
"""Frames of shape (size, size, 3), and the masks of each, 0 or 1, of shape (size, size)."""


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--splits", type=int, default=3, help="divisions of the people (default: 3)")
    options = parser.parse_args()
    keep_freed_memory()
    to = RESULTS / "genuine" / "_".join(options.folder.resolve().parts[1:])
    own, scores = RESULTS / "localisation" / to.name, to / ROW
    places = []
    for split in range(options.splits):
        file, scored = own / f"{split}.csv", scores / f"{split}.csv"
        if not (file.exists() and scored.exists()):
            print(f"{ROW}, split {split}", flush=True)
            params = params_of(ROWS[ROW], scores / "params.yaml")
            done = trained(options.folder, to, params, split, split, epoch_log(scores / f"{split}.curves.csv"))
            write_csv(scored, tested(done))
            write_csv(
                file, compared(done, params.model.arch, ready(options.folder, to, params), file.with_suffix(".png"))
            )
        places.append(pd.read_csv(file))
    every = pd.concat(places)
    for measure in ("AUROC", "IoU", "hits", "frames counted"):
        shown = every.pivot_table(measure, "map", "frames", lambda each: f"{each.mean():.3f} ± {each.std():.3f}")
        print(f"{measure}\n{shown.to_string()}\n")
    print(every.groupby("map")[["marked originals", "ms a frame"]].mean().round(3).to_string())


def compared(done: Trained, arch: str, prepared: Path, picture: Path) -> pd.DataFrame:
    """What each map is worth on each manipulation. ``prepared`` is as of ``ready``; ``picture`` shows some."""
    size = done.pixels.shape[1]
    about = described(done.network, arch) | {"categories": categories_of(done.rows)}
    detector = Detector(done.network, Sidecar(**about, input_size=[size, size]))
    landmarks = cast("NDArray[np.float32]", open_landmarks(prepared))  # all rows crop faces
    kinds, validation = (known(done, split, landmarks) for split in ("test", "val"))
    seen = validation[done.seen]
    originals = [done.pixels[row] for row in done.rows.query("split == 'test' and label == 0").index]
    blind = pooled([mask for _, mask in seen], size // PLACE).mean(axis=0).astype(np.float32)
    maps: dict[str, Callable[[Frame], Map]] = {
        "head": partial(changed_places, detector),
        "HiResCAM": partial(hirescam, detector),
        "blind": lambda _: blind,
    }
    draw(kinds, maps, picture)
    found = []
    for name, mapped in maps.items():
        threshold = score(mapped, seen).threshold
        start = time.perf_counter()
        marked = float(np.mean([mapped(crop).max() >= threshold for crop in originals]))
        spent = 1000 * (time.perf_counter() - start) / len(originals)
        for kind, frames in kinds.items():
            worth = score(mapped, frames, threshold)
            values = {"AUROC": worth.auroc, "IoU": worth.iou, "hits": worth.hits, "frames counted": worth.frames}
            told = f"{kind} (seen)" if kind == done.seen else kind
            found.append({"map": name, "frames": told, **values, "marked originals": marked, "ms a frame": spent})
    return pd.DataFrame(found)


def known(done: Trained, split: str, landmarks: NDArray[np.float32]) -> dict[str, Masked]:
    """The fakes of a split whose originals are there, by their manipulation."""
    rows = done.rows[done.rows["split"] == split]
    fakes = rows.assign(original=originals_of(rows, landmarks)).query("original >= 0")
    found: dict[str, Masked] = {}
    for row, kind, original in zip(fakes.index.tolist(), fakes["category"], fakes["original"], strict=True):
        fake = done.pixels[row]
        found.setdefault(kind, []).append((fake, changed_mask(fake, done.pixels[original]).astype(np.float32)))
    return found


def hirescam(detector: Detector, crop: Frame) -> Map:
    found = contributions(detector, crop)[0].clip(0)
    return np.asarray(found / max(float(found.max()), 1e-9), np.float32)


def pooled(masks: list[Map], places: int) -> Map:
    shares: Map = adaptive_avg_pool2d(torch.from_numpy(np.stack(masks))[:, None], places)[:, 0].numpy()
    return shares


def score(mapped: Callable[[Frame], Map], frames: Masked, threshold: float | None = None) -> Where:
    found = np.stack([mapped(crop) for crop, _ in frames])
    masks = pooled([mask for _, mask in frames], found.shape[-1])
    worth = compare_places(found, masks, "fakes", STEPS if threshold is None else np.array([threshold]))
    if worth is None:
        raise UserError("no mask covers half a place of a frame: the maps cannot be compared")
    return worth


def draw(kinds: dict[str, Masked], maps: dict[str, Callable[[Frame], Map]], file: Path) -> None:
    """For each manipulation SHOWN frames, evenly spaced: the frame, its mask and each map, black for 0, white for 1."""
    figure = Figure(figsize=(1.2 * SHOWN * (2 + len(maps)), 1.3 * len(kinds)), layout="constrained")
    grid = figure.subplots(len(kinds), SHOWN * (2 + len(maps)), squeeze=False)
    for line, (kind, frames) in zip(grid, kinds.items(), strict=True):
        line[0].set_ylabel(kind, fontsize=7)
        chosen = np.linspace(0, len(frames) - 1, SHOWN).round().astype(int)
        parts = [part for crop, mask in (frames[item] for item in chosen) for part in shown(crop, mask, maps)]
        for axes, (title, picture) in zip(line, parts, strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1 if picture.dtype != np.uint8 else 255)
            axes.set_title(title, fontsize=6)
            axes.set(xticks=[], yticks=[])
    write_figure(file, figure)


def shown(crop: Frame, mask: Map, maps: dict[str, Callable[[Frame], Map]]) -> list[tuple[str, NDArray[np.generic]]]:
    return [("frame", crop), ("changed", mask), *((name, mapped(crop)) for name, mapped in maps.items())]


if __name__ == "__main__":
    run(main)

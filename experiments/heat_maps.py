"""Compares heat maps with the pixels that were altered: ``python -m experiments.heat_maps [--frames 30]``.

The committed data are drawn, so each fake has an original that differs where it was manipulated and nowhere else, but
for the compression. A map is measured by the pointing game (Zhang et al. 2018, "Top-down Neural Attention by Excitation
Backprop"): the share of frames whose brightest place was altered, and by the area under the precision-recall curve
(average precision) of its pixels. It prints a table and writes a picture.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.models import EfficientNet

from deepfake_detection.common.files import write_figure
from deepfake_detection.common.progress import progress
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.model import Network
from deepfake_detection.params.load import load_params
from deepfake_detection.training.changed import changed_mask
from experiments.study import open_evaluated, open_trained
from stages import run

WIDTHS = (8, 16, 32)  # pixels of the network's input that a place of a map is wide
PATCH, STEP = 24, 8  # occlusion, in pixels
MASKS, CELLS = 300, 8  # RISE
BATCH = 32
NOT_DRAWN = {
    "chance",
    "centre of the picture",
    "Grad-CAM, 16 px",
    "LayerCAM, 16 px",
    "LayerCAM, 32 px",
    "HiResCAM, 32 px",
}

Frame = NDArray[np.uint8]
Map = NDArray[np.float64]


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=30, help="test frames of each manipulation")
    parser.add_argument("--out", type=Path, default=Path("heat-maps.png"))
    options, params = parser.parse_args(), load_params()
    keep_freed_memory()
    network = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth")).network
    rng = np.random.default_rng(params.evaluate.seed)
    found, shown = [], []
    for category, pairs in frames_with_originals(rng, options.frames).items():
        for number, (fake, original) in enumerate(progress(pairs, category, unit="frame")):
            altered = changed_mask(fake, original)
            maps = maps_of(network, fake, rng)
            found += [{"category": category, "map": name, **score(each, altered)} for name, each in maps.items()]
            if not number:
                shown.append((category, fake, altered, maps))
    table = pd.DataFrame(found)
    for measure in ("pointing game", "average precision"):
        means = table.pivot_table(measure, "map", "category", margins=True, margins_name="mean", sort=False)
        print(f"{measure}\n{means.drop(index='mean').round(3).to_string()}\n")
    write_figure(options.out, draw(shown))
    print(options.out)


def frames_with_originals(rng: np.random.Generator, most: int) -> dict[str, list[tuple[Frame, Frame]]]:
    """For each manipulation of the main data set, fakes of the test split with the original of the same frame."""
    trained, evaluated = open_trained(), open_evaluated()
    originals = trained[1].query("label == 0 and split == 'test'")
    rows = originals.reset_index(names="row").set_index(["video_id", "frame"])["row"]
    pairs: dict[str, list[tuple[Frame, Frame]]] = {}
    for pixels, table in (trained, evaluated):
        fakes = table[(table["label"] == 1) & (table["split"] == "test") & table["dataset"].isin(originals["dataset"])]
        for category, part in fakes.groupby("category"):
            part = part.sample(min(most, len(part)), random_state=int(rng.integers(2**31)))
            keys = zip(part.index, part["video_id"], part["frame"], strict=True)
            pairs[str(category)] = [
                (np.asarray(pixels[row]), np.asarray(trained[0][rows[video, frame]])) for row, video, frame in keys
            ]
    return pairs


def score(found: Map, altered: NDArray[np.bool_]) -> dict[str, float]:
    top = np.unravel_index(found.argmax(), found.shape)
    return {
        "pointing game": float(altered[top]),
        "average precision": float(average_precision_score(altered.ravel(), found.ravel())),
    }


def maps_of(network: Network, frame: Frame, rng: np.random.Generator) -> dict[str, Map]:
    """Every map of a frame, of shape (size, size), by its name."""
    size = len(frame)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    maps = {
        "chance": rng.random((size // WIDTHS[0],) * 2),
        "centre of the picture": -np.hypot(x, y),
        "occlusion": occlusion(network, frame),
        "RISE": rise(network, frame, rng),
    }
    for width, features, gradient in stages_of(network, frame):
        maps[f"Grad-CAM, {width} px"] = (gradient.mean((1, 2), keepdim=True) * features).sum(0).relu().numpy()
        maps[f"LayerCAM, {width} px"] = (gradient.relu() * features).sum(0).relu().numpy()
        maps[f"HiResCAM, {width} px"] = (gradient * features).sum(0).relu().numpy()
    return {name: _enlarged(each, size) for name, each in maps.items()}


def stages_of(network: Network, frame: Frame) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Of the last stage with places of each of WIDTHS, features and the logit's gradient: (channels, rows, columns)."""
    efficientnet = cast("EfficientNet", network.efficientnet)
    seen = network.normalise(torch.from_numpy(np.array(frame)[None])).requires_grad_()
    outputs: list[Tensor] = []
    for stage in efficientnet.features:
        seen = stage(seen)
        outputs.append(seen)
    logit = efficientnet.classifier(torch.flatten(efficientnet.avgpool(seen), 1)).sum()
    gradients = torch.autograd.grad(logit, outputs)
    last = {len(frame) // each.shape[-1]: (each, grad) for each, grad in zip(outputs, gradients, strict=True)}
    for width in WIDTHS:
        features, gradient = last[width]
        yield width, features.detach()[0], gradient[0]


def occlusion(network: Network, frame: Frame) -> Map:
    """How much the logit falls when a patch is blurred (Zeiler and Fergus 2014), the mean over a pixel's patches."""
    size, blurred = len(frame), _blurred(frame)
    places = [(top, left) for top in range(0, size - PATCH + 1, STEP) for left in range(0, size - PATCH + 1, STEP)]
    changed = np.repeat(frame[None], len(places), 0)
    total, count = np.zeros((size, size)), np.zeros((size, size))
    patches = [(slice(top, top + PATCH), slice(left, left + PATCH)) for top, left in places]
    for each, patch in zip(changed, patches, strict=True):
        each[patch] = blurred[patch]
    whole, *logits = _logits(network, np.concatenate([frame[None], changed]))
    for patch, logit in zip(patches, logits, strict=True):
        total[patch] += whole - logit
        count[patch] += 1
    fall: Map = np.maximum(total / count.clip(1), 0)
    return fall


def rise(network: Network, frame: Frame, rng: np.random.Generator) -> Map:
    """The covariance of the logit and of what is not blurred by random masks (Petsiuk et al. 2018, RISE)."""
    size = len(frame)
    grid = torch.from_numpy((rng.random((MASKS, 1, CELLS + 1, CELLS + 1)) < 0.5).astype(np.float32))
    large = interpolate(grid, size=(size + size // CELLS,) * 2, mode="bilinear").numpy()[:, 0]
    shifts = rng.integers(0, size // CELLS, (MASKS, 2))
    masks = np.stack([each[y : y + size, x : x + size] for each, (y, x) in zip(large, shifts, strict=True)])
    mixed = masks[..., None] * frame + (1 - masks[..., None]) * _blurred(frame)
    logits = np.array(_logits(network, np.round(mixed).astype(np.uint8)))
    covariance: Map = np.tensordot(logits - logits.mean(), masks - masks.mean(0), 1) / MASKS
    return covariance


def draw(shown: list[tuple[str, Frame, NDArray[np.bool_], dict[str, Map]]]) -> Figure:
    """A row a frame: the fake, what was altered, and the maps, each from its least to its most."""
    names = [name for name in shown[0][3] if name not in NOT_DRAWN]
    figure = Figure(figsize=(1.1 * (len(names) + 2), 1.25 * len(shown)), layout="constrained")
    for row, (category, fake, altered, maps) in zip(figure.subplots(len(shown), len(names) + 2), shown, strict=True):
        pictures = [fake, altered, *(maps[name] for name in names)]
        for axes, title, picture in zip(row, [category, "altered", *names], pictures, strict=True):
            axes.imshow(picture, cmap="plasma" if title in maps else "gray")
            axes.set_title(title, fontsize=6)
            axes.set_axis_off()
            if title in maps:
                axes.contour(altered, [0.5], colors="white", linewidths=0.7)
    return figure


def _blurred(frame: Frame) -> Frame:
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(8)))


def _logits(network: Network, frames: Frame) -> list[float]:
    with torch.inference_mode():
        parts = [network(torch.from_numpy(frames[at : at + BATCH])) for at in range(0, len(frames), BATCH)]
    return [float(logit) for logit in torch.cat(parts)]


def _enlarged(found: Map, size: int) -> Map:
    smooth = Image.fromarray(np.asarray(found, np.float32)).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(smooth, np.float64)


if __name__ == "__main__":
    run(main)

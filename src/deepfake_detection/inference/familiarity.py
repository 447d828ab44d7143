"""How unlike the training frames a frame looks, because a network cannot judge what it does not know.

Two measures tell. By the first, a frame is described by how much neighbouring pixels differ, at several scales, and its
distance from the training frames is Mahalanobis's. That is the scheme of Mittal, Soundararajan and Bovik 2013, "Making
a 'Completely Blind' Image Quality Analyzer", with simpler statistics. It knows no up and down. By the second, a linear
function of a thumbnail tells the training frames from themselves turned upside down and shuffled, as the deep networks
of Golan and El-Yaniv 2018 do, "Deep Anomaly Detection Using Geometric Transformations".
docs/concepts/unfamiliar-frames.md says what each of them finds.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.inference.logits import Predictor, on_device
from deepfake_detection.network.sidecar import FAMILIARITY

SCALES = (1, 2)  # pixels that are averaged to one, along each side
FLOOR = 1e-3  # of the full range; smaller differences than a quarter of a grey level are alike
SIDE = 12  # of a thumbnail, in pixels
FLAT = 0.02  # of the full range; a thumbnail of less contrast shows no layout


class Familiarity(nn.Module):
    """Maps frames, uint8 of shape (frames, height, width, 3), to how unlike the training frames they are.

    The result is of shape (frames,), in units of the limit: above 1 a frame is unfamiliar. It is the larger of two. The
    distance of a frame's statistics is in multiples of its limit, and what its layout says against it is a multiple on
    a logarithmic scale. ``mean`` has shape (statistics,), ``whitening`` (statistics, statistics), ``layout``
    (SIDE * SIDE,) and ``offset`` (1,).
    """

    mean: Tensor
    whitening: Tensor
    layout: Tensor
    offset: Tensor

    def __init__(self, mean: Tensor, whitening: Tensor, layout: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("whitening", whitening.float())
        self.register_buffer("layout", layout.float())
        self.register_buffer("offset", offset.float())

    def forward(self, frames: Tensor) -> Tensor:
        whitened = (frame_statistics(frames) - self.mean) @ self.whitening
        upset = torch.exp(frame_layout(frames) @ self.layout + self.offset)
        return torch.maximum(whitened.square().sum(1).sqrt(), upset)


def frame_statistics(frames: Tensor) -> Tensor:
    """How much neighbouring pixels differ, float32 of shape (frames, statistics).

    ``frames`` are as for Familiarity. The differences are along each side, at each of SCALES, of red, green, blue,
    their mean, and two differences of colours, which show what is left without brightness. Of each there is the
    logarithm of the mean and the mean of the logarithms: edges decide on the first, smooth areas on the second.
    """
    red, green, blue = (frames.float() / 255).permute(3, 0, 1, 2).contiguous()
    mixtures = (red, green, blue, (red + green + blue) / 3, red - green, (red + green) / 2 - blue)
    channels = torch.stack(mixtures, dim=1)
    means: list[Tensor] = []
    smooth: list[Tensor] = []
    for scale in SCALES:
        scaled = avg_pool2d(channels, scale)
        for differences in (scaled.diff(dim=3).abs(), scaled.diff(dim=2).abs()):
            means.append(torch.log(differences.mean((2, 3)) + FLOOR))
            smooth.append(torch.log(differences + FLOOR).mean((2, 3)))
    return torch.cat(means + smooth, dim=1)


def frame_layout(frames: Tensor) -> Tensor:
    """A grey thumbnail of SIDE x SIDE without its brightness and contrast, float32 of shape (frames, SIDE * SIDE).

    ``frames`` are as for Familiarity.
    """
    grey = frames.float().mean(3) / 255
    rows, columns = (_averages(int(size)) for size in grey.shape[1:])
    small = (rows @ grey @ columns.T).flatten(1)
    centred = small - small.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True).sqrt() + FLAT)


def _averages(size: int) -> Tensor:
    """The matrix of shape (SIDE, size) that averages ``size`` pixels to SIDE, which need not divide it."""
    ends, pixels = torch.arange(SIDE + 1) * (size / SIDE), torch.arange(size)
    shares = torch.minimum(ends[1:, None], pixels + 1) - torch.maximum(ends[:-1, None], pixels)
    return shares.clamp(min=0) * (SIDE / size)


def scoring(predict: Predictor | nn.Module, familiarity: Familiarity | None) -> Predictor:
    """What gives logits and unfamiliarity together, of shape (frames, 2), or without ``familiarity`` logits alone."""
    predict = on_device(predict) if isinstance(predict, nn.Module) else predict
    if familiarity is None:
        return predict
    return lambda frames: torch.stack([predict(frames), familiarity(frames)], dim=1)


def familiarity_file(checkpoint: Path) -> Path:
    """The file beside a checkpoint that holds its Familiarity."""
    return checkpoint.with_suffix(FAMILIARITY)


def save_familiarity(path: Path, familiarity: Familiarity | None) -> None:
    """Writes the file beside a checkpoint; without a ``familiarity`` a file that holds nothing."""
    state = {} if familiarity is None else familiarity.state_dict()
    with replacing(path) as (part,):
        part.write_bytes(save({name: value.contiguous() for name, value in state.items()}))


def load_familiarity(path: Path) -> Familiarity:
    """Reads what ``save_familiarity`` wrote. Raises UserError when the file is missing or holds something else."""
    try:
        state = load(path.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"{path}: not there, although the JSON file beside the checkpoint has `familiarity`: copy it along, or run "
            "`dvc repro calibrate`"
        ) from None
    except SafetensorError:
        state = {}
    empty = torch.zeros(1, 2 * max(SCALES), 2 * max(SCALES), 3, dtype=torch.uint8)
    statistics, layout = frame_statistics(empty).shape[1], frame_layout(empty).shape[1]
    shapes = {"mean": (statistics,), "whitening": (statistics, statistics), "layout": (layout,), "offset": (1,)}
    if {name: tuple(value.shape) for name, value in state.items()} != shapes:
        raise UserError(
            f"{path}: not what the calibrate stage of this version writes; copy it again, or run `dvc repro calibrate`"
        )
    if not all(value.is_floating_point() and value.isfinite().all() for value in state.values()):
        raise UserError(f"{path}: damaged; copy it again, or run `dvc repro calibrate`")
    return Familiarity(**state)

"""How unlike the training frames a frame looks, because a network cannot judge what it does not know.

A frame is described by how much neighbouring pixels differ, at several scales, and its distance from the training
frames is Mahalanobis's. That is the scheme of Mittal, Soundararajan and Bovik 2013, "Making a 'Completely Blind' Image
Quality Analyzer", with simpler statistics. They show the camera, the codec and the sharpness of a picture.
docs/concepts/unfamiliar-frames.md compares them with measures that look at the network's layers.
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


class Familiarity(nn.Module):
    """Maps frames, uint8 of shape (frames, height, width, 3), to how unlike the training frames they are.

    The result is of shape (frames,), in units of the limit: above 1 a frame is unfamiliar. ``mean`` has shape
    (statistics,), ``whitening`` has shape (statistics, statistics).
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, mean: Tensor, whitening: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("whitening", whitening.float())

    def forward(self, frames: Tensor) -> Tensor:
        whitened = (frame_statistics(frames) - self.mean) @ self.whitening
        return whitened.square().sum(1).sqrt()


def frame_statistics(frames: Tensor) -> Tensor:
    """Logarithms of the mean absolute differences of neighbouring pixels, float32 of shape (frames, statistics).

    ``frames`` are as for Familiarity. The differences are along each side, at each of SCALES, of red, green, blue,
    their mean, and two differences of colours, which show what is left without brightness.
    """
    red, green, blue = (frames.float() / 255).permute(3, 0, 1, 2).contiguous()
    mixtures = (red, green, blue, (red + green + blue) / 3, red - green, (red + green) / 2 - blue)
    channels = torch.stack(mixtures, dim=1)
    found: list[Tensor] = []
    for scale in SCALES:
        scaled = avg_pool2d(channels, scale)
        for differences in (scaled.diff(dim=3), scaled.diff(dim=2)):
            found.append(torch.log(differences.abs().mean((2, 3)) + FLOOR))
    return torch.cat(found, dim=1)


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
    shape = frame_statistics(torch.zeros(1, 4, 4, 3, dtype=torch.uint8)).shape[1:]
    mean, whitening = state.get("mean"), state.get("whitening")
    if mean is None or whitening is None or mean.shape != shape or whitening.shape != shape * 2:
        raise UserError(f"{path}: not what the calibrate stage writes; copy it again, or run `dvc repro calibrate`")
    if not all(value.is_floating_point() and value.isfinite().all() for value in state.values()):
        raise UserError(f"{path}: damaged; copy it again, or run `dvc repro calibrate`")
    return Familiarity(mean, whitening)

"""The input path and training step of the original write-up, from its description. `input` and `train` use them.

The write-up says: frames resized to 224 px, RandomHorizontalFlip, RandomRotation, ColorJitter, Normalize, in a
custom data set that opens the frame's file in every epoch; float32, batches of 16, Adam, BCEWithLogitsLoss, a
DataLoader with 2 workers and pinned memory, cudnn deterministic. ``literal`` follows it word for word: it decodes
the frame, makes a float tensor of the whole frame, then applies every transform to that. ``pil_first`` is the other
common reading: torchvision's transforms on the decoded picture, and a tensor at the end. Both decode all 1280x720
pixels again for each sample. Both rotate by the nearest pixel, RandomRotation's default, which is less work than
our bilinear rotation.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from deepfake_detection.network.normalise import MEAN, STD

FRAME = (1280, 720)
BATCH_SIZE, WORKERS, LR = 16, 2, 1e-4

Transform = Callable[[Image.Image], Tensor]


def literal(size: int) -> Transform:
    """Applies every transform to a float32 tensor of the whole frame."""
    to_float = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    transform: Transform = v2.Compose([*to_float, *_augmentations(size), v2.Normalize(MEAN, STD)])
    return transform


def pil_first(size: int) -> Transform:
    """Applies the transforms to the Pillow picture, and makes a float32 tensor at the end."""
    to_float = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    transform: Transform = v2.Compose([*_augmentations(size), *to_float, v2.Normalize(MEAN, STD)])
    return transform


def _augmentations(size: int) -> list[v2.Transform]:
    jitter = v2.ColorJitter(brightness=0.1, contrast=0.1)
    return [v2.Resize((size, size)), v2.RandomHorizontalFlip(), v2.RandomRotation(5), jitter]


class RecipeFrames(Dataset[tuple[Tensor, Tensor]]):
    """Opens, decodes and transforms a file each time it is requested."""

    def __init__(self, paths: Sequence[Path], transform: Transform) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        with Image.open(self.paths[item]) as image:
            return self.transform(image.convert("RGB")), torch.tensor(float(item % 2))


def recipe_loader(paths: Sequence[Path], size: int) -> DataLoader[tuple[Tensor, Tensor]]:
    """The write-up's loader: shuffled, two workers, pinned memory if there is a GPU to copy to."""
    frames = RecipeFrames(paths, literal(size))
    return DataLoader(frames, BATCH_SIZE, shuffle=True, num_workers=WORKERS, pin_memory=torch.cuda.is_available())


def recipe_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor]) -> float:
    """Runs one training step and returns its loss, which the write-up adds up for its epoch metrics."""
    device = next(model.parameters()).device
    frames, labels = (part.to(device) for part in batch)
    optimizer.zero_grad()
    loss: Tensor = nn.functional.binary_cross_entropy_with_logits(model(frames).squeeze(1), labels)
    torch.autograd.backward(loss)
    optimizer.step()
    return loss.item()


def write_frames(folder: Path, count: int) -> list[Path]:
    """Writes ``count`` JPEGs of 1280x720: smooth colours with a camera's noise, about 170 kB each."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{number:04d}.jpg" for number in range(count)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (23, 40, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(FRAME, Image.Resampling.BICUBIC), np.float32)
        noisy = smooth + rng.normal(0, 2, smooth.shape[:2]).astype(np.float32)[..., None]
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return paths

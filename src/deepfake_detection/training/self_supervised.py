"""Self-supervised training of the backbone: two frames of a video are to have the same features.

Chen and He 2021, "Exploring Simple Siamese Representation Learning" (SimSiam); Grill et al. 2020, "Bootstrap Your Own
Latent" (BYOL). Losses and heads are those of the package lightly. Elsewhere the two views are two crops of one picture
in other colours. Here they are two frames of a video whose traces of a manipulation must survive: they keep their hues,
and one draw of blur, noise, scaling and compression is applied to both.
"""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules import (
    BYOLPredictionHead,
    BYOLProjectionHead,
    SimSiamPredictionHead,
    SimSiamProjectionHead,
)
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.utils.scheduler import cosine_schedule
from pytorch_lightning import seed_everything
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, Dataset

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.progress import progress
from deepfake_detection.frames.dataset import Frame, derive_seed
from deepfake_detection.frames.prepared import Pixels
from deepfake_detection.network.allocator import keep_freed_memory, use_threads
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.network.weights import read_weights, save_backbone
from deepfake_detection.params.train_sections import Augment, Pretrain
from deepfake_detection.training.augment import apply_augmentation, draw_augmentation
from deepfake_detection.training.effects import apply_effects
from deepfake_detection.training.runs import starting_file

MOMENTUM = 0.996  # of BYOL's second network at the start; 1 at the end


class Source(NamedTuple):
    """Frames, and the rows of the index to take; its index numbers them."""

    pixels: Pixels
    rows: pd.DataFrame


class VideoPairs(Dataset[tuple[Tensor, Tensor]]):
    """Two views of each video, uint8 of shape (size, size, 3) each; a video of one frame gives two views of it.

    The random numbers depend only on the seed, the epoch and the video.
    """

    def __init__(self, sources: list[Source], augment: Augment, seed: int, epoch: int) -> None:
        self.sources, self.seed, self.epoch = sources, seed, epoch
        # no hue and no grey, because colours show how a face was blended in
        self.augment = augment.model_copy(update={"hue": augment.hue.model_copy(update={"p": 0.0}), "grey": 0.0})
        keys = ["dataset", "category", "video_id", "source_id"]
        self.videos = [
            (number, rows.index.to_numpy())
            for number, source in enumerate(sources)
            for _, rows in source.rows.groupby(keys, sort=True, dropna=False)
        ]

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        number, frames = self.videos[item]
        rng = np.random.default_rng(derive_seed(self.seed, self.epoch, item))
        chosen = rng.choice(frames, 2, replace=len(frames) < 2)
        effects = int(rng.integers(2**32))
        first, second = (self._view(self.sources[number].pixels[frame].copy(), rng, effects) for frame in chosen)
        return torch.from_numpy(first), torch.from_numpy(second)

    def _view(self, frame: Frame, rng: np.random.Generator, effects: int) -> Frame:
        frame = apply_augmentation(frame, draw_augmentation(self.augment, rng))
        return apply_effects(self.augment, frame, np.random.default_rng(effects))


def pretrain_backbone(
    arch: str, method: str, own: Pretrain, augment: Augment, threads: int, sources: list[Source], to: Path
) -> dict[str, Any]:
    """Trains the backbone as ``own`` says, the entry pretrain.<method>, and writes it. Returns what ``pretrain`` does.

    Raises UserError as ``pretrain`` does, or when the weights to start from do not fit.
    """
    weights = starting_file(arch, own.weights, f"pretrain.{method}.weights")
    use_threads(threads)
    keep_freed_memory()
    seed_everything(own.seed, workers=True, verbose=False)
    network = build_model(arch, 0.0, weights)
    summary = pretrain(network, sources, augment, method, own)
    with replacing(to) as (part,):
        scratch = weights is None or read_weights(weights).scratch
        save_backbone(part, network.efficientnet, network.variant, scratch)
    return summary


def pretrain(network: Network, sources: list[Source], augment: Augment, name: str, params: Pretrain) -> dict[str, Any]:
    """Trains the backbone of ``network`` on the accelerator, or else the CPU. Uses torch's random numbers.

    ``name`` is that of a method in METHODS.

    Returns the last epoch's mean loss, from -1 to 1, and ``spread``: the standard deviation of the normalised
    projections times the root of their number. 1 is spread evenly; near 0 all frames have become the same, which is
    how such training fails (Chen and He, section 4.1). Raises UserError when there are fewer than two videos.
    """
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    pairs = VideoPairs(sources, augment, params.seed, 0)
    batch_size = min(params.batch_size, len(pairs))
    if batch_size < 2:
        raise UserError("pretrain: two videos or more are needed")
    steps = params.epochs * (len(pairs) // batch_size)
    method = METHODS[name](network.width)
    whole = nn.ModuleDict({"network": network, "method": method}).to(device).train()
    # as in both papers, whose rate is for 256 frames a step
    optimizer = torch.optim.SGD(whole.parameters(), params.lr * batch_size / 256, momentum=0.9, weight_decay=1e-4)
    schedule = CosineAnnealingLR(optimizer, steps)
    losses, spreads, step = list[float](), list[float](), 0
    with progress(title="pretraining", total=steps, unit="step") as bar:
        for epoch in range(params.epochs):
            views = VideoPairs(sources, augment, params.seed, epoch)
            order = np.random.default_rng(derive_seed(params.seed, epoch)).permutation(len(views)).tolist()
            losses, spreads = [], []
            for first, second in DataLoader(views, batch_size, sampler=order, drop_last=True):
                loss, projected = method.loss(network, first.to(device), second.to(device), step / steps)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                losses.append(float(loss.detach()))
                spreads.append(float(normalize(projected).std(0).mean() * projected.shape[1] ** 0.5))
                step += 1
                bar.update()
    network.cpu()
    return {"loss": float(np.mean(losses)), "spread": float(np.mean(spreads)), "videos": len(pairs), "steps": steps}


class SimSiam(nn.Module):
    """Predicts the projection of one view from that of the other, through which no gradient flows."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = SimSiamProjectionHead(width, 2048, 2048)
        self.predict = SimSiamPredictionHead(2048, 512, 2048)
        self.distance = NegativeCosineSimilarity()

    def loss(self, network: Network, first: Tensor, second: Tensor, done: float) -> tuple[Tensor, Tensor]:
        """The loss of two batches of views, and the projections of the first. ``done`` is the share of the run."""
        one, two = (self.project(network.features(frames)) for frames in (first, second))
        loss = self.distance(self.predict(one), two.detach()) + self.distance(self.predict(two), one.detach())
        return loss / 2, one.detach()


class Byol(nn.Module):
    """Predicts the projection of one view, by a slowly following copy of the network, from that of the other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project, self.predict = BYOLProjectionHead(width, 4096, 256), BYOLPredictionHead(256, 4096, 256)
        self.distance = NegativeCosineSimilarity()
        self.follower: Network | None = None
        self.following = copy.deepcopy(self.project)
        deactivate_requires_grad(self.following)

    def loss(self, network: Network, first: Tensor, second: Tensor, done: float) -> tuple[Tensor, Tensor]:
        """As ``SimSiam.loss``."""
        if self.follower is None:
            self.follower = copy.deepcopy(network)
            deactivate_requires_grad(self.follower)
        momentum = cosine_schedule(round(done * 10**6), 10**6, MOMENTUM, 1)
        update_momentum(network, self.follower, momentum)
        update_momentum(self.project, self.following, momentum)
        one, two = (self.project(network.features(frames)) for frames in (first, second))
        with torch.no_grad():
            wanted = [self.following(self.follower.features(frames)) for frames in (first, second)]
        loss = self.distance(self.predict(one), wanted[1]) + self.distance(self.predict(two), wanted[0])
        return loss / 2, one.detach()


METHODS: dict[str, type[SimSiam] | type[Byol]] = {"simsiam": SimSiam, "byol": Byol}

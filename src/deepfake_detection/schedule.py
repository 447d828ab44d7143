"""The learning rate, step by step."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR

from deepfake_detection.params import Train


def lr_schedule(optimizer: Optimizer, params: Train, steps: int) -> LRScheduler | None:
    """A linear warm-up, then a constant rate or half a cosine that reaches 0 after ``steps``, the whole run's.

    Goyal et al. 2017, "Accurate, Large Minibatch SGD" (warm-up); Loshchilov and Hutter 2017, "SGDR" (cosine).
    """
    rising = round(steps * params.warmup_epochs / params.epochs)
    parts: list[LRScheduler] = []
    if rising:
        parts.append(LinearLR(optimizer, 1 / (rising + 1), total_iters=rising))
    if params.schedule == "cosine":
        parts.append(CosineAnnealingLR(optimizer, max(steps - rising, 1)))
    return SequentialLR(optimizer, parts, [rising]) if len(parts) == 2 else next(iter(parts), None)

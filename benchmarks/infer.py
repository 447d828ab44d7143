"""Prediction at test time: every backend of ``evaluate.backend`` that runs here, against eager float32.

The reference is what an engineer would write first: the model in evaluation mode, contiguous, with separate batch
norm layers, under inference_mode, in batches of --batch-size. Both sides start from the same uint8 frames and end
with logits. The frames are drawn faces that were never trained on; int8 is calibrated on others. ``ratio`` is that
of the backend that ``auto`` would take: the fastest whose AUROC on the calibration frames falls by less than 0.002.
Decisions use the checkpoint's threshold.
"""

import copy
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks import default_malloc, in_turn, machine, prepare
from deepfake_detection.common.errors import UserError
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.backends import BACKENDS, choose_backend
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.logits import Predictor, predict_logits
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.sources.drawn.drawing import generate
from stages import run


def command_line() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two cores, under three minutes")
    parser.add_argument("--arch", default="efficientnet_b7")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=16, help="of both sides; the original recipe's")
    parser.add_argument("--frames", type=int, help="whose decisions are compared (500; quick: 64)")
    parser.add_argument("--rounds", type=int, help="in which both sides are timed (9; quick: 3)")
    options = parser.parse_args()
    options.frames = options.frames or (64 if options.quick else 500)
    options.rounds = options.rounds or (3 if options.quick else 9)
    return options


def drawn_frames(count: int, size: int, seed: int) -> FrameDataset:
    """``count`` frames, about half originals and half deepfakes, prepared as the pipeline does."""
    with TemporaryDirectory() as name:
        root = Path(name)
        generate(root, ["Original", "Deepfakes"], identities=2 * -(-count // 20), frames=5, size=size, seed=seed)
        paths = sorted(root.rglob("*.jpg"))
        index = prepare(paths, [int("Deepfakes" in path.parts) for path in paths], root / "prepared", size)
        pixels = np.load(root / "prepared.npy")
    # in an order that mixes the classes, so that no batch has only one class
    return FrameDataset(pixels, index.sample(count, random_state=seed))


def trained_model(arch: str) -> tuple[Network, float]:
    """The pipeline's checkpoint, or random weights if there is none, with the threshold as a logit."""
    path = Path(f"models/best_model_{arch}.pth")
    if not path.exists():
        print(f"{path} is not there: random weights, whose decisions and AUROC say nothing")
        return build_model(arch, dropout=0.0).eval(), 0.0
    model, sidecar, _ = load_checkpoint(path)
    threshold = sidecar.frame.threshold
    return model, sidecar.frame.temperature * float(np.log(threshold / (1 - threshold)))


def eager(model: Network) -> Predictor:
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    plain = copy.deepcopy(model).eval().to(device).to(memory_format=torch.contiguous_format)

    def predict(batch: Tensor) -> Tensor:
        with torch.inference_mode(), default_malloc():
            logits: Tensor = plain.efficientnet(plain.normalise(batch.to(device)).contiguous()).squeeze(1).cpu()
        return logits

    return predict


def main() -> None:
    options = command_line()
    keep_freed_memory()
    print(machine())
    print(f"{options.arch}, {options.image_size} px, batches of {options.batch_size}, {options.frames} frames compared")
    model, threshold = trained_model(options.arch)
    validation = drawn_frames(32 if options.quick else 300, options.image_size, seed=1)
    test = drawn_frames(options.frames, options.image_size, seed=2)
    reference = eager(model)
    exact = predict_logits(reference, test, options.batch_size)
    exact_auroc = roc_auc_score(test.labels, exact)
    batch = torch.stack([test[item % len(test)][0] for item in range(options.batch_size)])
    rows = {}
    for name in BACKENDS:
        try:
            predict = choose_backend(name, model, validation, options.batch_size)
        except UserError as error:
            print(f"{name}: left out: {error}")
            continue
        if predict is model:  # refused, because it lost too much AUROC
            continue
        logits = predict_logits(cast(Predictor, predict), test, options.batch_size)
        theirs, ours = in_turn(options.rounds, partial(reference, batch), partial(predict, batch))
        rows[name] = {
            "eager frames/s": options.batch_size / theirs,
            "frames/s": options.batch_size / ours,
            "ratio": theirs / ours,
            "largest logit difference": np.abs(logits - exact).max(),
            "decisions that differ": int(((logits >= threshold) != (exact >= threshold)).sum()),
            "AUROC": roc_auc_score(test.labels, logits),
            "AUROC lost": exact_auroc - roc_auc_score(test.labels, logits),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    print(f"eager float32: AUROC {exact_auroc:.4f}, standard deviation of the logits {exact.std():.3f}")
    print(table.to_string(float_format="{:.4g}".format))
    print(f"auto takes {table['ratio'].idxmax()}")
    print(f"ratio: {table['ratio'].max():.2f}")


if __name__ == "__main__":
    run(main)

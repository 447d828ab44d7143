"""Prediction at test time: every backend of ``evaluate.backend`` that runs here, and two more, against eager float32.

The reference is what an engineer would write first: the model in evaluation mode, contiguous, with separate batch
norm layers, under inference_mode, in batches of --batch-size. Both sides start from the same uint8 frames and end
with logits. The frames are drawn faces that were never trained on; int8 is calibrated on others. ``ratio`` is that
of the backend that ``auto`` would take: the fastest whose AUROC on the calibration frames falls by less than 0.002.
Decisions use the checkpoint's threshold, and the log10 of the likelihood ratio its calibration.

The two that the product does not have: torch.compile with frozen weights, which takes minutes to compile, and int8 with
the first and the last layer in float32.
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
from deepfake_detection.inference.backends import BACKENDS, choose_backend, folded
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.logits import Predictor, on_device, predict_logits
from deepfake_detection.inference.openvino import compiled, converted, import_openvino, quantised
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.model import Network
from deepfake_detection.sources.drawn.drawing import generate
from stages import run


def command_line() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two cores, under three minutes")
    parser.add_argument("--checkpoint", type=Path, default=Path("models/best_model_efficientnet_b7.pth"))
    parser.add_argument("--image-size", type=int, help="of the frames (the checkpoint's)")
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


def eager(model: Network) -> Predictor:
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    plain = copy.deepcopy(model).eval().to(device).to(memory_format=torch.contiguous_format)

    def predict(batch: Tensor) -> Tensor:
        with torch.inference_mode(), default_malloc():
            logits: Tensor = plain.efficientnet(plain.normalise(batch.to(device)).contiguous()).squeeze(1).cpu()
        return logits

    return predict


def torch_compiled(model: Network, _: FrameDataset) -> Predictor:
    """Compiled by torch, with weights that cannot change."""
    return on_device(cast(Network, torch.compile(folded(model), options={"freezing": True})))


def int8_between_ends(model: Network, frames: FrameDataset) -> Predictor:
    """Like openvino_int8, but the first and the last layer stay in float32."""
    import_openvino()
    import nncf

    plain = converted(model, frames)
    layers = [each.get_friendly_name() for each in plain.get_ordered_ops() if each.get_type_name() in WEIGHTED]
    ends = nncf.IgnoredScope(names=[layers[0], layers[-1]])
    return compiled(
        quantised(plain, [frames[item][0].numpy() for item in range(len(frames))], ignored_scope=ends), "f32"
    )


FURTHER = {"torch.compile, frozen": torch_compiled, "openvino-int8, ends in float": int8_between_ends}
WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")


def main() -> None:
    options = command_line()
    keep_freed_memory()
    print(machine())
    model, sidecar, _ = load_checkpoint(options.checkpoint)
    size = options.image_size or sidecar.input_size[0]
    name, frame = options.checkpoint.name, sidecar.frame
    print(f"{name}, {size} px, batches of {options.batch_size}, {options.frames} frames compared")
    threshold = frame.temperature * (float(np.log(frame.threshold / (1 - frame.threshold))) - frame.bias)
    validation = drawn_frames(32 if options.quick else 300, size, seed=1)
    test = drawn_frames(options.frames, size, seed=2)
    reference = eager(model)
    exact = predict_logits(reference, test, options.batch_size)
    exact_auroc = roc_auc_score(test.labels, exact)
    batch = torch.stack([test[item % len(test)][0] for item in range(options.batch_size)])
    rows = {}
    for name in (*BACKENDS, *FURTHER):
        try:
            if name in FURTHER:
                predict: Predictor | Network = FURTHER[name](model, validation)
            else:
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
            "largest shift of log10 LR": np.abs(logits - exact).max() / frame.temperature / np.log(10),
            "decisions that differ": int(((logits >= threshold) != (exact >= threshold)).sum()),
            "AUROC": roc_auc_score(test.labels, logits),
            "AUROC lost": exact_auroc - roc_auc_score(test.labels, logits),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    print(f"eager float32: AUROC {exact_auroc:.4f}, standard deviation of the logits {exact.std():.3f}")
    print(table.to_string(float_format="{:.4g}".format))
    ratios = table.loc[[name for name in table.index if name in BACKENDS], "ratio"]
    print(f"auto takes {ratios.idxmax()}")
    print(f"ratio: {ratios.max():.2f}")


if __name__ == "__main__":
    run(main)

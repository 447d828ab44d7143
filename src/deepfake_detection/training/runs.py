"""A whole run: from the prepared frames and the weights to start from to the network of the best epoch."""

from pathlib import Path
from typing import Any

import pandas as pd
from pytorch_lightning import seed_everything

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_csv
from deepfake_detection.common.lite0 import LITE0, lite0_weights
from deepfake_detection.network.allocator import use_threads
from deepfake_detection.network.model import Network, add_level, add_where, build_model, drop_level
from deepfake_detection.network.sidecar import adopting, read_sidecar
from deepfake_detection.params.train_sections import Model, Train
from deepfake_detection.training.classifier import EpochLog
from deepfake_detection.training.distillation import load_teacher
from deepfake_detection.training.fit import fit
from deepfake_detection.training.loader import FrameBatches

COLUMNS = ["epoch", *(f"{side}_{name}" for name in ("loss", "accuracy", "auroc") for side in ("train", "val"))]


def train_network(
    model: Model,
    train: Train,
    crop: tuple[str, float],
    batches: FrameBatches,
    weights: Path | None,
    on_epoch: EpochLog | None = None,
    state: Path | None = None,
) -> tuple[Network, dict[str, Any]] | None:
    """Trains a network as the sections ``model`` and ``train`` say, from ``weights`` or from scratch.

    ``crop`` has the values of prepare.crop and prepare.margin, which a teacher must share.
    With ``epochs`` of 0 it is the trained network in ``weights`` as it is, see ``adopt_network``.
    Returns the network of the best epoch, with one logit, and the summary of ``fit``, which also says what ``on_epoch``
    and ``state`` are for. Of several processes all but the first return None. Raises UserError as ``fit`` does, or when
    the weights or the teacher do not fit.
    """
    if not train.epochs:
        return adopt_network(model, crop, batches.pixels.shape[1], weights)
    use_threads(train.threads)
    seed_everything(train.seed, workers=True, verbose=False)
    network = build_model(model.arch, model.dropout, weights)
    if train.method == "nested":
        add_level(network)
    if train.localise:
        add_where(network)
    teacher = load_teacher(train.teacher, *crop)
    if (fitted := fit(network, batches, train, on_epoch, state, teacher)) is None:
        return None
    best, summary = fitted
    network.load_state_dict(best)
    if train.method == "nested":
        drop_level(network)
    return network, summary


def adopt_network(
    model: Model, crop: tuple[str, float], size: int, weights: Path | None
) -> tuple[Network, dict[str, Any]]:
    """The trained network in the file ``weights`` as it is, and what ``train_network`` says of a run, of no epochs.

    ``crop`` is as for ``train_network``, ``size`` that of the prepared frames. Raises UserError unless the file beside
    the checkpoint ``model.weights`` says the same.
    """
    if model.weights in ("none", "imagenet"):
        raise UserError(f"train.epochs: 0 takes a trained network as it is, and model.weights is {model.weights}")
    sidecar = read_sidecar(Path(model.weights).with_suffix(".json"))
    given = {"prepare.crop": crop[0], "prepare.margin": crop[1], "prepare.image_size": size}
    if any(given[key] != value for key, value in sidecar.prepared.items()) or model.arch != sidecar.arch:
        raise UserError(f"model.weights: {model.weights} is not for frames as prepared here: {adopting(sidecar)}")
    network = build_model(model.arch, model.dropout, weights, trained=True)
    return network, {"best_epoch": 0, "epochs_run": 0, "early_stopped": False}


def starting_file(arch: str, weights: str, key: str) -> Path | None:
    """The file that ``weights``, the value of ``key``, refers to without a download: none, or Lite0's, or a path."""
    if weights == "imagenet" and arch != LITE0:
        raise UserError(f"{key}: imagenet is for {LITE0} alone, whose weights are a package; name a file of weights")
    if weights == "imagenet":
        return lite0_weights()
    return None if weights == "none" else Path(weights)


def epoch_log(curves: Path) -> EpochLog:
    """A function that prints an epoch's values and writes those of all epochs so far to the table ``curves``."""
    epochs: list[dict[str, float]] = []
    write_csv(curves, pd.DataFrame(columns=COLUMNS))

    def log(values: dict[str, float]) -> None:
        epochs.append({"epoch": len(epochs), **values})
        print(", ".join(f"{name} {value:.4f}" for name, value in values.items()), flush=True)
        write_csv(curves, pd.DataFrame(epochs)[COLUMNS])

    return log

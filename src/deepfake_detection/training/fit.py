"""Fine-tunes the network, backbone and head, with Lightning's Trainer."""

import logging
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.model import Network
from deepfake_detection.params.train_sections import Train
from deepfake_detection.training.captured_steps import CaptureSteps
from deepfake_detection.training.classifier import EpochLog, FrameClassifier
from deepfake_detection.training.distillation import Teacher
from deepfake_detection.training.distributed import SyncBatchNormOnCpu, check_launcher, slurm_environment
from deepfake_detection.training.epoch_bar import EpochProgress
from deepfake_detection.training.loader import BATCH_ON_CPU, FrameBatches
from deepfake_detection.training.memory import find_batch_size, peak_memory, recompute_activations
from deepfake_detection.training.resume import BEST, LAST, AtomicCheckpoints, SaveOnSigterm


@contextmanager
def _without_tips() -> Iterator[None]:
    """Hides Lightning's tips, which are advertisements, and restores what shows them at the end.

    Its warnings are still shown, except one about its own code and one about a checkpoint folder that is not empty,
    which is intended here, as is what torch warns of in a captured step.
    """
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    with warnings.catch_warnings():
        logger.setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec", module="pytorch_lightning")
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        # a capture's gradients are of another stream than the loss's, which autograd waits for
        warnings.filterwarnings("ignore", message="The AccumulateGrad node's stream does not match")
        try:
            yield
        finally:
            logger.setLevel(level)


@_without_tips()
def fit(
    model: Network,
    batches: FrameBatches,
    params: Train,
    on_epoch: EpochLog | None = None,
    state: Path | None = None,
    teacher: Teacher | None = None,
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Trains to the best validation loss or AUROC on the accelerator, deterministically if ``params`` says so.

    ``on_epoch`` is called after each epoch with its train_ and val_ loss, accuracy and auroc. If ``state`` is given, a
    checkpoint is saved in that folder after each epoch and when SIGTERM ends the run. The next call of the same run
    resumes from it. On a CPU the result is then the same to the byte as if nothing had stopped the run.
    With a ``teacher`` the network also learns from its logits.
    The best epoch is the one with the best ``params.monitor``. Returns its state_dict and a summary: the best epoch
    (from 0) with its losses, accuracies and AUROCs, the number of epochs run, and whether training stopped early. With
    batch_size auto the summary also has the size found. When several processes train, the first returns this and the
    others return None.
    Raises UserError when the devices are not available, when the frames do not divide among them, when the AUROC is to
    be monitored but the validation frames are all of one class, or when a loss is not finite. On a CPU the process
    keeps freed memory from then on. Not for several threads at a time.
    """
    shared: dict[str, Any] = {
        "precision": fast_precision() if params.precision == "auto" else params.precision,
        "deterministic": params.deterministic,
        "benchmark": not params.deterministic,
        "logger": False,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        "enable_progress_bar": False,  # EpochProgress takes the place of Lightning's
    }
    # off, because this safeguard against reading uninitialised memory fills each new tensor in every step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if on_cpu := not torch.accelerator.is_available():
        keep_freed_memory()
    mode = "max" if params.monitor == "val_auroc" else "min"
    if params.monitor == "val_auroc" and batches.val_rows["label"].nunique() < 2:
        raise UserError(
            "train.monitor: val_auroc is undefined, because the validation frames are all of one class: set val_loss, "
            "or raise split.val"
        )
    stopping = EarlyStopping(params.monitor, patience=params.patience, mode=mode)
    # not EMAWeightAveraging: rounding in its sum of products would change constants, but lerp keeps them
    average = get_ema_multi_avg_fn(params.ema)  # type: ignore[no-untyped-call]
    averaging = [WeightAveraging(multi_avg_fn=average)] if params.ema else []
    capturing = [CaptureSteps()] if params.compile == "graph" else []
    plugins: list[Any] = [AtomicCheckpoints()]
    plugins += [SyncBatchNormOnCpu()] if on_cpu else []
    plugins += slurm_environment()
    with nullcontext(state) if state else tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # one file each, replaced by later epochs; Lightning saves averaged weights only in full checkpoints
        best, last = (
            ModelCheckpoint(
                folder, Path(file).stem, monitor, mode=mode, save_weights_only=weights, enable_version_counter=False
            )
            for file, monitor, weights in ((BEST, params.monitor, not averaging), (LAST, None, False))
        )
        try:
            trainer = pl.Trainer(
                max_epochs=params.epochs,
                max_steps=params.max_steps or -1,
                devices=params.devices,
                num_nodes=params.num_nodes,
                accumulate_grad_batches=params.accumulate,
                gradient_clip_val=params.clip_norm or None,
                sync_batchnorm=not on_cpu,
                plugins=plugins,
                use_distributed_sampler=False,  # FrameBatches shares the frames and serves none twice
                callbacks=[stopping, best, last, *averaging, *capturing, SaveOnSigterm(folder / LAST), EpochProgress()],
                # a new data set each epoch, because augmentations depend on the number of the epoch
                reload_dataloaders_every_n_epochs=1,
                **shared,
            )
        except (MisconfigurationException, RuntimeError) as error:  # from Lightning, about devices, Slurm or precision
            raise UserError(f"train.devices: {' '.join(str(error).split())}") from None
        check_launcher(trainer.world_size)
        if params.checkpoint_activations:
            recompute_activations(model)
        classifier = FrameClassifier(model, params, batches.seed, on_epoch, teacher)
        batch_size = choose_batch_size(classifier, batches, trainer.world_size, shared)
        if params.compile not in ("none", "graph"):
            model.compile(mode=params.compile)
        from_state = folder / LAST if (folder / LAST).exists() else None
        if trainer.is_global_zero:
            if from_state:
                print(f"going on from {from_state}", flush=True)
            print(
                f"training on {trainer.world_size} x {trainer.strategy.root_device.type}: "
                f"{len(batches.train_rows)} frames, {len(batches.val_rows)} to validate, {batch_size} a step",
                flush=True,
            )
        try:
            trainer.fit(classifier, batches, ckpt_path=from_state, weights_only=True)
        except SIGTERMException:
            print("stopped by SIGTERM: the same run goes on from here", flush=True)
            sys.exit(128 + signal.SIGTERM)
        if not trainer.is_global_zero:
            return None
        print(f"peak memory: {peak_memory(trainer.strategy.root_device) / 2**30:.2f} GiB", flush=True)
        kept = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    prefix = "model."
    weights = {
        name.removeprefix(prefix): value for name, value in kept["state_dict"].items() if name.startswith(prefix)
    }
    summary = {
        "best_epoch": kept["epoch"],
        **classifier.history[kept["epoch"]],
        "epochs_run": len(classifier.history),
        "early_stopped": stopping.stopped_epoch > 0,
    }
    return weights, summary | ({"batch_size": batch_size} if params.batch_size == "auto" else {})


def choose_batch_size(
    classifier: FrameClassifier, batches: FrameBatches, world_size: int, settings: dict[str, Any]
) -> int:
    """Returns the number of frames of one optimiser step, given or found, and sets the micro-batch size of ``batches``.

    Raises UserError when the frames do not divide evenly.
    """
    params = batches.params
    if params.batch_size == "auto":
        if world_size > 1:
            raise UserError(
                "train.batch_size: auto finds what one device holds; with several find it with train.devices=1 "
                "and train.num_nodes=1, then set that number times the devices"
            )
        if torch.cuda.is_available():
            found = find_batch_size(classifier, batches, "micro_batch_size", **settings)
            if params.compile == "graph":  # whose memory other batches cannot use, such as a short last one
                found = max(found // 2, 2)
            batches.micro_batch_size = min(found, len(batches.train_rows) // params.accumulate)
        else:
            print(f"batch_size auto: a CPU's memory gives no measure, {BATCH_ON_CPU} frames are taken", flush=True)
        batch_size = batches.micro_batch_size * params.accumulate
    else:
        batch_size = params.batch_size
    batches.micro_batch_size, rest = divmod(batch_size, world_size * params.accumulate)
    if rest or batch_size < 2 * params.accumulate:
        raise UserError(
            f"train.batch_size: {batch_size} frames cannot be shared by {world_size} devices in {params.accumulate} "
            "parts each: it must be a multiple of both together, with 2 frames or more in a part of all devices"
        )
    if min(len(batches.train_rows), len(batches.val_rows)) < world_size:
        raise UserError(f"train.devices: fewer frames to train on or to validate than the {world_size} devices")
    return batch_size


def fast_precision() -> str:
    """Lightning's name of the fastest precision that the device computes in hardware.

    On a GPU this is bf16, or fp16 with scaled losses if the GPU only emulates bf16. On a CPU it is bf16 if the CPU
    multiplies matrices in bf16 (AMX), and float32 otherwise. With only AVX-512's bf16 instructions, B7 trains and
    predicts more slowly in bf16 than in float32 (``python -m benchmarks.train``).
    """
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    fast = not torch.accelerator.is_available() and torch.cpu.get_capabilities().get("amx_bf16")
    return "bf16-mixed" if fast else "32-true"

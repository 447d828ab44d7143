"""Puts the trained network where it is used, with its calibration and thresholds, and what is familiar to it."""

import shutil
from pathlib import Path

from deepfake_detection.common.files import replacing, write_json
from deepfake_detection.evaluation.calibration import calibrate_both
from deepfake_detection.evaluation.fit_familiarity import fit_familiarity
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import open_prepared
from deepfake_detection.inference.familiarity import familiarity_file, save_familiarity
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.allocator import keep_freed_memory, use_threads
from deepfake_detection.network.model import build_model, mean_and_std
from deepfake_detection.network.sidecar import Sidecar, categories_of
from deepfake_detection.params.load import load_params
from stages import run
from stages.own import noting


def main() -> None:
    params = load_params()
    keep_freed_memory()
    use_threads(params.train.threads)
    checkpoint = Path(f"models/best_model_{params.model.arch}.pth")
    with replacing(checkpoint) as (part,), noting(checkpoint, part):
        shutil.copyfile("data/trained.pth", part)
    model = build_model(params.model.arch, dropout=0.0, weights=checkpoint, trained=True)
    pixels, rows = open_prepared(Path("data/prepared/train"), Path("data/splits_trained.csv"))
    training, validation = (rows[rows["split"] == split] for split in ("train", "val"))
    held_out = FrameDataset(pixels, validation)
    logits = predict_logits(model, held_out, batch_size=32)
    rule, prior, share = params.calibrate.threshold, params.calibrate.prior, params.calibrate.familiarity
    frame, video = calibrate_both(validation.assign(logit=logits), rule, prior)
    familiarity = fit_familiarity(FrameDataset(pixels, training), held_out, share) if share else None
    save_familiarity(familiarity_file(checkpoint), familiarity)
    mean, std = map(list, mean_and_std(params.model.arch))
    sidecar = Sidecar(
        arch=params.model.arch,
        input_size=[pixels.shape[1]] * 2,
        mean=mean,
        std=std,
        crop=params.prepare.crop,
        margin=params.prepare.margin,
        categories=categories_of(training),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        prior=prior,
        threshold_rule=rule,
        familiarity=share,
        frame=frame,
        video=video,
    )
    write_json(checkpoint.with_suffix(".json"), sidecar.model_dump())
    print(f"threshold {frame.threshold:.4f} by {rule}, temperature {frame.temperature:.4f}, bias {frame.bias:.4f}")
    for name, reason in frame.unavailable.items():
        print(f"threshold {name} is left out: {reason}")


if __name__ == "__main__":
    run(main)

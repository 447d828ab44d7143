"""Puts the trained network where it is used, with its calibration and thresholds, and what is familiar to it."""

import shutil
from pathlib import Path

from deepfake_detection.common.files import replacing, write_json
from deepfake_detection.common.tables import read_digests
from deepfake_detection.evaluation.fit_familiarity import fit_familiarity
from deepfake_detection.evaluation.fit_video_score import fit_readings
from deepfake_detection.evaluation.localisation import measure_where
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import open_landmarks, open_prepared
from deepfake_detection.inference.familiarity import familiarity_file, save_familiarity
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.allocator import keep_freed_memory, use_threads
from deepfake_detection.network.model import build_model, described
from deepfake_detection.network.sidecar import Sidecar, categories_of, fitted_lines, origin_of, people_of
from deepfake_detection.params.load import load_params
from stages import run
from stages.own import noting

FRAMES, SPLITS = Path("data/prepared/train"), Path("data/splits_trained.csv")


def main() -> None:
    params = load_params()
    keep_freed_memory()
    use_threads(params.train.threads)
    checkpoint = Path(f"models/best_model_{params.model.arch}.pth")
    with replacing(checkpoint) as (part,), noting(checkpoint, part):
        shutil.copyfile("data/trained.pth", part)
    model = build_model(params.model.arch, dropout=0.0, weights=checkpoint, trained=True)
    pixels, rows = open_prepared(FRAMES, SPLITS)
    training, validation, known = (rows[rows["split"].isin(names)] for names in (["train"], ["val"], ["train", "val"]))
    logits = predict_logits(model, FrameDataset(pixels, validation), 32)
    readings = fit_readings(validation.assign(logit=logits), params.calibrate)
    share = params.calibrate.familiarity
    familiarity = fit_familiarity(FrameDataset(pixels, known), known["group"], share) if share else None
    save_familiarity(familiarity_file(checkpoint), familiarity)
    sidecar = Sidecar(
        **described(model, params.model.arch),
        input_size=[pixels.shape[1]] * 2,
        crop=params.prepare.crop,
        margin=params.prepare.margin,
        categories=categories_of(training),
        people=people_of(read_digests(SPLITS).query("split in ['train', 'val']")["digest"]),
        prior=params.calibrate.prior,
        threshold_rule=params.calibrate.threshold,
        familiarity=share,
        where=measure_where(model, pixels, validation, open_landmarks(FRAMES)),
        imported=None if params.train.epochs else origin_of(params.model.weights),
        **readings._asdict(),
    )
    write_json(checkpoint.with_suffix(".json"), sidecar.model_dump())
    print(*fitted_lines(sidecar), sep="\n")


if __name__ == "__main__":
    run(main)

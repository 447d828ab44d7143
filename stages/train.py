"""Fine-tunes EfficientNet on the training split and keeps the best epoch. A killed run continues where it stopped."""

import os
from pathlib import Path

from pytorch_lightning import seed_everything

from deepfake_detection.common.files import replacing, write_json
from deepfake_detection.frames.prepared import PIXELS, ROWS, open_landmarks, open_prepared, open_unlabelled
from deepfake_detection.network.model import add_level, build_model, drop_level
from deepfake_detection.network.weights import load_weights, save_weights
from deepfake_detection.params.load import load_params
from deepfake_detection.sources.imagenet import weights_file
from deepfake_detection.training.curves import epoch_log
from deepfake_detection.training.distillation import load_teacher, teacher_files
from deepfake_detection.training.fit import fit
from deepfake_detection.training.loader import FrameBatches, Unlabelled
from deepfake_detection.training.resume import run_key, training_state
from stages import run
from stages.own import noting, require_own

PREPARED, SPLITS_CSV = Path("data/prepared/trained"), Path("data/splits_trained.csv")
WEIGHTS, PRETRAINED = Path("data/weights"), Path("data/pretrained.pth")
STATES = Path(os.getenv("TRAINING_STATE", ".training"))


def main() -> None:
    params = load_params()
    checkpoint = Path(f"models/best_model_{params.model.arch}.pth")
    require_own(checkpoint)  # before hours of training
    seed_everything(params.train.seed, workers=True, verbose=False)
    pixels, rows = open_prepared(PREPARED, SPLITS_CSV)
    others = PREPARED.with_name(params.train.unlabelled)
    weights = weights_file(params.model.arch, params.model.weights, WEIGHTS)
    model = build_model(params.model.arch, params.model.dropout, weights)
    start = [PRETRAINED] if params.pretrain.method != "none" else []
    for backbone in start:
        load_weights(model.efficientnet, backbone)
    if params.train.method == "nested":
        add_level(model)
    unlabelled = None if params.train.unlabelled == "none" else Unlabelled(*open_unlabelled(others))
    batches = FrameBatches(pixels, rows, params.train, params.train.seed, open_landmarks(PREPARED), unlabelled)
    teacher = load_teacher(params.train.teacher, params.prepare.crop, params.prepare.margin)
    inputs = [folder / name for folder in (PREPARED, others) for name in (PIXELS, ROWS)]
    inputs += [SPLITS_CSV, *([weights] if weights else []), *start, *teacher_files(params.train.teacher)]
    with training_state(STATES, run_key(repr((params.model, params.train)), inputs, STATES)) as state:
        if (trained := fit(model, batches, params.train, epoch_log("metrics/train"), state, teacher)) is None:
            return  # with several processes, only rank 0 writes
        best, summary = trained
        model.load_state_dict(best)
        if params.train.method == "nested":
            drop_level(model)
        with replacing(checkpoint) as (part,), noting(checkpoint, part):
            save_weights(part, model.efficientnet)
        write_json(Path("metrics/train.json"), summary)


if __name__ == "__main__":
    run(main)

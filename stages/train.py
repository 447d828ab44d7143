"""Fine-tunes EfficientNet on the training split and keeps the best epoch. A killed run continues where it stopped."""

import os
import shutil
from pathlib import Path

from deepfake_detection.common.files import replacing, write_json
from deepfake_detection.frames.prepared import open_landmarks, open_prepared
from deepfake_detection.network.weights import save_weights
from deepfake_detection.params.load import load_params
from deepfake_detection.training.distillation import teacher_files
from deepfake_detection.training.loader import FrameBatches, open_unlabelled
from deepfake_detection.training.resume import run_key, training_state
from deepfake_detection.training.runs import epoch_log, train_network
from stages import run

FRAMES, SPLITS, WEIGHTS = Path("data/prepared/train"), Path("data/splits_trained.csv"), Path("data/weights.pth")
TRAINED = Path("data/trained.pth")
STATES = Path(os.getenv("TRAINING_STATE", ".training"))


def main() -> None:
    params = load_params()
    pixels, rows = open_prepared(FRAMES, SPLITS)
    others = FRAMES.with_name(params.train.unlabelled)
    unlabelled = open_unlabelled(others) if params.train.unlabelled == "adapt" else None
    batches = FrameBatches(pixels, rows, params.train, params.train.seed, open_landmarks(FRAMES), unlabelled)
    files = [path for folder in sorted({FRAMES, others}) for path in sorted(folder.glob("*.[cn][sp][vy]"))]
    files += [SPLITS, WEIGHTS, *teacher_files(params.train.teacher)]
    with training_state(STATES, run_key(repr((params.model, params.train)), files, STATES)) as state:
        weights = WEIGHTS if WEIGHTS.stat().st_size else None  # an empty file: from scratch
        crop = (params.prepare.crop, params.prepare.margin)
        log = epoch_log(Path("metrics/train/curves.csv"))
        # with several processes, the first one writes
        if trained := train_network(params.model, params.train, crop, batches, weights, log, state):
            network, summary = trained
            if params.train.epochs:
                save_weights(TRAINED, network.efficientnet, network.variant)
            else:  # as it is, whatever the file holds
                with replacing(TRAINED) as (part,):
                    shutil.copyfile(WEIGHTS, part)
            write_json(Path("metrics/train.json"), summary)


if __name__ == "__main__":
    run(main)

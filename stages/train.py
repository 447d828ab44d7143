"""Fine-tunes EfficientNet on the training split and keeps the best epoch; goes on where it was killed."""

import os
from pathlib import Path

from pytorch_lightning import seed_everything

from deepfake_detection.calibration import calibrate
from deepfake_detection.checkpoint import save_checkpoint
from deepfake_detection.curves import epoch_log
from deepfake_detection.files import write_json
from deepfake_detection.frames import FrameDataset
from deepfake_detection.inference import predict_logits
from deepfake_detection.model import build_model
from deepfake_detection.params import load_params
from deepfake_detection.prepared import PIXELS, ROWS, open_prepared
from deepfake_detection.resume import run_key, training_state
from deepfake_detection.tables import categories_by_class
from deepfake_detection.training import FrameSplits, fit
from deepfake_detection.weights import weights_file
from stages import run

PREPARED, SPLITS_CSV = Path("data/prepared"), Path("data/splits.csv")
STATES = Path(os.environ.get("TRAINING_STATE", ".training"))


def main() -> None:
    params = load_params()
    seed_everything(params.seed, workers=True, verbose=False)
    pixels, rows = open_prepared(PREPARED, SPLITS_CSV)
    weights = weights_file(params.model.arch, params.model.weights, Path("data/weights"))
    model = build_model(params.model.arch, params.model.dropout, weights)
    splits = FrameSplits(pixels, rows, params.train, params.seed)
    inputs = [PREPARED / PIXELS, PREPARED / ROWS, SPLITS_CSV, *([weights] if weights else [])]
    with training_state(STATES, run_key(repr((params.seed, params.model, params.train)), inputs, STATES)) as state:
        trained = fit(model, splits, params.train, epoch_log("metrics/train"), state)
        if trained is None:  # one of several processes: the first writes
            return
        weights_state, summary = trained
        model.load_state_dict(weights_state)
        logits = predict_logits(model, FrameDataset(pixels, splits.val_rows), splits.part)
        temperature, thresholds = calibrate(logits, splits.val_rows["label"].to_numpy())
        save_checkpoint(
            Path(f"models/best_model_{params.model.arch}.pth"),
            weights_state,
            params.model.arch,
            pixels.shape[1],
            categories_by_class(splits.train_rows),
            summary["best_epoch"],
            temperature,
            thresholds,
            crop=params.prepare.crop,
            margin=params.prepare.margin,
        )
        write_json(Path("metrics/train.json"), summary)


if __name__ == "__main__":
    run(main)

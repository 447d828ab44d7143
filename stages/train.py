"""Fine-tunes EfficientNet on the training split and keeps the best epoch."""

import json
from contextlib import suppress
from pathlib import Path

from pytorch_lightning import seed_everything

from deepfake_detection.checkpoint import save_checkpoint
from deepfake_detection.model import build_model
from deepfake_detection.params import load_params
from deepfake_detection.prepared import open_prepared
from deepfake_detection.tables import categories_by_class
from deepfake_detection.training import EpochLog, FrameSplits, fit
from deepfake_detection.weights import weights_file
from stages import run


def main() -> None:
    params = load_params()
    seed_everything(params.seed, workers=True, verbose=False)
    pixels, rows = open_prepared(Path("data/prepared"), Path("data/splits.csv"))
    weights = weights_file(params.model.arch, params.model.weights, Path("data/weights"))
    model = build_model(params.model.arch, params.model.dropout, weights)
    splits = FrameSplits(pixels, rows, params.train, params.seed)
    state, summary = fit(model, splits, params.train, epoch_log("metrics/train"))

    path = Path(f"models/best_model_{params.model.arch}.pth")
    save_checkpoint(path, state, params.model.arch, pixels.shape[1], categories_by_class(rows), summary["best_epoch"])
    Path("metrics").mkdir(exist_ok=True)
    Path("metrics/train.json").write_text(json.dumps(summary, indent=2) + "\n")


def epoch_log(folder: str) -> EpochLog:
    """Prints each epoch and keeps its curves with dvclive."""
    live = None
    with suppress(ImportError):  # a machine lent for training may lack DVC
        from dvclive import Live

        live = Live(folder, dvcyaml=None, report=None, save_dvc_exp=False)

    def log(values: dict[str, float]) -> None:
        print(", ".join(f"{name} {value:.4f}" for name, value in values.items()), flush=True)
        if live:
            for name, value in values.items():
                live.log_metric(name.replace("_", "/", 1), value)  # train/loss
            live.next_step()

    return log


if __name__ == "__main__":
    run(main)

"""Evaluates the best checkpoint on the test split under corruptions of rising severity."""

from pathlib import Path

import torch

from deepfake_detection.backends import choose_backend
from deepfake_detection.checkpoint import load_checkpoint
from deepfake_detection.cpus import cpu_count
from deepfake_detection.files import write_csv, write_json
from deepfake_detection.frames import FrameDataset
from deepfake_detection.params import load_params
from deepfake_detection.plots import save_figure
from deepfake_detection.prepared import open_prepared
from deepfake_detection.robustness import evaluate_robustness, robustness_table
from deepfake_detection.robustness_plots import robustness_curves, robustness_heatmap
from stages import run

METRICS, FOLDER = Path("metrics/robustness.json"), Path("metrics/robustness")


def main() -> None:
    params = load_params()
    model, sidecar = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth"))
    pixels, rows = open_prepared(Path("data/prepared"), Path("data/splits.csv"))
    trained_on = params.data.categories.real + params.data.categories.fake
    test = rows[(rows["split"] == "test") & rows["category"].isin(trained_on)]
    share = min(1, params.robustness.max_frames / len(test))
    validation = FrameDataset(pixels, rows[rows["split"] == "val"])
    result = evaluate_robustness(
        choose_backend(params.evaluate.backend, model, validation, params.evaluate.batch_size),
        pixels,
        test.groupby("label").sample(frac=share, random_state=params.seed).sort_index(),
        params.evaluate.batch_size,
        sidecar["threshold"],
        params.seed,
        sidecar["temperature"],
        # an accelerator would wait for the corruptions; two cores are busy with the network
        num_workers=cpu_count() if torch.cuda.is_available() else 0,
    )
    write_json(METRICS, result)
    write_csv(FOLDER / "robustness.csv", robustness_table(result))
    save_figure(robustness_heatmap(result), FOLDER / "heatmap.png")
    save_figure(robustness_curves(result), FOLDER / "curves.png")
    print(", ".join(f"{name} {result[name]}" for name in ("clean_auroc", "mean_auroc", "mean_auroc_drop")))


if __name__ == "__main__":
    run(main)

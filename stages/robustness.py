"""Tests the network on test frames under corruptions of rising severity."""

from pathlib import Path

import pandas as pd
import torch

from deepfake_detection.common.files import write_csv, write_json
from deepfake_detection.common.parallel import cpu_count
from deepfake_detection.common.text import group_count
from deepfake_detection.evaluation.robustness import evaluate_robustness, flagged_shares
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import open_prepared
from deepfake_detection.inference.backends import choose_backend
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.familiarity import scoring
from deepfake_detection.network.allocator import keep_freed_memory, use_threads
from deepfake_detection.params.load import load_params
from stages import run

METRICS = Path("metrics")


def main() -> None:
    params = load_params()
    keep_freed_memory()
    use_threads(params.train.threads)
    model, sidecar, familiarity = load_checkpoint(Path(f"models/best_model_{params.model.arch}.pth"))
    pixels, rows = open_prepared(Path("data/prepared/train"), Path("data/splits_trained.csv"))
    validation, test = (rows[rows["split"] == split] for split in ("val", "test"))
    share = min(1, params.robustness.max_frames / len(test))
    backend = choose_backend(
        params.evaluate.backend, model, FrameDataset(pixels, validation), params.evaluate.batch_size
    )
    chosen = test.groupby("label").sample(frac=share, random_state=params.evaluate.seed).sort_index()
    found = evaluate_robustness(
        scoring(backend, familiarity),
        pixels,
        chosen,
        params.evaluate.batch_size,
        sidecar.frame,
        params.evaluate.seed,
        # a GPU would wait for one process to corrupt the frames; without a GPU, the network keeps the processors busy
        num_workers=cpu_count() if torch.cuda.is_available() else 0,
        draws=params.evaluate.bootstrap_draws,
        prior=sidecar.prior,
    )
    flagged = flagged_shares(familiarity, pixels, chosen, params.evaluate.seed) if familiarity else {}
    write_json(METRICS / "robustness.json", found.summary)
    flags = pd.DataFrame({"change": list(flagged), "share": list(flagged.values())})
    write_csv(METRICS / "robustness" / "flagged.csv", flags)
    for name in ("robustness", "intervals", "coverage", "conditions"):
        write_csv(METRICS / "robustness" / f"{name}.csv", getattr(found, name))
    groups = group_count(int(found.intervals["groups"].iloc[0]))
    print(f"95% intervals from {groups}\n{found.intervals.to_string(index=False)}")


if __name__ == "__main__":
    run(main)

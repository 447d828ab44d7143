"""Trains the backbone without labels, by one of the methods in ``pretrain``: ``python -m stages.pretrain simsiam``."""

from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_json
from deepfake_detection.frames.prepared import open_prepared, open_set
from deepfake_detection.params.load import load_params
from deepfake_detection.training.self_supervised import Source, pretrain_backbone
from stages import run

PREPARED = Path("data/prepared")


def main(method: str) -> None:
    params = load_params()
    if method not in params.pretrain:
        raise UserError(f"pretrain.{method}: not in params.yaml")
    pixels, rows = open_prepared(PREPARED / "train", Path("data/splits_trained.csv"))
    sources = [Source(pixels, rows[rows["split"] == "train"])]
    if params.pretrain[method].unlabelled == "adapt":
        sources.append(Source(*open_set(PREPARED / "adapt")))
    own, to = params.pretrain[method], Path(f"data/pretrained-{method}.pth")
    how = params.train.augment, params.train.threads
    summary = pretrain_backbone(params.model.arch, method, own, *how, sources, to)
    write_json(Path(f"metrics/pretrain/{method}.json"), {"method": method, **summary})


if __name__ == "__main__":
    run(main)

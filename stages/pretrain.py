"""Trains the backbone without labels, if ``pretrain.method`` says so. Otherwise it leaves an empty file."""

from pathlib import Path

from deepfake_detection.common.files import replacing, write_json
from deepfake_detection.params.load import Params, load_params
from stages import run

PREPARED, OUT = Path("data/prepared"), Path("data/pretrained.pth")


def main() -> None:
    params = load_params()
    summary: dict[str, object] = {"method": params.pretrain.method}
    with replacing(OUT) as (part,):
        part.touch()
        if params.pretrain.method != "none":
            summary |= pretrained(params, part)
    write_json(Path("metrics/pretrain.json"), summary)


def pretrained(params: Params, part: Path) -> dict[str, object]:
    # imported here, because the stage is to cost nothing when it is switched off
    from pytorch_lightning import seed_everything

    from deepfake_detection.common.tables import read_index
    from deepfake_detection.frames.prepared import ROWS, open_prepared, open_unlabelled
    from deepfake_detection.network.allocator import keep_freed_memory
    from deepfake_detection.network.model import build_model
    from deepfake_detection.network.weights import save_backbone
    from deepfake_detection.sources.imagenet import weights_file
    from deepfake_detection.training.self_supervised import Source, pretrain

    seed_everything(params.pretrain.seed, workers=True, verbose=False)
    keep_freed_memory()
    pixels, rows = open_prepared(PREPARED / "trained", Path("data/splits_trained.csv"))
    others, _ = open_unlabelled(folder := PREPARED / params.pretrain.unlabelled)
    sources = [Source(pixels, rows[rows["split"] == "train"]), Source(others, read_index(folder / ROWS))]
    weights = weights_file(params.model.arch, params.model.weights, Path("data/weights"))
    network = build_model(params.model.arch, params.model.dropout, weights)
    summary = pretrain(network, sources, params.train.augment, params.pretrain)
    save_backbone(part, network.efficientnet)
    return summary


if __name__ == "__main__":
    run(main)

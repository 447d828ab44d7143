"""Brings the frames and the pretrained weights: the only stage that may use the network."""

import json
import shutil
from pathlib import Path

from deepfake_detection.layout import OFFICIAL
from deepfake_detection.official import fetch_official
from deepfake_detection.params import load_params
from deepfake_detection.sources import lay_out
from deepfake_detection.weights import fetch_weights
from stages import run

RAW, WEIGHTS = Path("data/raw"), Path("data/weights")


def main() -> None:
    params = load_params()
    categories = params.data.categories.real + params.data.categories.fake + params.evaluate.unseen_categories
    origin: dict[str, str | int] = {"source": params.data.source}
    if RAW.exists():
        shutil.rmtree(RAW)
    RAW.mkdir(parents=True)

    if params.data.source == "embedded":
        from deepfake_detection.embedded import generate

        generate(
            RAW,
            categories,
            params.data.embedded.identities,
            params.data.embedded.frames,
            params.data.embedded.size,
            params.seed,
        )
    elif params.data.source == "kaggle":
        from deepfake_detection.kaggle import download_kaggle

        folder, version = download_kaggle(params.data.kaggle)
        lay_out(folder, categories, RAW)
        origin |= {"handle": params.data.kaggle, "version": version}
    else:
        lay_out(Path(params.data.local_dir).expanduser(), categories, RAW)

    if params.split.strategy == "official":
        fetch_official(params.split.official_dir, RAW / OFFICIAL)
    (RAW / "source.json").write_text(json.dumps(origin, indent=2) + "\n")
    fetch_weights(params.model.arch, params.model.weights, WEIGHTS)


if __name__ == "__main__":
    run(main)

"""Brings a data set: from a folder, from Kaggle, or drawn."""

from pathlib import Path

from deepfake_detection.common.files import replacing
from deepfake_detection.params.load import load_params
from deepfake_detection.sources.gather import gather
from stages import data_set, run
from stages.own import OWNED, noting

RAW = Path("data/raw")


def main(name: str) -> None:
    params = load_params()
    with replacing(RAW / name) as (part,), noting(RAW / name, part):
        gather(name, data_set(params, name), params.video, part, OWNED)


if __name__ == "__main__":
    run(main)

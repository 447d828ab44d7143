"""Decodes, crops and resizes the frames of a data set once, and stores the pixels for memory mapping."""

from pathlib import Path

from deepfake_detection.common.tables import read_index
from deepfake_detection.frames.preparing import prepare_frames
from deepfake_detection.params.load import load_params
from stages import data_set, run

DATA = Path("data")


def main(name: str) -> None:
    params = load_params()
    wanted, index = data_set(params, name), DATA / "index" / f"{name}.csv"
    rule, margin, size = params.prepare.crop, params.prepare.margin, params.prepare.image_size
    faces = DATA / "faces" / f"{name}.csv" if rule != "none" else None
    # held-out categories apart, so that they never make training run again
    held_out = read_index(index, ["category"])["category"].isin(wanted.unseen if wanted.use == "train" else [])
    for folder, chosen in ((wanted.use, ~held_out), ("unseen", held_out)):
        to = DATA / "prepared" / folder / name
        prepare_frames(index, DATA / "raw", to, size, faces=faces, rule=rule, margin=margin, wanted=chosen.tolist())


if __name__ == "__main__":
    run(main)

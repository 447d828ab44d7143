"""Decodes, crops and resizes the frames of a data set once, and stores the pixels for memory mapping."""

import shutil
from functools import partial
from pathlib import Path

from deepfake_detection.common.tables import read_index
from deepfake_detection.frames.preparing import prepare_frames
from deepfake_detection.params.data_sections import folders_of
from deepfake_detection.params.load import load_params
from stages import data_set, run

DATA = Path("data")
WORK = DATA / ".part-prepared"  # pixels, until all are there: a killed run goes on with them


def main(name: str) -> None:
    params = load_params()
    wanted, index = data_set(params, name), DATA / "index" / f"{name}.csv"
    prepare = partial(
        prepare_frames,
        index,
        DATA / "raw",
        size=params.prepare.image_size,
        faces=DATA / "faces" / f"{name}.csv" if params.prepare.crop != "none" else None,
        rule=params.prepare.crop,
        margin=params.prepare.margin,
        folders=folders_of({name: wanted}),
        work=WORK / name,
    )
    # held-out categories apart, so that they never make training run again
    held_out = read_index(index, ["category"])["category"].isin(wanted.unseen if wanted.use == "train" else [])
    for folder, chosen in ((wanted.use, ~held_out), ("unseen", held_out)):
        prepare(DATA / "prepared" / folder / name, wanted=chosen.tolist())
    shutil.rmtree(WORK / name)


if __name__ == "__main__":
    run(main)

"""Decodes, crops and resizes every frame once, and stores the pixels for memory mapping."""

from pathlib import Path

from deepfake_detection.common.tables import read_index
from deepfake_detection.frames.preparing import prepare_frames
from deepfake_detection.index.roles import NONE, ROLES, roles
from deepfake_detection.params.data import uses
from deepfake_detection.params.load import load_params
from stages import run

INDEX, PREPARED = Path("data/index.csv"), Path("data/prepared")


def main() -> None:
    params = load_params()
    faces = Path("data/faces.csv") if params.prepare.crop == "face" else None
    size, margin = params.prepare.image_size, params.prepare.margin
    table = read_index(INDEX, ["dataset", "category"])
    role = roles(table, params.data.categories.unseen, uses(params.data.source, params.data.extra))
    # Apart, so that what is only evaluated never makes training run again. NONE has no frame: it is what training reads
    # in place of the frames to adapt to, so that these do not make it run again either if it does not use them.
    for name in (*ROLES, NONE):
        wanted = (role == name).tolist()
        prepare_frames(INDEX, Path("data/raw"), PREPARED / name, size, faces=faces, margin=margin, wanted=wanted)


if __name__ == "__main__":
    run(main)

"""Lists the usable frames, the positions of their faces, and the files that cannot be used."""

from pathlib import Path

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_csv, write_json
from deepfake_detection.index.index import RejectedError, build_index, keep_only
from deepfake_detection.index.tracks import FACE_COLUMNS, NO_FACE, find_faces
from deepfake_detection.params.load import load_params
from deepfake_detection.sources.ffpp import read_official
from deepfake_detection.sources.layout import FRAMES, OFFICIAL
from stages import run

RAW = Path("data/raw")
INDEX = Path("data/index.csv")
REJECTED = Path("data/rejected.csv")
FACES = Path("data/faces.csv")
METRICS = Path("metrics")


def main() -> None:
    params = load_params()
    unseen = [name for name in params.evaluate.unseen_categories if (RAW / FRAMES / name).is_dir()]
    real, fake = params.data.categories.real, params.data.categories.fake + unseen
    official = read_official(RAW / OFFICIAL) if params.split.strategy == "official" else None
    inputs = (RAW, real, fake, params.index.max_rejected)
    faces = pd.DataFrame(columns=FACE_COLUMNS)
    try:
        index, rejected, counts = build_index(*inputs, official=official)
        if params.prepare.crop == "face":
            faces = find_faces(index, RAW)
            index, rejected, counts = keep_only(set(faces["path"]), NO_FACE, index, rejected, *inputs)
    except RejectedError as error:
        write_csv(REJECTED, error.rejected)
        raise UserError(f"{error}; {REJECTED} lists what was rejected") from None
    write_csv(INDEX, index)
    write_csv(FACES, faces)
    write_csv(REJECTED, rejected)
    write_json(METRICS / "index.json", counts)
    print(f"index: {counts['frames']} frames of {counts['videos']} videos, {counts['rejected']} files rejected")


if __name__ == "__main__":
    run(main)

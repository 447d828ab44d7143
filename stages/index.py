"""Lists the usable frames, the positions of their faces, and the files that cannot be used."""

from pathlib import Path

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_csv, write_json
from deepfake_detection.index.given import has_table
from deepfake_detection.index.groups import frame_groups
from deepfake_detection.index.index import RejectedError, build_index, keep_only
from deepfake_detection.index.listing import wanted_categories
from deepfake_detection.index.tables import COLUMNS, HASH_COLUMNS
from deepfake_detection.index.tracks import FACE_COLUMNS, NO_FACE, choose_faces
from deepfake_detection.params.load import load_params
from deepfake_detection.sources.ffpp import read_official, read_recordings
from deepfake_detection.sources.layout import OFFICIAL, RECORDINGS
from stages import run

RAW = Path("data/raw")
INDEX = Path("data/index.csv")
REJECTED = Path("data/rejected.csv")
HASHES = Path("data/hashes.csv")
FACES = Path("data/faces.csv")
METRICS = Path("metrics")


def main() -> None:
    params = load_params()
    real, fake, unseen = wanted_categories(RAW, params.data.categories)
    official = None
    if params.split.strategy == "official":
        official = {} if has_table(RAW) else read_official(RAW / OFFICIAL)
    inputs = (RAW, real, fake + unseen, params.index.max_rejected)
    crop = params.prepare.crop == "face"
    faces = pd.DataFrame(columns=FACE_COLUMNS)
    try:
        index, rejected, counts = build_index(*inputs, official=official, faces=crop)
        if crop:
            faces = choose_faces(index)
            index, rejected, counts = keep_only(set(faces["path"]), NO_FACE, index, rejected, *inputs)
    except RejectedError as error:
        write_csv(REJECTED, error.rejected)
        raise UserError(f"{error}; {REJECTED} lists what was rejected") from None
    index["group"] = frame_groups(index, unseen, read_recordings(RAW / RECORDINGS))
    write_csv(INDEX, index[list(COLUMNS)])
    write_csv(HASHES, index.assign(phash=index["phash"].map("{:016x}".format))[HASH_COLUMNS])
    write_csv(FACES, faces)
    write_csv(REJECTED, rejected)
    write_json(METRICS / "index.json", counts)
    print(f"index: {counts['frames']} frames of {counts['videos']} videos, {counts['rejected']} files rejected")


if __name__ == "__main__":
    run(main)

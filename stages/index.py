"""Lists the usable frames, the positions of their faces, and the files that cannot be used."""

from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_csv, write_json
from deepfake_detection.common.tables import COLUMNS, HASH_COLUMNS
from deepfake_detection.index.build import RejectedError, index_data_sets
from deepfake_detection.index.given import has_table
from deepfake_detection.params.data import uses
from deepfake_detection.params.load import load_params
from deepfake_detection.sources.layout import OFFICIAL, RECORDINGS
from deepfake_detection.sources.official import read_official, read_recordings
from stages import run

RAW = Path("data/raw")
INDEX = Path("data/index.csv")
REJECTED = Path("data/rejected.csv")
MISSING = Path("data/missing.csv")
HASHES = Path("data/hashes.csv")
FACES = Path("data/faces.csv")
METRICS = Path("metrics")


def main() -> None:
    params = load_params()
    official = None
    if params.split.strategy == "official":
        official = {} if has_table(RAW) else read_official(RAW / OFFICIAL)
    try:
        index, faces, rejected, missing, counts = index_data_sets(
            RAW,
            params.data.categories,
            uses(params.data.source, params.data.extra),
            params.index.max_rejected,
            official,
            params.prepare.crop == "face",
            read_recordings(RAW / RECORDINGS),
        )
    except RejectedError as error:
        write_csv(REJECTED, error.rejected)
        raise UserError(f"{error}; {REJECTED} lists what was rejected") from None
    write_csv(INDEX, index[list(COLUMNS)])
    write_csv(HASHES, index.assign(phash=index["phash"].map("{:016x}".format))[HASH_COLUMNS])
    write_csv(FACES, faces)
    write_csv(REJECTED, rejected)
    write_csv(MISSING, missing)
    write_json(METRICS / "index.json", counts)
    print(f"index: {counts['frames']} frames of {counts['videos']} videos, {counts['rejected']} files rejected")
    for name, found in counts["datasets"].items():
        print(f"{name}: {found['frames']} frames of {found['videos']} videos, {found['rejected']} files rejected")


if __name__ == "__main__":
    run(main)

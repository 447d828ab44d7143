"""Lists the frames that can be used and those that cannot: data/raw -> data/index.csv, data/rejected.csv."""

from pathlib import Path

from deepfake_detection.errors import UserError
from deepfake_detection.files import write_csv, write_json
from deepfake_detection.index import RejectedError, build_index
from deepfake_detection.layout import OFFICIAL
from deepfake_detection.official import read_official
from deepfake_detection.params import load_params
from stages import run

RAW = Path("data/raw")
INDEX = Path("data/index.csv")
REJECTED = Path("data/rejected.csv")
METRICS = Path("metrics/index.json")


def main() -> None:
    params = load_params()
    try:
        index, rejected, counts = build_index(
            RAW,
            params.data.categories.real,
            params.data.categories.fake + params.evaluate.unseen_categories,
            params.index.max_rejected,
            official=read_official(RAW / OFFICIAL) if params.split.strategy == "official" else None,
        )
    except RejectedError as error:
        write_csv(REJECTED, error.rejected)
        raise UserError(f"{error}; {REJECTED} lists what was rejected") from None
    write_csv(INDEX, index)
    write_csv(REJECTED, rejected)
    write_json(METRICS, counts)
    print(f"index: {counts['frames']} frames of {counts['videos']} videos, {counts['rejected']} files rejected")


if __name__ == "__main__":
    run(main)

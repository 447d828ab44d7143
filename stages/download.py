"""Gets the frames and the pretrained weights. This is the only stage that may use the internet."""

import json
import shutil
from pathlib import Path

from deepfake_detection.common.files import replacing
from deepfake_detection.params.load import load_params
from deepfake_detection.sources.frames import fetch_frames
from deepfake_detection.sources.imagenet import fetch_weights
from stages import run
from stages.inputs import link
from stages.own import noting

RAW, WEIGHTS = Path("data/raw"), Path("data/weights")
TAKEN = Path("data/.part-videos")  # frames of videos, until all are there: a killed run goes on with them


def main() -> None:
    from deepfake_detection.sources.extra import find_extra, gather_extra  # slow to import

    params = load_params()
    further = find_extra(params.data)
    with replacing(RAW) as (raw,), noting(RAW, raw):
        raw.mkdir()
        origin = fetch_frames(params.data, params.split.strategy == "official", params.split.official_dir, raw, TAKEN)
        gather_extra(further, params.data, raw, TAKEN)
        (raw / "source.json").write_text(json.dumps(origin, indent=2) + "\n")
    shutil.rmtree(TAKEN, ignore_errors=True)
    fetch_weights(params.model.arch, params.model.weights, WEIGHTS)
    link(params)  # again, because a folder of frames may have become a link


if __name__ == "__main__":
    run(main)

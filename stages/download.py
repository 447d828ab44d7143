"""Gets the frames and the pretrained weights. This is the only stage that may use the internet."""

import json
from pathlib import Path

from deepfake_detection.common.files import replacing, write_json
from deepfake_detection.params.load import Params, load_params
from deepfake_detection.sources.ffpp import fetch_official, fetch_recordings
from deepfake_detection.sources.imagenet import fetch_weights
from deepfake_detection.sources.layout import OFFICIAL, RECORDINGS
from stages import run
from stages.inputs import link
from stages.own import noting

RAW, WEIGHTS = Path("data/raw"), Path("data/weights")
TAKEN = Path("data/.part-videos")  # frames of videos, until all are there: a killed run goes on with them


def main() -> None:
    params = load_params()
    with replacing(RAW) as (raw,), noting(RAW, raw):
        raw.mkdir()
        origin = fetch_frames(params, raw)
        (raw / "source.json").write_text(json.dumps(origin, indent=2) + "\n")
    fetch_weights(params.model.arch, params.model.weights, WEIGHTS)
    link(params)  # again, because a folder of frames may have become a link


def fetch_frames(params: Params, raw: Path) -> dict[str, str | int]:
    """Fills ``raw`` with lists and frames, and returns where these come from."""
    data, official, lists = params.data, params.split.strategy == "official", params.split.official_dir
    place = None
    if data.source == "local":
        from deepfake_detection.sources.gather import find

        place = find(Path(data.local_dir), data.layout)
        lists = lists or place.official_dir
    # the lists first, because they take a second, and the frames may take an hour
    if place is None or place.of_faceforensics:
        if official:
            fetch_official(lists, raw / OFFICIAL)
        fetch_recordings(raw / RECORDINGS, data.source, data.local_dir, official, params.split.official_dir)
    else:
        write_json(raw / RECORDINGS, {})
    if data.source == "embedded":
        from deepfake_detection.sources.drawn.dataset import generate

        drawn, wanted = data.embedded, data.categories.real + data.categories.fake + data.categories.unseen
        generate(raw, wanted, drawn.identities, drawn.frames, drawn.size, drawn.seed)
        return {"source": "embedded"}
    from deepfake_detection.sources.gather import fetch_kaggle, gather

    if place is None:
        place, origin = fetch_kaggle(data)
        return origin | gather(place, data, raw, TAKEN, official, trusted=False)
    return {"source": "local"} | gather(place, data, raw, TAKEN, official)


if __name__ == "__main__":
    run(main)

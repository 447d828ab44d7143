"""Gets the frames and the pretrained weights. This is the only stage that may use the internet."""

import json
from pathlib import Path

from deepfake_detection.common.files import replacing, write_json
from deepfake_detection.params.load import Params, load_params
from deepfake_detection.sources.ffpp import fetch_official, fetch_recordings
from deepfake_detection.sources.gather import OF_FACEFORENSICS, Origin, find, gather
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


def fetch_frames(params: Params, raw: Path) -> Origin:
    """Fills ``raw`` with lists and frames, and returns where these come from."""
    data, official, lists = params.data, params.split.strategy == "official", params.split.official_dir
    local = find(Path(data.local_dir), data.layout) if data.source == "local" else None
    # the lists first, because they take a second, and the frames may take an hour
    if local is None or local.layout in OF_FACEFORENSICS:
        if official:
            fetch_official(lists or (local.official_dir if local else ""), raw / OFFICIAL)
        fetch_recordings(raw / RECORDINGS, data.source, data.local_dir, official, lists)
    else:
        write_json(raw / RECORDINGS, {})
    if data.source == "embedded":
        from deepfake_detection.sources.drawn.dataset import generate

        drawn, categories = data.embedded, data.categories
        wanted = categories.real + categories.fake + categories.unseen
        generate(raw, wanted, drawn.identities, drawn.frames, drawn.size, drawn.seed)
        return {"source": "embedded"}
    if local is None:
        from deepfake_detection.sources.kaggle import download_kaggle

        folder, version = download_kaggle(data.kaggle)
        origin: Origin = {"source": "kaggle", "handle": data.kaggle, "version": version}
        return origin | gather(find(folder, data.layout), data, raw, TAKEN, official, trusted=False)
    return {"source": "local"} | gather(local, data, raw, TAKEN, official)


if __name__ == "__main__":
    run(main)

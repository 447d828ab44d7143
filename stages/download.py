"""Gets the frames and the pretrained weights. This is the only stage that may use the internet."""

import json
from pathlib import Path

from deepfake_detection.common.files import replacing
from deepfake_detection.params.load import Params, load_params
from deepfake_detection.sources.ffpp import fetch_official, fetch_recordings
from deepfake_detection.sources.imagenet import fetch_weights
from deepfake_detection.sources.layout import OFFICIAL, RECORDINGS
from deepfake_detection.sources.local import lay_out
from stages import run
from stages.inputs import link
from stages.own import noting

RAW, WEIGHTS = Path("data/raw"), Path("data/weights")


def main() -> None:
    params = load_params()
    with replacing(RAW) as (raw,), noting(RAW, raw):
        raw.mkdir()
        # the lists first, because they take a second, and the frames may take an hour
        official, folder = params.split.strategy == "official", params.split.official_dir
        if official:
            fetch_official(folder, raw / OFFICIAL)
        fetch_recordings(raw / RECORDINGS, params.data.source, params.data.local_dir, official, folder)
        origin = fetch_frames(params, raw)
        (raw / "source.json").write_text(json.dumps(origin, indent=2) + "\n")
    fetch_weights(params.model.arch, params.model.weights, WEIGHTS)
    link(params)  # again, because a folder of frames may have become a link


def fetch_frames(params: Params, raw: Path) -> dict[str, str | int]:
    """Fills ``raw`` with frames and returns where they come from."""
    categories, unseen = params.data.categories.real + params.data.categories.fake, params.evaluate.unseen_categories
    if params.data.source == "embedded":
        from deepfake_detection.sources.drawn.dataset import generate

        generate(
            raw,
            categories + unseen,
            params.data.embedded.identities,
            params.data.embedded.frames,
            params.data.embedded.size,
            params.data.embedded.seed,
        )
        return {"source": "embedded"}
    if params.data.source == "kaggle":
        from deepfake_detection.sources.kaggle import download_kaggle

        folder, version = download_kaggle(params.data.kaggle)
        lay_out(folder, categories, raw, trusted=False, unseen=unseen)
        return {"source": "kaggle", "handle": params.data.kaggle, "version": version}
    lay_out(Path(params.data.local_dir), categories, raw, unseen=unseen)
    return {"source": "local"}


if __name__ == "__main__":
    run(main)

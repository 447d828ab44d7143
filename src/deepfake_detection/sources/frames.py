"""Brings the frames of the main data set, from wherever data.source says."""

from pathlib import Path

from deepfake_detection.common.files import write_json
from deepfake_detection.params.data import Data
from deepfake_detection.sources.layout import OFFICIAL, RECORDINGS
from deepfake_detection.sources.official import fetch_official, fetch_recordings


def fetch_frames(data: Data, official: bool, lists: str, raw: Path, work: Path) -> dict[str, str | int]:
    """Fills ``raw`` with lists and frames, and returns where these come from.

    ``official``: the authors' lists are needed. They are in the folder ``lists``, or if that is "" in the data set's
    own or on the authors' pages. ``work`` is as for ``gather``. Raises UserError as the sources do.
    """
    place = None
    if data.source == "local":
        from deepfake_detection.sources.gather import find

        place = find(Path(data.local_dir), data.layout)
    # the lists first, because they take a second, and the frames may take an hour
    if place is None or place.of_faceforensics:
        if official:
            fetch_official(lists or (place.official_dir if place else ""), raw / OFFICIAL)
        fetch_recordings(raw / RECORDINGS, data.source, data.local_dir, official, lists)
    else:
        write_json(raw / RECORDINGS, {})
    if data.source == "embedded":
        from deepfake_detection.sources.drawn.drawing import generate

        drawn, wanted = data.embedded, data.categories.real + data.categories.fake + data.categories.unseen
        generate(raw, wanted, drawn.identities, drawn.frames, drawn.size, drawn.seed)
        return {"source": "embedded"}
    from deepfake_detection.sources.gather import fetch_kaggle, gather

    if place is None:
        place, origin = fetch_kaggle(data)
        return origin | gather(place, data, raw, work, official, trusted=False)
    return {"source": "local"} | gather(place, data, raw, work, official)

"""A miniature of the preview of the Deepfake Detection Challenge."""

import json
from pathlib import Path

from tests.support.miniatures.drawing import film


def make(folder: Path) -> None:
    """Two actors for training and two for the test, a clip of each, and the face of the other put on it."""
    listed = {}
    for part, actors in {"train": ("1001", "1002"), "test": ("2001", "2002")}.items():
        for target, source in (actors, actors[::-1]):
            method = "method_A" if target < source else "method_B"
            real = f"original_videos/{target}/{target}_A_001.mp4"
            fake = f"{method}/{target}/{target}_A/{source}_{target}_A_001.mp4"
            film(folder / real, int(target), False)
            film(folder / fake, int(target), True)
            common = {"set": part, "augmentations": [], "target_id": target}
            listed[real] = {"label": "real", "swapped_id": None, **common}
            listed[fake] = {"label": "fake", "swapped_id": source, **common}
    (folder / "dataset.json").write_text(json.dumps(listed))

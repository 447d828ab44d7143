"""Measures which frames are unfamiliar that should not be, or should: ``python -m experiments.familiarity DATA``.

DATA is a data set of any layout. Its groups are divided 70, 15 and 15 at random, SPLITS times, as whole frames and as
crops of the face. The familiarity is fitted on training and validation groups. The table says what share of the test
frames it flags, as they are and changed as in ``evaluation.robustness``: the mean over the splits, and the smallest and
the largest share. `before` is a limit that one validation split sets: the distance that a share of its frames keeps
from the training frames, by the means of neighbouring differences alone. No network takes part, so the same frames
serve all splits. The column of the project's checkpoint says what share of all the frames that flags.
docs/concepts/unfamiliar-frames.md has the result.
"""

from argparse import ArgumentParser
from collections.abc import Hashable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.progress import progress
from deepfake_detection.evaluation.fit_familiarity import described, familiarity_of, whitening_of
from deepfake_detection.evaluation.robustness import CHANGES
from deepfake_detection.frames.dataset import FrameDataset, derive_seed
from deepfake_detection.index.groups import frame_groups
from deepfake_detection.inference.familiarity import Familiarity, familiarity_file, load_familiarity
from deepfake_detection.params.load import load_params
from deepfake_detection.pictures.crops import crop_face
from deepfake_detection.pictures.faces import detect_faces
from deepfake_detection.pictures.images import read_rgb
from deepfake_detection.sources.layouts.detect import read
from stages import run

SPLITS, SHARES = 20, (0.7, 0.85)  # of the groups: where training ends, where validation ends
MARGIN = 0.0  # around a face, so that a crop differs from a frame that is a portrait
OF_MEANS = slice(0, 24)  # the statistics that `before` has

Floats = NDArray[np.float64]
Frames = NDArray[np.uint8]


class Described(NamedTuple):
    statistics: Floats
    layouts: Floats

    def unfamiliarity(self, known: Familiarity) -> Floats:
        """As ``known`` says it."""
        statistics, layouts = (torch.from_numpy(each).float() for each in self)
        upset = torch.exp(layouts @ known.layout + known.offset)
        whitened = (statistics - known.mean) @ known.whitening
        return torch.maximum(whitened.norm(dim=1), upset).double().numpy()

    def of(self, rows: NDArray[np.bool_]) -> "Described":
        return Described(self.statistics[rows], self.layouts[rows])


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a data set")
    folder = parser.parse_args().folder
    params = load_params()
    table = read(folder)[2].table
    groups = frame_groups(table)
    if groups.nunique() < 10:
        raise UserError(f"{folder}: {groups.nunique()} groups of people; 10 at least can be divided again and again")
    rows: list[dict[Hashable, str]] = []
    for crop, frames in prepared(folder, table["file"], params.prepare.image_size).items():
        changed = changed_frames(frames, params.evaluate.seed)
        rows += [row | {"crop": crop} for row in over_splits(changed, groups, params.calibrate.familiarity or 0.99)]
        if crop == "none":
            checkpoint = Path(f"models/best_model_{params.model.arch}.pth")
            known = load_familiarity(familiarity_file(checkpoint))
            flagged: dict[Hashable, str] = {
                name: f"{flags(each.unfamiliarity(known)):.3f}" for name, each in changed.items()
            }
            rows.append({"crop": crop, "limit": checkpoint.name, **flagged})
    print(pd.DataFrame(rows).set_index(["crop", "limit"]).T.to_string())


def prepared(folder: Path, files: pd.Series, size: int) -> dict[str, Frames]:
    """Whole frames and crops of the face, of shape (frames, size, size, 3). Without a face it is the whole frame."""
    found: dict[str, list[Frames]] = {"none": [], "face": []}
    for file in progress(files, title="preparing", unit="frame"):
        pixels = read_rgb(folder / file)
        faces = detect_faces(pixels)
        for crop, face in (("none", None), ("face", faces[0] if faces else None)):
            found[crop].append(crop_face(pixels, face, "face", MARGIN, size))
    return {crop: np.stack(frames) for crop, frames in found.items()}


def changed_frames(frames: Frames, seed: int) -> dict[str, Described]:
    """What describes the frames under each of CHANGES."""
    found, labels = {}, pd.DataFrame({"label": np.zeros(len(frames))})
    for name, change in CHANGES.items():
        changed = np.stack([change(frame, derive_seed(seed, row)) for row, frame in enumerate(frames)])
        found[name] = Described(*described(FrameDataset(changed, labels)))
    return found


def over_splits(changed: dict[str, Described], groups: pd.Series, share: float) -> list[dict[Hashable, str]]:
    """A row for each limit: the share of test frames that is flagged, in the mean and over the splits."""
    plain, names = changed["other_people"], np.unique(groups)
    flagged: dict[str, list[dict[str, float]]] = {"before": [], "now": []}
    for seed in range(SPLITS):
        mixed = np.random.default_rng(seed).permutation(names)
        parts = np.split(mixed, [round(end * len(names)) for end in SHARES])
        train, val, test = (groups.isin(part).to_numpy() for part in parts)
        known = familiarity_of(*plain.of(train | val), groups[train | val], share)
        flagged["now"].append({name: flags(each.of(test).unfamiliarity(known)) for name, each in changed.items()})
        mean, whitening = whitening_of(plain.statistics[train, OF_MEANS])
        far = {
            name: np.linalg.norm((each.statistics[:, OF_MEANS] - mean) @ whitening, axis=1)
            for name, each in changed.items()
        }
        limit = np.quantile(far["other_people"][val], share, method="higher")
        flagged["before"].append({name: flags(each[test] / limit) for name, each in far.items()})
    return [{"limit": limit, **pd.DataFrame(found).apply(_in_words).to_dict()} for limit, found in flagged.items()]


def _in_words(shares: pd.Series) -> str:
    return f"{shares.mean():.3f} ({shares.min():.3f} to {shares.max():.3f})"


def flags(unfamiliarity: Floats) -> float:
    """The share of frames that are unfamiliar."""
    return float((unfamiliarity > 1).mean())


if __name__ == "__main__":
    run(main)

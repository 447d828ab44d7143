"""Whether colours, size and sharpness alone tell fakes apart: ``python -m experiments.standin.check FOLDER``.

A logistic regression sees the mean and the spread of each channel, the bits that a pixel takes and how sharp a film is,
and no face. It is fitted on some people and tested on others. An AUROC well above 0.5 says that a manipulation can be
recognised without looking at the face, so what networks learn from the folder means little.
"""

from argparse import ArgumentParser
from pathlib import Path

import av
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.progress import progress
from deepfake_detection.index.groups import identity_groups
from deepfake_detection.pictures.faces import import_opencv
from deepfake_detection.sources.layouts import faceforensics
from stages import run

FOLDS, EVERY = 8, 5  # one frame of so many is looked at


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="films in the layout of FaceForensics++")
    print(pd.Series(aurocs(parser.parse_args().folder)).to_string(float_format="{:.3f}".format))


def aurocs(folder: Path) -> dict[str, float]:
    """The AUROC of each manipulation of ``folder`` against all originals.

    Raises UserError if the folder has no films in the layout, or too few people.
    """
    if not faceforensics.recognise(folder):
        raise UserError(f"{folder}: no {faceforensics.LOOKS_FOR}")
    films = faceforensics.read(folder).table
    films = films.assign(group=identity_groups(films))
    if (count := films["group"].nunique()) < FOLDS:
        raise UserError(f"{folder}: {count} groups of people, and at least {FOLDS} are needed")
    seen = np.array([traces(folder / path) for path in progress(films["file"], "reading", unit="film")])
    found = {}
    for name in sorted(set(films.loc[films["label"] == 1, "category"])):
        chosen = ((films["label"] == 0) | (films["category"] == name)).to_numpy()
        labels = films.loc[chosen, "label"]
        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        options = {"cv": GroupKFold(FOLDS), "groups": films.loc[chosen, "group"], "method": "decision_function"}
        found[name] = float(roc_auc_score(labels, cross_val_predict(model, seen[chosen], labels, **options)))
    return found


def traces(film: Path) -> NDArray[np.float64]:
    """Eight numbers of a film: the mean and the spread of each channel, bits for a pixel and frame, sharpness.

    The sharpness is the logarithm of the variance of the Laplacian, as is the bits'.
    """
    cv2, rows, frames, pixels = import_opencv(), [], 0, 1
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            if frames % EVERY == 0:
                picture = frame.to_ndarray(format="rgb24")
                pixels = picture.shape[0] * picture.shape[1]
                laplacian = cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_64F)
                rows.append([*picture.mean(axis=(0, 1)), *picture.std(axis=(0, 1)), np.log(laplacian.var() + 1e-9)])
            frames += 1
    if not rows:
        raise UserError(f"{film}: no frame can be read")
    return np.array([*np.mean(rows, axis=0), np.log(8 * film.stat().st_size / (pixels * frames))])


if __name__ == "__main__":
    run(main)

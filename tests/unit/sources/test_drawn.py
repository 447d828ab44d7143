"""The drawn data set: its layout, its bytes, and that it takes vision to tell its classes apart."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deepfake_detection.index.groups import identity_groups
from deepfake_detection.sources.drawn.drawing import CATEGORIES, ORIGINAL, Style, film, generate
from deepfake_detection.sources.drawn.manipulations import MANIPULATIONS
from deepfake_detection.sources.drawn.shifted import FIRST, SHIFTED
from deepfake_detection.sources.layouts import kaggle
from deepfake_detection.sources.layouts.table import Options

SIZE = 160  # of the shifted set


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    generate(root, CATEGORIES, identities=36, frames=2, size=96, seed=42)
    return root


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shifted")
    generate(root, CATEGORIES, identities=36, frames=2, size=SIZE, seed=42, style=SHIFTED)
    return root


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("style", [Style(), SHIFTED])
def test_same_seed_same_bytes_whatever_the_workers(tmp_path: Path, style: Style) -> None:
    for name, seed, workers in (("a", 1, 1), ("b", 1, 2), ("c", 2, 2)):
        generate(tmp_path / name, CATEGORIES, 4, frames=1, size=64, seed=seed, workers=workers, style=style)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a") != files(tmp_path / "c")


def test_layout_is_that_of_faceforensics(drawn: Path) -> None:
    found = kaggle.read(drawn)
    index = found.table
    assert found.rejected.empty
    assert index.groupby("category").size().to_dict() == dict.fromkeys(sorted(CATEGORIES), 36 * 2)
    fakes = index[index["category"] == "Deepfakes"]
    directions = set(zip(fakes["video_id"], fakes["source_id"], strict=True))
    assert directions == {(source, target) for target, source in directions}
    assert identity_groups(index).nunique() == 18


@pytest.mark.parametrize("style", [Style(), SHIFTED])
def test_manipulations_change_the_face_and_nothing_else(style: Style) -> None:
    target, source = film(0, 0, 128, 3, style), film(1, 0, 128, 3, style)
    for name, manipulate in MANIPULATIONS.items():
        change = np.abs(manipulate(target, source, np.random.default_rng(0)) - target.filmed).max(axis=2)
        edge = np.ones_like(change, dtype=bool)
        edge[16:-8, 24:-24] = False
        assert change[edge].max() == 0, name
        assert 0.005 < (change > 0.02).mean() < 0.5, name


def trivial_features(path: Path) -> NDArray[np.float64]:
    """Mean and spread of each colour over the frame and in each corner, and the file's size."""
    frame = np.asarray(Image.open(path), dtype=float)
    k = len(frame) // 8
    parts = [frame, frame[:k, :k], frame[:k, -k:], frame[-k:, :k], frame[-k:, -k:]]
    colours = [value for part in parts for value in (*part.mean((0, 1)), *part.std((0, 1)))]
    return np.array([*colours, path.stat().st_size])


@pytest.mark.parametrize("category", MANIPULATIONS)
@pytest.mark.parametrize("data_set", ["drawn", pytest.param("shifted", marks=pytest.mark.slow)])
def test_trivial_features_do_not_tell_fakes_apart(data_set: str, category: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(data_set)
    index = kaggle.read(root, Options(categories={ORIGINAL: 0, category: 1})).table
    features = np.stack([trivial_features(root / file) for file in index["file"]])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    groups = identity_groups(index)
    for columns in (features, features[:, -1:], features[:, :6]):
        scores = cross_val_predict(
            model, columns, index["label"], groups=groups, cv=GroupKFold(6), method="decision_function"
        )
        auroc = roc_auc_score(index["label"], scores)
        assert max(auroc, 1 - auroc) < 0.65


@pytest.mark.slow
def test_the_shifted_set_has_other_people_pictures_of_another_size_and_other_colours(
    drawn: Path, shifted: Path
) -> None:
    people = {int(path.name.split("_")[0]) for path in (shifted / "FF++C32-Frames" / ORIGINAL).iterdir()}
    assert people == set(range(FIRST, FIRST + 36))
    means = []
    for root in (drawn, shifted):
        pictures = [Image.open(path) for path in sorted((root / "FF++C32-Frames" / ORIGINAL).iterdir())]
        means.append(np.array([np.asarray(picture, float).mean((0, 1)) for picture in pictures]))
    assert {picture.size for picture in pictures} == {(SIZE, SIZE)}
    # it is not only darker or brighter: what is typical of one set is far from typical of the other
    blue = [mean[:, 2] - mean[:, 0] for mean in means]
    assert blue[1].mean() > blue[0].mean() + blue[0].std() / 2

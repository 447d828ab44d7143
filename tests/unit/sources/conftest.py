"""The miniatures of all layouts, made once."""

from pathlib import Path

import pytest

from tests.support.miniatures import (
    celebdf,
    deepfakebench,
    dfdc,
    dfdc_preview,
    faceforensics,
    folders,
    kaggle,
    manifest,
    wilddeepfake,
)

MAKERS = {
    "kaggle": kaggle.make,
    "kaggle cropped": kaggle.make_cropped,
    "faceforensics": faceforensics.make,
    "celebdf": celebdf.make,
    "celebdf plus": celebdf.make_plus,
    "dfdc": dfdc.make,
    "dfdc_preview": dfdc_preview.make,
    "deepfakebench": deepfakebench.make,
    "wilddeepfake": wilddeepfake.make,
    "folders": folders.make,
    "folders divided": folders.make_divided,
    "manifest": manifest.make,
}


@pytest.fixture(scope="package")
def miniatures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a miniature of each layout, by its name; some layouts have two."""
    root = tmp_path_factory.mktemp("miniatures")
    for name, make in MAKERS.items():
        make(root / name)
    return root

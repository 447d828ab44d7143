"""Each layout's miniature comes into data/raw and into the index, with nothing of the user's changed."""

from pathlib import Path

import pandas as pd
import pytest
from deepfake_detection.index.listing import wanted_categories
from deepfake_detection.params.data import Data

from deepfake_detection.common.errors import UserError
from deepfake_detection.index.build import build_index
from deepfake_detection.index.groups import frame_groups
from deepfake_detection.sources.gather import find, gather
from deepfake_detection.sources.layouts import detect, manifest
from tests.support.miniatures import folders
from tests.support.miniatures.drawing import film, picture
from tests.support.params import tree

# frames, videos and groups in the index, and rejected files
COUNTS = {
    "kaggle cropped": (8, 4, 1, 0),
    "faceforensics": (28, 8, 2, 0),
    "celebdf": (40, 10, 6, 0),
    "celebdf plus": (20, 5, 2, 0),
    "dfdc": (32, 8, 4, 0),
    "dfdc_preview": (32, 8, 4, 0),
    "deepfakebench": (24, 12, 4, 0),
    "wilddeepfake": (10, 6, 4, 0),
    "folders": (22, 8, 8, 0),
    "folders divided": (6, 6, 3, 0),
    "manifest": (12, 4, 2, 0),
}
TABLE = """path,dataset,category,label,video_id,source_id,group,unit,frame,split
folders/fake/broken.mp4,folders,fake,1,broken,,fake/broken,fake/broken,-1,
folders/fake/interview/000003.png,folders,fake,1,interview,,fake/interview,fake/interview,3,
folders/fake/other.mp4/000000.png,folders,fake,1,other,,fake/other,fake/other,0,
folders/fake/other.mp4/000001.png,folders,fake,1,other,,fake/other,fake/other,1,
folders/real/interview.mp4/000002.png,folders,real,0,interview,,real/interview,real/interview,2,
folders/real/interview.mp4/000006.png,folders,real,0,interview,,real/interview,real/interview,6,
"""
REJECTED = """path,category,reason
folders/fake/broken.mp4,fake,"no frame of the video: a text file, neither a picture nor a video"
folders/fake/notes.txt,fake,neither a picture nor a video by its name
"""


def data(local_dir: Path, real: list[str], fake: list[str], unseen: tuple[str, ...] = (), **changes: object) -> Data:
    categories = {"real": real, "fake": fake, "unseen": [*unseen]}
    return Data.model_validate(tree()["data"] | {"local_dir": str(local_dir), "categories": categories} | changes)


def index_of(
    folder: Path, wanted: Data, raw: Path, official: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, object]]:
    raw.mkdir()
    gather(find(folder, wanted.layout), wanted, raw, raw.parent / "work", official)
    real, fake, unseen = wanted_categories(raw, wanted.categories)
    index, rejected, counts = build_index(raw, real, fake + unseen, 1.0, 1, {} if official else None)
    return index.assign(group=frame_groups(index, unseen)), rejected, counts


@pytest.mark.parametrize("name", COUNTS)
def test_a_miniature_is_indexed(miniatures: Path, tmp_path: Path, name: str) -> None:
    folder = miniatures / name
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    _, _, layout = detect.read(folder)
    real, fake = (sorted(layout.table.loc[layout.table["label"] == label, "category"].unique()) for label in (0, 1))
    index, _, counts = index_of(folder, data(folder, real, fake), tmp_path / "raw")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert (counts["frames"], counts["videos"], index["group"].nunique(), counts["rejected"]) == COUNTS[name]
    assert set(index["category"]) == {*real, *fake}
    base = manifest.base(folder)
    for path, dataset in zip(index["path"], index["dataset"], strict=True):
        assert (tmp_path / "raw" / path).is_file()
        own = path.removeprefix(f"{dataset}/")
        assert (base / own).is_file() or (base / own).parent.is_file()  # a picture, or a frame of a video


def test_a_table_says_what_each_frame_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, raw = tmp_path / "own", tmp_path / "raw"
    film(folder / "real" / "interview.mp4", 1, False, frames=8)
    film(folder / "fake" / "interview.mp4", 2, True, frames=2)
    picture(folder / "fake" / "interview" / "000003.png", 3, True)
    (folder / "fake" / "interview.mp4").rename(folder / "fake" / "other.mp4")
    (folder / "fake" / "broken.mp4").write_bytes(b"no video")
    (folder / "fake" / "notes.txt").write_text("notes")
    index, rejected, _ = index_of(folder, data(folder, ["real"], ["fake"], frames=2), raw)
    out = capsys.readouterr().out
    assert out.startswith("layout folders: it holds fake/ and real/\n")
    assert out.endswith("5 frames; 3 videos read; 2 files rejected\n")
    assert (raw / "frames.csv").read_text() == TABLE
    frames = [line.split(",")[0] for line in TABLE.splitlines()[1:]]
    assert index["path"].tolist() == [path for path in frames if path != "folders/fake/broken.mp4"]
    assert rejected.to_csv(index=False) == REJECTED


def test_what_is_only_evaluated_may_be_missing(miniatures: Path, tmp_path: Path) -> None:
    wanted = data(miniatures / "faceforensics", ["Original"], ["Deepfakes"], ("FaceSwap", "NeuralTextures"))
    index, _, _ = index_of(miniatures / "faceforensics", wanted, tmp_path / "raw")
    assert set(index["category"]) == {"Original", "Deepfakes", "FaceSwap"}
    assert set(index.loc[index["category"] == "FaceSwap", "label"]) == {1}
    missing = data(miniatures / "faceforensics", ["Original"], ["NeuralTextures"])
    with pytest.raises(UserError, match=r"no category NeuralTextures \(there is .*\); see real and fake$"):
        index_of(miniatures / "faceforensics", missing, tmp_path / "other")


def test_an_official_division_is_the_data_sets_own(tmp_path: Path) -> None:
    folders.make_divided(tmp_path / "divided")
    folders.make(tmp_path / "whole")
    index, _, _ = index_of(tmp_path / "divided", data(tmp_path, ["real"], ["fake"]), tmp_path / "raw", official=True)
    assert len(index) == 6
    with pytest.raises(UserError, match=r"does not say what is for training .*: set split\.strategy to group$"):
        index_of(tmp_path / "whole", data(tmp_path, ["real"], ["fake"]), tmp_path / "other", official=True)


def test_a_data_set_is_not_called_as_what_the_pipeline_writes(tmp_path: Path) -> None:
    picture(tmp_path / "own" / "a.png", 1, False)
    picture(tmp_path / "own" / "b.png", 2, True)
    (tmp_path / "own" / "manifest.csv").write_text("path,label,dataset\na.png,0,splits\nb.png,1,splits\n")
    with pytest.raises(UserError, match=r"^a data set cannot be called splits"):
        index_of(tmp_path / "own", data(tmp_path, ["real"], ["fake"]), tmp_path / "raw")

"""A data set comes into a folder of its own wherever it is from, with nothing of the user's changed."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of
from deepfake_detection.common.tables import (
    AUTHORS,
    FILES,
    LEFT_OUT,
    SOURCE,
    TABLE,
    VIDEO,
    VIDEOS,
    read_frames,
    read_rejected,
)
from deepfake_detection.index.build import index_counts, index_data_set
from deepfake_detection.index.groups import frame_groups
from deepfake_detection.params.data_sections import Dataset, Video, folders_of
from deepfake_detection.sources import gather as gathering
from deepfake_detection.sources.drawn.drawing import generate
from deepfake_detection.sources.gather import gather
from deepfake_detection.sources.kaggle_download import download_kaggle
from deepfake_detection.sources.layouts.tree import OUTSIDE
from tests.support.kaggle_server import Kaggle, zipped
from tests.support.miniatures.drawing import film, picture

# frames, videos and groups in the index
COUNTS = {
    "kaggle": (8, 4, 1),
    "kaggle cropped": (8, 4, 1),
    "faceforensics": (28, 8, 2),
    "celebdf": (40, 10, 6),
    "celebdf plus": (20, 5, 2),
    "dfdc": (32, 8, 4),
    "dfdc_preview": (32, 8, 4),
    "deepfakebench": (16, 8, 2),
    "wilddeepfake": (10, 6, 4),
    "folders": (22, 8, 4),
    "folders divided": (6, 6, 3),
    "manifest": (12, 4, 2),
}
TABLE_OF_OWN = """path,dataset,category,label,video_id,source_id,group,unit,frame,split
own/files/fake/broken.mp4,own,fake,1,broken,,broken,,-1,
own/files/fake/interview/000003.png,own,fake,1,interview,,interview,,3,
own/files/fake/other.mp4,own,fake,1,other,,other,,-1,
own/files/real/interview.mp4,own,real,0,interview,,interview,,-1,
"""
REJECTED_OF_OWN = """path,category,reason
own/files/fake/notes.txt,fake,neither a picture nor a video by its name
"""


class Gathered:
    """What ``gather`` makes of a data set, in ``folder``."""

    def __init__(self, tmp_path: Path, name: str = "own", frames: int = 4, **dataset: Any) -> None:
        self.folder = tmp_path / "raw" / name
        settings = Dataset.model_validate({"path": "none", "use": "train"} | dataset)
        owned = [tmp_path / "project" / "data"]
        gather(name, settings, Video(frames=frames), self.folder, owned)
        self.folders = folders_of({name: settings})
        self.table, self.rejected = read_frames(self.folder / TABLE), read_rejected(self.folder / LEFT_OUT)
        self.source = json.loads((self.folder / SOURCE).read_text())
        self.files = [path.removeprefix(f"{name}/{FILES}/") for path in self.table["path"]]


@pytest.mark.parametrize("name", COUNTS)
def test_a_miniature_is_gathered_and_indexed(miniatures: Path, tmp_path: Path, name: str) -> None:
    folder = miniatures / name
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")}
    called = "FF-DF" if name == "deepfakebench" else "own"
    found = Gathered(tmp_path, called, path=str(folder))
    indexed = index_data_set(tmp_path / "raw", called, 0, False, 1, found.folders)
    counts, groups = index_counts(indexed.frames, indexed.rejected), frame_groups(indexed.frames)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")} == before
    assert (counts["frames"], counts["videos"], groups.nunique()) == COUNTS[name]
    assert indexed.rejected.empty
    assert set(indexed.frames["dataset"]) == {called}
    videos = (found.table["frame"] == VIDEO).tolist()
    told = {"video_frames": 4} if any(videos) else {}
    assert found.source == {"source": "local", "layout": name.split()[0]} | told
    copies = {inode for _, inode in before.values()}
    for file, is_video in zip(found.files, videos, strict=True):
        assert (folder / file).is_file()
        copy = found.folder / FILES / file
        assert not copy.exists() if is_video else copy.stat().st_ino not in copies


def test_a_table_says_what_each_frame_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mine"
    film(folder / "real" / "interview.mp4", 1, False, frames=8)
    film(folder / "fake" / "interview.mp4", 2, True, frames=2)
    picture(folder / "fake" / "interview" / "000003.png", 3, True)
    (folder / "fake" / "interview.mp4").rename(folder / "fake" / "other.mp4")
    (folder / "fake" / "broken.mp4").write_bytes(b"no video")
    (folder / "fake" / "notes.txt").write_text("notes")
    found = Gathered(tmp_path, frames=2, path=str(folder))
    assert (found.folder / TABLE).read_text() == TABLE_OF_OWN
    assert (found.folder / LEFT_OUT).read_text() == REJECTED_OF_OWN
    out = capsys.readouterr().out
    assert out.startswith("own: layout folders: it holds fake/ and real/\n")
    assert out.endswith("own: 1 pictures; 3 videos; 1 files rejected\n")
    hashes = dict(pd.read_csv(found.folder / VIDEOS).itertuples(index=False, name=None))
    assert hashes == {
        f"own/{FILES}/{name}": sha256_of(folder / name)
        for name in ("fake/broken.mp4", "fake/other.mp4", "real/interview.mp4")
    }
    indexed = index_data_set(tmp_path / "raw", "own", 1, False, 1, found.folders)
    assert indexed.missing["video_id"].tolist() == ["broken"]
    assert indexed.frames[["path", "frame", "seconds"]].to_numpy().tolist() == [
        [f"own/{FILES}/fake/interview/000003.png", 3, 0.0],
        [f"own/{FILES}/fake/other.mp4/000000", 0, 0.0],
        [f"own/{FILES}/fake/other.mp4/000001", 1, 0.1],
        [f"own/{FILES}/real/interview.mp4/000002", 2, 0.2],
        [f"own/{FILES}/real/interview.mp4/000006", 6, 0.6],
    ]
    broken = "no frame of the video: a text file, neither a picture nor a video"
    assert indexed.rejected["reason"].tolist() == [broken, "neither a picture nor a video by its name"]


def test_what_is_drawn_is_in_place(tmp_path: Path) -> None:
    drawn: dict[str, Any] = {"identities": 4, "frames": 2, "size": 32, "seed": 3}
    wanted: dict[str, Any] = {"real": ["Original"], "fake": ["Deepfakes"], "unseen": ["FaceSwap"], "drawn": drawn}
    found = Gathered(tmp_path, layout="embedded", **wanted)
    generate(tmp_path / "again", ["Original", "Deepfakes", "FaceSwap"], workers=1, **drawn)
    again = {path.relative_to(tmp_path / "again").as_posix(): path for path in (tmp_path / "again").rglob("*.jpg")}
    assert found.files == sorted(again)
    assert all((found.folder / FILES / file).read_bytes() == path.read_bytes() for file, path in again.items())
    assert found.rejected.empty
    assert found.source == {"source": "embedded", "layout": "embedded"}
    other = Gathered(tmp_path, "other", layout="embedded_shifted", drawn=drawn)
    assert other.source["layout"] == "embedded_shifted"
    assert other.table["category"].nunique() > 3  # all, where none is named
    with pytest.raises(UserError, match=r"^datasets\.third: DeepFaceLab cannot be drawn"):
        Gathered(tmp_path, "third", layout="embedded", real=["Original"], fake=["DeepFaceLab"])


def test_a_list_of_files_names_what_lies_beside_it(miniatures: Path, tmp_path: Path) -> None:
    whole = Gathered(tmp_path, path=str(miniatures / "manifest"))
    listed = Gathered(tmp_path, "listed", path=str(miniatures / "manifest" / "manifest.csv"), layout="manifest")
    assert listed.files == whole.files
    assert not (listed.folder / FILES / "manifest.csv").exists()
    assert listed.table["label"].tolist() == whole.table["label"].tolist()


def test_categories_that_are_only_tested_on_may_be_missing(miniatures: Path, tmp_path: Path) -> None:
    wanted: dict[str, Any] = {"path": str(miniatures / "faceforensics"), "real": ["Original"]}
    found = Gathered(tmp_path, **wanted, fake=["Deepfakes"], unseen=["FaceSwap", "NeuralTextures"])
    assert set(found.table["category"]) == {"Original", "Deepfakes", "FaceSwap"}
    assert set(found.table.loc[found.table["category"] == "FaceSwap", "label"]) == {1}
    with pytest.raises(UserError, match=r"^datasets\.other: .*no category NeuralTextures .*see real and fake$"):
        Gathered(tmp_path, "other", **wanted, fake=["NeuralTextures"])


def test_of_a_divided_data_set_only_the_test_part_is_tested_on(
    miniatures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Gathered(tmp_path, path=str(miniatures / "folders divided"), use="test")
    assert found.files == ["Test/0/004_f4.jpg", "Test/1/004_005_f4.jpg"]
    assert "own: 4 of 6 files are not of its part for the test: left out\n" in capsys.readouterr().out
    assert len(Gathered(tmp_path, "whole", path=str(miniatures / "kaggle"), use="test").table) == 8
    picture(tmp_path / "half" / "a.png", 1, False)
    picture(tmp_path / "half" / "b.png", 2, True)
    (tmp_path / "half" / "manifest.csv").write_text("path,label,split\na.png,0,train\nb.png,1,test\n")
    with pytest.raises(UserError, match=r"^datasets\.half: its part for the test lacks one class"):
        Gathered(tmp_path, "half", path=str(tmp_path / "half"), use="test")


def test_pictures_without_labels_can_only_be_adapted_to(miniatures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    picture(folder / "a" / "1.png", 1, False)
    film(folder / "b.mp4", 2, False, frames=2)
    found = Gathered(tmp_path, path=str(folder), use="adapt")
    assert (set(found.table["label"]), found.source["layout"]) == ({-1}, "unlabelled")
    assert found.files == ["a/1.png", "b.mp4"]
    with pytest.raises(UserError, match=r"^datasets\.other: .*no known layout.*can be used with use: adapt$"):
        Gathered(tmp_path, "other", path=str(folder))
    labelled = Gathered(tmp_path, "divided", path=str(miniatures / "folders divided"), use="adapt")
    assert (set(labelled.table["label"]), set(labelled.table["split"])) == ({-1}, {""})
    assert len(labelled.table) == 6


def test_of_several_data_sets_in_a_folder_one_is_named(
    miniatures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted: dict[str, Any] = {"path": str(miniatures / "deepfakebench")}
    found = Gathered(tmp_path, "Celeb-DF-v2", **wanted)
    assert set(found.table["category"]) == {"CelebDFv2_real", "CelebDFv2_fake"}
    assert len(found.table) == 8
    assert "Celeb-DF-v2: 16 of 24 files are of other data sets: left out\n" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"^datasets\.own: .* holds several data sets \(Celeb-DF-v2, FF-DF\): call it"):
        Gathered(tmp_path, **wanted)


def test_a_download_from_kaggle_is_gathered_and_its_links_out_are_not(
    kaggle_server: Kaggle, miniatures: Path, tmp_path: Path
) -> None:
    folder = miniatures / "kaggle"
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    kaggle_server.archive = kaggle_server.md5_of = zipped(files)
    found = Gathered(tmp_path, kaggle="owner/name/versions/3")
    assert found.source == {"source": "kaggle", "handle": "owner/name/versions/3", "version": 3, "layout": "kaggle"}
    assert {file: (found.folder / FILES / file).read_bytes() for file in found.files} == {
        file: content for file, content in files.items() if file.endswith(".jpg")
    }
    name = found.files[0]
    (tmp_path / "secret.jpg").write_bytes(files[name])
    unpacked = download_kaggle("owner/name/versions/3")[0] / name
    unpacked.unlink()
    unpacked.symlink_to(tmp_path / "secret.jpg")
    again = Gathered(tmp_path, "again", kaggle="owner/name/versions/3")
    assert again.rejected[["path", "reason"]].to_numpy().tolist() == [[f"again/{FILES}/{name}", OUTSIDE]]
    assert not (again.folder / FILES / name).exists()


def test_videos_that_were_downloaded_come_along(kaggle_server: Kaggle, miniatures: Path, tmp_path: Path) -> None:
    folder = miniatures / "celebdf"
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    kaggle_server.archive = kaggle_server.md5_of = zipped(files)
    found = Gathered(tmp_path, frames=2, kaggle="owner/name/versions/3")
    assert {file: (found.folder / FILES / file).read_bytes() for file in found.files} == {
        file: content for file, content in files.items() if file.endswith(".mp4")
    }
    assert found.folders == {}
    assert len(index_data_set(tmp_path / "raw", "own", 0, False, 1).frames) == 2 * len(found.files)


def test_links_in_a_folder_of_the_users_are_followed(miniatures: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for path in (miniatures / "folders").iterdir():
        (tmp_path / "mine" / path.name).symlink_to(path)
    found = Gathered(tmp_path, path=str(tmp_path / "mine"))
    assert len(index_data_set(tmp_path / "raw", "own", 0, False, 1, found.folders).frames) == COUNTS["folders"][0]
    assert not any(path.is_symlink() for path in found.folder.rglob("*"))


@pytest.mark.parametrize("place", ["project/data/raw/own", "project/data", "project", "link"])
def test_a_data_set_does_not_lie_where_the_pipeline_writes(tmp_path: Path, place: str) -> None:
    (tmp_path / "project" / "data" / "raw" / "own").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "project")
    with pytest.raises(UserError, match=rf"^datasets\.own: path: {tmp_path / place} and .*/data/.* lie in each other"):
        Gathered(tmp_path, path=str(tmp_path / place))


def test_the_authors_lists_come_along(miniatures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not (Gathered(tmp_path, path=str(miniatures / "kaggle")).folder / AUTHORS).exists()
    (tmp_path / "mine").mkdir()
    for path in (miniatures / "kaggle").iterdir():
        (tmp_path / "mine" / path.name).symlink_to(path)
    (tmp_path / "mine" / "conversion_dict.json").write_text("{}")
    found = Gathered(tmp_path, "mine", path=str(tmp_path / "mine"))
    assert [path.name for path in (found.folder / AUTHORS).iterdir()] == ["conversion_dict.json"]
    asked: list[Path] = []
    monkeypatch.setattr(gathering, "fetch_lists", asked.append)
    told = Gathered(tmp_path, "told", path=str(tmp_path / "mine"), lists="authors")
    assert asked == [told.folder / AUTHORS]

"""Each layout reads its miniature into exact rows, and is recognised as itself and nothing else."""

import shutil
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest

from deepfake_detection.index.groups import frame_groups
from deepfake_detection.sources.layouts import detect
from deepfake_detection.sources.layouts.table import COLUMNS, REJECTED_COLUMNS, Options
from tests.unit.sources.conftest import MAKERS

# the rows of each miniature, made by hand; for the several data sets of DeepfakeBench those of one
ROWS = pd.read_csv(
    Path(__file__).with_name("rows.csv"), dtype=defaultdict(lambda: "str", label="int", frame="int"), na_filter=False
)


def rows_of(table: pd.DataFrame) -> list[tuple[object, ...]]:
    """The rows, with the groups that are made of target and source where the layout names none."""
    table = table.assign(group=frame_groups(table))
    return list(table[ROWS.columns[1:]].itertuples(index=False, name=None))


@pytest.mark.parametrize("name", ROWS["miniature"].unique())
def test_every_miniature_gives_its_rows(miniatures: Path, name: str) -> None:
    rows = ROWS[ROWS["miniature"] == name].drop(columns="miniature")
    layout, _, read = detect.read(miniatures / name)
    assert layout == name.split()[0]
    assert list(read.table) == list(COLUMNS)
    table = read.table[read.table["dataset"].isin(rows["dataset"])]
    assert rows_of(table) == list(rows.itertuples(index=False, name=None))
    assert (len(table) == len(read.table)) == (name != "deepfakebench")
    assert list(read.rejected) == REJECTED_COLUMNS
    assert read.rejected.empty
    assert all((miniatures / name / file).is_file() for file in read.table["file"])


def test_deepfakebench_gives_the_rows_of_both_data_sets(miniatures: Path) -> None:
    _, _, read = detect.read(miniatures / "deepfakebench")
    assert read.notes == ("Celeb-DF-v2: 2 videos stand in several parts; those of test are not trained on",)
    forensics = read.table[read.table["dataset"] == "FF-DF"]
    forensics = forensics.assign(group=frame_groups(forensics))
    counts = forensics.groupby(["category", "label", "group", "split"]).size()
    assert counts.to_dict() == {
        (category, label, group, split): 4
        for label, category in enumerate(("FF-real", "FF-DF"))
        for group, split in (("000", "train"), ("007", "val"))
    }


@pytest.mark.parametrize("name", MAKERS)
def test_every_miniature_is_recognised_as_itself_only(miniatures: Path, name: str) -> None:
    fitting = [layout for layout, module in detect.LAYOUTS.items() if module.recognise(miniatures / name)]
    assert fitting == [name.split()[0]]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("kaggle", "it holds FF++C32-Frames/"),
        ("kaggle cropped", "cropped-aligned.csv has the columns filepath and label"),
        ("faceforensics", "it holds manipulated_sequences/ and original_sequences/"),
        ("celebdf plus", "it holds Celeb-Real/ and Youtube-real/ and Celeb-synthesis/"),
        ("dfdc", "dfdc_train_part_0/metadata.json describes videos"),
        ("dfdc_preview", "it holds method_A/ and method_B/ and original_videos/"),
        ("deepfakebench", "Celeb-DF-v2.json names the frames of videos"),
        ("folders divided", "it holds Test/0/ and Test/1/ and train/0/ and train/1/"),
        ("manifest", "it holds manifest.csv"),
        ("manifest/manifest.csv", "manifest.csv is a list of files"),
    ],
)
def test_detection_says_why(miniatures: Path, name: str, why: str) -> None:
    assert detect.detect(miniatures / name)[1] == why


@pytest.mark.parametrize("name", sorted(MAKERS.keys() - {"kaggle cropped", "deepfakebench", "manifest"}))
def test_no_file_beside_the_videos_is_dropped_in_silence(miniatures: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    shutil.copytree(miniatures / name, folder)
    (tmp_path / "secret.png").touch()
    _, _, before = detect.read(folder)
    strangers = set()
    for below in {str(Path(file).parent) for file in before.table["file"]}:
        strangers |= {f"{below}/zz.{suffix}" for suffix in ("png", "mp4", "txt")} | {f"{below}/zz_link.png"}
        (folder / below / "zz_link.png").symlink_to(tmp_path / "secret.png")
    for stranger in strangers:
        (folder / stranger).touch()
    _, _, after = detect.read(folder)
    left_out = strangers - {*after.table["file"]} - {*after.rejected["path"]}
    assert not left_out
    assert {*before.table["file"]} <= {*after.table["file"]}
    assert all(reason for reason in after.rejected["reason"])


@pytest.mark.parametrize("name", ["celebdf", "dfdc", "faceforensics"])
def test_the_user_names_the_data_set_and_the_categories(miniatures: Path, name: str) -> None:
    _, _, everything = detect.read(miniatures / name)
    labels = dict(zip(everything.table["category"], everything.table["label"], strict=True))
    real, fake = (next(category for category in labels if labels[category] == label) for label in (0, 1))
    _, _, read = detect.read(miniatures / name, name, Options(dataset="mine", categories={real: 0, fake: 1}))
    assert {*read.table["dataset"]} == {"mine"}
    assert {*read.table["category"]} == {real, fake}
    wanted = everything.table[everything.table["category"].isin([real, fake])]
    assert list(read.table["file"]) == list(wanted["file"])

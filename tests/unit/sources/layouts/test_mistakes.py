"""A user's mistake ends with one line that names the file, the cause and what to do; nothing is lost."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.layouts import detect
from deepfake_detection.sources.layouts.table import COLUMNS, REJECTED_COLUMNS, Options, validate
from tests.support.miniatures.empty import touch, write

DFDC = '{"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "FAKE"}}'
METADATA = "dfdc_train_part_0/metadata.json"
BENCH = '{"X": {"X_real": {"train": {"v": {"label": "X_real", "frames": ["r/1.png"]}}}, "X_fake": {"train": {%s}}}}'
CELEB = ("Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4")
TESTING = "List_of_testing_videos.txt"
YOUTUBE = "original_sequences/youtube"
NAMELESS = '"neither a picture nor a video by its name"'
PAIR = ("a.png", "b.png")

# the empty files of a folder, the text of further files, and the line, in which DIR is the folder
Mistake = tuple[tuple[str, ...], dict[str, Any], str]
MISTAKES: dict[str, Mistake] = {
    "nothing": ((), {}, "DIR is empty: path must name a data set"),
    "nested": (("Celeb-DF-v2/Celeb-real/id0_0000.mp4",), {}, "DIR has no known layout, but its folder Celeb-DF-v2 "),
    "two layouts": (("real/a.png", "fake/b.png", CELEB[0]), {}, "DIR fits several layouts: celebdf (it holds "),
    "one class": (("real/a.png", "real/b.png"), {}, "DIR holds originals only, and no fake: both classes are needed"),
    "one class left": (
        ("real/a.png", "fake/b.txt", "fake/c.pdf"),
        {},
        f"DIR holds originals only, and no fake; 2 files are rejected, most often {NAMELESS} (2), e.g. fake/b.txt: ",
    ),
    "methods": (("original/a.mp4", "Deepfakes/b.mp4"), {}, "DIR holds originals only, and no fake; Deepfakes/ "),
    "no picture": (("real/a.txt", "fake/b.txt"), {}, "DIR: no picture or video can be used: all 2 files are rejected,"),
    "empty classes": (("real/.keep", "fake/.keep"), {}, "DIR: no picture or video can be used: it holds none; check "),
    "no metadata": (
        ("dfdc_train_part_0/a.mp4", "dfdc_train_part_1/c.mp4"),
        {METADATA: DFDC},
        "DIR/dfdc_train_part_1/metadata.json is missing: ",
    ),
    "metadata's label": ((), {METADATA: DFDC.replace("REAL", "TRUE")}, f"DIR/{METADATA}: the label of a.mp4 is 'TRUE'"),
    "broken metadata": ((), {METADATA: DFDC[:20]}, f"DIR/{METADATA} is not JSON (Expecting value: line 1 column 21 "),
    "metadata that is a list": ((), {METADATA: "[]"}, f"DIR/{METADATA} is JSON, but not an object of names: "),
    "labels": ((), {"test/labels.csv": "filename,label\na.mp4,0\nb.mp4,2\n"}, "DIR/test/labels.csv, line 3: "),
    "no dataset.json": (("original_videos/1/1_A_001.mp4", "method_A/1/1_A/2_1_A_001.mp4"), {}, "DIR/dataset.json is "),
    "wrong label in dataset.json": (
        ("original_videos/1/1_A_001.mp4",),
        {"dataset.json": {"original_videos/1/1_A_001.mp4": {"label": "fake", "set": "train"}}},
        "DIR/dataset.json: the label of original_videos/1/1_A_001.mp4 does not fit its folder: ",
    ),
    **{
        f"list with {line}": (CELEB, {TESTING: text}, f"DIR/{TESTING}{line}")
        for text, line in (
            ("1 Celeb-real/id9_0000.mp4\n0 Celeb-synthesis/id9_id8_0000.mp4\n", ": none of its 2 videos is there: "),
            (f"0 {CELEB[1]}\n0 {CELEB[0]}\n", f", line 2: 0 means fake in this list, but {CELEB[0]} is the opposite: "),
            (f"{CELEB[0]}\n", f", line 1: '{CELEB[0]}' is not a line like "),
            ("1 Real/id0_0000.mp4\n", ", line 1: Real/id0_0000.mp4 is in none of Celeb-real, "),
        )
    },
    **{
        f"bench: {line}": (("r/1.png", "f/1.png"), {"X.json": BENCH % video}, f"DIR/X.json: {line}")
        for video, line in (
            ('"w": {"label": "X", "frames": ["f/1.png"]}', "label 'X' of video w says neither real nor fake: "),
            ('"w": {"label": "X_fake"}', "video w of X_fake has no list of frames: "),
        )
    },
    "broken bench": ((), {"X.json": (BENCH % "")[:-5]}, "DIR/X.json is not JSON (Expecting value: "),
    "packed": (("real_train/0.tar.gz", "fake_train/0.tar.gz"), {}, "DIR/fake_train holds 1 archives, e.g. "),
    "other compression": (
        (f"{YOUTUBE}/c40/videos/000.mp4", f"{YOUTUBE}/raw/videos/000.mp4"),
        {},
        "DIR: Original is not there in c23, but in c40, raw: set compression, ",
    ),
    "broken split list": (
        (f"{YOUTUBE}/c23/videos/000.mp4", "splits/val.json", "splits/test.json"),
        {"splits/train.json": {"000": "003"}},
        "DIR/splits/train.json is not a list of pairs such as ",
    ),
    **{
        f"manifest: {line}": (PAIR, {"manifest.csv": text}, f"DIR{line}")
        for text, line in (
            ("path,label\na.png,real\nb.png,maybe\n", "/manifest.csv, row 3: label 'maybe' is not known: "),
            ("path,label,split\na.png,0,train\nb.png,1,dev\n", "/manifest.csv, row 3: split 'dev' is not known: "),
            ("path,class\na.png,real\n", "/manifest.csv lacks the column label (there is path, class)"),
            (
                "path,label\na.png,0\nb.png,1\na.png,1\n",
                "/manifest.csv, row 4: a.png has another label in a row before",
            ),
            ("path,label,category\na.png,0,x\nb.png,1,x\n", ": originals and fakes have one category (x): "),
            ("path,label,dataset\na.png,0,../up\nb.png,1,../up\n", ": dataset '../up': a name may have letters, "),
            (
                "path,label\n/a.png,0\n/b.png,1\n",
                ': no picture or video can be used: all 2 files are rejected, most often "abs',
            ),
            ("", "/manifest.csv lacks the column path and label (there is none): "),
        )
    },
}


def make(folder: Path, name: str) -> None:
    files, contents, _ = MISTAKES[name]
    touch(folder, *files)
    for path, content in contents.items():
        write(folder, path, content)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(tmp_path: Path, name: str) -> None:
    make(tmp_path, name)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(UserError) as caught:
        detect.read(tmp_path)
    assert str(caught.value).startswith(MISTAKES[name][2].replace("DIR", str(tmp_path)))
    assert "\n" not in str(caught.value)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_an_unknown_folder_gets_one_line_of_what_was_looked_for(tmp_path: Path) -> None:
    touch(tmp_path, "holiday/a.png", "notes.txt")
    with pytest.raises(UserError) as caught:
        detect.detect(tmp_path)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path} has no known layout; looked for: kaggle: FF++C32-Frames/, or a CSV")
    assert all(f"{name}: {module.LOOKS_FOR}" in line for name, module in detect.LAYOUTS.items())
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("nowhere", ": no such file or folder: correct path"),
        ("notes.txt", " is neither a folder nor a CSV, TSV or Parq"),
    ],
)
def test_what_is_no_folder(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(UserError) as caught:
        detect.read(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}{line}")


def test_a_layout_that_is_chosen_ends_the_doubt_if_it_fits(tmp_path: Path) -> None:
    make(tmp_path, "two layouts")
    name, why, read = detect.read(tmp_path, "folders")
    assert (name, why, len(read.table)) == ("folders", "layout says so", 2)
    with pytest.raises(UserError, match=r"does not fit layout kaggle: there is no FF\+\+C32-Frames/"):
        detect.read(tmp_path, "kaggle")


def test_a_category_of_the_other_class(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png", "fake/b.png")
    with pytest.raises(UserError) as caught:
        detect.read(tmp_path, options=Options(categories={"real": 1, "fake": 0}))
    assert str(caught.value).startswith(f"params.yaml calls fake an original, but {tmp_path} says a fake: ")


def test_one_class_is_enough_if_the_caller_says_so(tmp_path: Path) -> None:
    make(tmp_path, "one class")
    _, _, read = detect.read(tmp_path, options=Options(one_class=True))
    assert len(read.table) == 2


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="with pyarrow, Parquet is read")
def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    touch(tmp_path, "list.parquet")
    with pytest.raises(UserError, match=r"list\.parquet: reading Parquet needs pyarrow: pip install pyarrow, or save"):
        detect.read(tmp_path / "list.parquet")


@pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not among the dependencies")
def test_parquet_is_read_like_a_csv(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png", "c.png")
    pd.DataFrame({"path": ["a.png", "b.png", "c.png"], "label": [0, 1, 1], "video": ["v", None, "w"]}).to_parquet(
        tmp_path / "manifest.parquet"
    )
    _, _, read = detect.read(tmp_path)
    assert list(read.table["video_id"]) == ["v", "b.png", "w"]
    (tmp_path / "manifest.parquet").write_text("no table")
    with pytest.raises(UserError, match="is not a Parquet file"):
        detect.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"label": 2}, "a label that is not 0 or 1"),
        ({"split": "dev"}, "a split that is not train, val, test"),
        ({"video_id": ""}, "a video without a name"),
        ({"frame": -2}, "a frame with a negative number"),
        ({"file": "b"}, "b is listed twice: take one of the two away"),
        ({"category": "a b"}, "category 'a b': a name may have letters"),
    ],
)
def test_the_table_is_checked(tmp_path: Path, change: dict[str, str | int], line: str) -> None:
    row = {name: "x" if kind is str else 0 for name, kind in COLUMNS.items()} | {"split": ""}
    rows = [row | {"file": "a"} | change, row | {"file": "b", "label": 1, "category": "y", "video_id": "w"}]
    with pytest.raises(UserError, match=line):
        validate(pd.DataFrame(rows).astype(COLUMNS), pd.DataFrame(columns=REJECTED_COLUMNS), tmp_path)


def test_two_files_with_one_frame_of_a_video(tmp_path: Path) -> None:
    touch(tmp_path, "Celeb-real/id0_0000.mp4", "Celeb-real/id0_0000.avi", "Celeb-synthesis/id0_id1_0000.mp4")
    with pytest.raises(UserError, match=r": Celeb-real/id0_0000\.mp4 has the video and the number of another file: "):
        detect.read(tmp_path)

"""A user's mistake ends with one line that names the file, the cause and what to do; nothing is lost."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.layouts import detect
from deepfake_detection.sources.layouts.table import COLUMNS, REJECTED_COLUMNS, Options, validate
from tests.support.miniatures.empty import touch, write

DFDC = '{"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "FAKE"}}'
BENCH = '{"X": {"X_real": {"train": {"v": {"label": "X_real", "frames": ["r/1.png"]}}}, "X_fake": {"train": {%s}}}}'


def nothing(folder: Path) -> None:
    pass


def unknown(folder: Path) -> None:
    touch(folder, "holiday/a.png", "notes.txt")


def nested(folder: Path) -> None:
    touch(folder, "Celeb-DF-v2/Celeb-real/id0_0000.mp4")


def two_layouts(folder: Path) -> None:
    touch(folder, "real/a.png", "fake/b.png", "Celeb-real/id0_0000.mp4")


def one_class(folder: Path) -> None:
    touch(folder, "real/a.png", "real/b.png")


def one_class_left(folder: Path) -> None:
    touch(folder, "real/a.png", "fake/b.txt", "fake/c.pdf")


def methods_beside_originals(folder: Path) -> None:
    touch(folder, "original/a.mp4", "Deepfakes/b.mp4")


def no_picture(folder: Path) -> None:
    touch(folder, "real/a.txt", "fake/b.txt")


def empty_classes(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "fake").mkdir()


def no_metadata(folder: Path) -> None:
    touch(folder, "dfdc_train_part_0/a.mp4", "dfdc_train_part_1/c.mp4")
    write(folder, "dfdc_train_part_0/metadata.json", DFDC)


def wrong_label_in_metadata(folder: Path) -> None:
    touch(folder, "dfdc_train_part_0/a.mp4")
    write(folder, "dfdc_train_part_0/metadata.json", DFDC.replace("REAL", "TRUE"))


def broken_metadata(folder: Path) -> None:
    write(folder, "dfdc_train_part_0/metadata.json", DFDC[:20])


def metadata_that_is_a_list(folder: Path) -> None:
    write(folder, "dfdc_train_part_0/metadata.json", "[]")


def wrong_label_in_labels(folder: Path) -> None:
    write(folder, "test/labels.csv", "filename,label\na.mp4,0\nb.mp4,2\n")


def no_dataset_json(folder: Path) -> None:
    touch(folder, "original_videos/1/1_A_001.mp4", "method_A/1/1_A/2_1_A_001.mp4")


def wrong_label_in_dataset_json(folder: Path) -> None:
    touch(folder, "original_videos/1/1_A_001.mp4")
    write(folder, "dataset.json", {"original_videos/1/1_A_001.mp4": {"label": "fake", "set": "train"}})


def celeb(folder: Path, text: str) -> None:
    touch(folder, "Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4")
    write(folder, "List_of_testing_videos.txt", text)


def list_of_absent_videos(folder: Path) -> None:
    celeb(folder, "1 Celeb-real/id9_0000.mp4\n0 Celeb-synthesis/id9_id8_0000.mp4\n")


def list_with_zero_for_real(folder: Path) -> None:
    celeb(folder, "0 Celeb-synthesis/id0_id1_0000.mp4\n0 Celeb-real/id0_0000.mp4\n")


def list_of_something_else(folder: Path) -> None:
    celeb(folder, "Celeb-real/id0_0000.mp4\n")


def list_with_another_folder(folder: Path) -> None:
    celeb(folder, "1 Real/id0_0000.mp4\n")


def bench(folder: Path, fake: str) -> None:
    touch(folder, "r/1.png", "f/1.png")
    write(folder, "X.json", BENCH % fake)


def wrong_label_in_bench(folder: Path) -> None:
    bench(folder, '"w": {"label": "X", "frames": ["f/1.png"]}')


def no_frames_in_bench(folder: Path) -> None:
    bench(folder, '"w": {"label": "X_fake"}')


def absolute_paths_in_bench(folder: Path) -> None:
    touch(folder, "r/1.png")
    write(
        folder, "X.json", (BENCH % '"w": {"label": "X_fake", "frames": ["/data/f/1.png"]}').replace("r/1", "/data/r/1")
    )


def broken_bench(folder: Path) -> None:
    write(folder, "X.json", (BENCH % "")[:-5])


def packed(folder: Path) -> None:
    touch(folder, "real_train/0.tar.gz", "real_train/1.tar.gz", "fake_train/0.tar.gz")


def other_compression(folder: Path) -> None:
    touch(folder, "original_sequences/youtube/c40/videos/000.mp4", "original_sequences/youtube/raw/videos/000.mp4")


def broken_split_list(folder: Path) -> None:
    touch(folder, "original_sequences/youtube/c23/videos/000.mp4", "splits/val.json", "splits/test.json")
    write(folder, "splits/train.json", {"000": "003"})


def manifest(folder: Path, text: str) -> None:
    touch(folder, "a.png", "b.png")
    write(folder, "manifest.csv", text)


def unknown_label(folder: Path) -> None:
    manifest(folder, "path,label\na.png,real\nb.png,maybe\n")


def unknown_split(folder: Path) -> None:
    manifest(folder, "path,label,split\na.png,real,train\nb.png,fake,dev\n")


def no_label_column(folder: Path) -> None:
    manifest(folder, "path,class\na.png,real\n")


def two_labels(folder: Path) -> None:
    manifest(folder, "path,label\na.png,real\nb.png,fake\na.png,fake\n")


def one_category_of_both(folder: Path) -> None:
    manifest(folder, "path,label,category\na.png,real,mixed\nb.png,fake,mixed\n")


def a_name_that_is_none(folder: Path) -> None:
    manifest(folder, "path,label,dataset\na.png,real,../up\nb.png,fake,../up\n")


def all_rows_wrong(folder: Path) -> None:
    manifest(folder, "path,label\n/a.png,real\n/b.png,fake\n")


def empty_manifest(folder: Path) -> None:
    manifest(folder, "")


def not_utf8(folder: Path) -> None:
    (folder / "manifest.csv").write_bytes("path,label\nü.png,real\n".encode("latin-1"))


LINES: dict[Callable[[Path], None], str] = {
    nothing: "DIR is empty: path must name a data set",
    nested: "DIR has no known layout, but its folder Celeb-DF-v2 fits celebdf: set path to DIR/Celeb-DF-v2",
    two_layouts: "DIR fits several layouts: celebdf (it holds Celeb-real/); folders (it holds fake/ and real/): "
    "say in layout which one is meant",
    one_class: "DIR holds originals only, and no fake: both classes are needed",
    one_class_left: "DIR holds originals only, and no fake; 2 files are rejected, most often "
    '"neither a picture nor a video by its name" (2), e.g. fake/b.txt: both classes are needed',
    methods_beside_originals: "DIR holds originals only, and no fake; Deepfakes/ in DIR is called neither real nor "
    "fake: left out: both classes are needed",
    no_picture: "DIR: no picture or video can be used: all 2 files are rejected, most often "
    '"neither a picture nor a video by its name" (2), e.g. fake/b.txt; check path and layout',
    empty_classes: "DIR: no picture or video can be used: it holds none; check path and layout",
    no_metadata: "DIR/dfdc_train_part_1/metadata.json is missing: unpack that part again, or take its folder away",
    wrong_label_in_metadata: "DIR/dfdc_train_part_0/metadata.json: the label of a.mp4 is 'TRUE', not REAL or FAKE: "
    "get it again",
    broken_metadata: "DIR/dfdc_train_part_0/metadata.json is not JSON (Expecting value: line 1 column 21 "
    "(char 20)): get it again",
    metadata_that_is_a_list: "DIR/dfdc_train_part_0/metadata.json is JSON, but not an object of names: get it again",
    wrong_label_in_labels: "DIR/test/labels.csv, line 3: the label is '2', not 0 or 1: get the list again",
    no_dataset_json: "DIR/dataset.json is missing: it says what each video is; unpack the data set again",
    wrong_label_in_dataset_json: "DIR/dataset.json: the label of original_videos/1/1_A_001.mp4 does not fit its "
    "folder: get the file again",
    list_of_absent_videos: "DIR/List_of_testing_videos.txt: none of its 2 videos is there: "
    "get the list of this version",
    list_with_zero_for_real: "DIR/List_of_testing_videos.txt, line 2: 0 means fake in this list, but "
    "Celeb-real/id0_0000.mp4 is the opposite: get the list again",
    list_of_something_else: "DIR/List_of_testing_videos.txt, line 1: 'Celeb-real/id0_0000.mp4' is not a line like "
    "'1 YouTube-real/00170.mp4': get the list again",
    list_with_another_folder: "DIR/List_of_testing_videos.txt, line 1: Real/id0_0000.mp4 is in none of Celeb-real, "
    "YouTube-real, Celeb-synthesis: get the list again",
    wrong_label_in_bench: "DIR/X.json: label 'X' of video w says neither real nor fake: correct it",
    no_frames_in_bench: "DIR/X.json: video w of X_fake has no list of frames: get it again",
    absolute_paths_in_bench: "DIR: no picture or video can be used: all 2 files are rejected, most often "
    '"absolute path" (2), e.g. /data/f/1.png; check path and layout',
    broken_bench: "DIR/X.json is not JSON (Expecting value: line 1 column 100 (char 99)): get it again",
    packed: "DIR/fake_train holds 1 archives, e.g. fake_train/0.tar.gz, and no picture: unpack them there (tar -xf)",
    other_compression: "DIR: Original is not there in c23, but in c40, raw: set compression, or download it",
    broken_split_list: 'DIR/splits/train.json is not a list of pairs such as [["071", "054"]]: '
    "get it again, or take it away",
    unknown_label: "DIR/manifest.csv, row 3: label 'maybe' is not known: write 0 or real, 1 or fake",
    unknown_split: "DIR/manifest.csv, row 3: split 'dev' is not known: write train, val or test",
    no_label_column: "DIR/manifest.csv lacks the column label (there is path, class): add it",
    two_labels: "DIR/manifest.csv, row 4: a.png has another label in a row before: correct one of them",
    one_category_of_both: "DIR: originals and fakes have one category (mixed): give them two",
    a_name_that_is_none: "DIR: dataset '../up': a name may have letters, digits and _ . + - only",
    all_rows_wrong: "DIR: no picture or video can be used: all 2 files are rejected, most often "
    '"absolute path" (2), e.g. /a.png; check path and layout',
    empty_manifest: "DIR/manifest.csv lacks the column path and label (there is none): add it",
    not_utf8: "DIR/manifest.csv is not UTF-8: save it as UTF-8",
}


@pytest.mark.parametrize("make", LINES, ids=lambda make: make.__name__)
def test_a_mistake_is_one_line(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(UserError) as caught:
        detect.read(tmp_path)
    assert str(caught.value) == LINES[make].replace("DIR", str(tmp_path))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_an_unknown_folder_gets_one_line_of_what_was_looked_for(tmp_path: Path) -> None:
    unknown(tmp_path)
    with pytest.raises(UserError) as caught:
        detect.detect(tmp_path)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path} has no known layout; looked for: kaggle: FF++C32-Frames/, or a CSV")
    assert all(f"{name}: {module.LOOKS_FOR}" in line for name, module in detect.LAYOUTS.items())
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("nowhere", "DIR/nowhere: no such file or folder: correct path"),
        (
            "notes.txt",
            "DIR/notes.txt is neither a folder nor a CSV, TSV or Parquet file: path must name a data set",
        ),
    ],
)
def test_what_is_no_folder(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(UserError) as caught:
        detect.read(tmp_path / name)
    assert str(caught.value) == line.replace("DIR", str(tmp_path))


def test_a_layout_that_is_chosen_ends_the_doubt_if_it_fits(tmp_path: Path) -> None:
    two_layouts(tmp_path)
    name, why, read = detect.read(tmp_path, "folders")
    assert (name, why, len(read.table)) == ("folders", "layout says so", 2)
    with pytest.raises(UserError, match=r"does not fit layout kaggle: there is no FF\+\+C32-Frames/"):
        detect.read(tmp_path, "kaggle")


def test_a_category_that_is_not_there_or_of_the_other_class(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png", "fake/b.png")
    with pytest.raises(UserError) as caught:
        detect.read(tmp_path, options=Options(categories={"real": 0, "FaceSwap": 1}))
    assert str(caught.value) == f"{tmp_path}: no category FaceSwap (there is fake, real); see real and fake"
    with pytest.raises(UserError) as caught:
        detect.read(tmp_path, options=Options(categories={"real": 1, "fake": 0}))
    assert str(caught.value) == (
        f"params.yaml calls fake an original, but {tmp_path} says a fake: name it under the other key"
    )


def test_one_class_is_enough_if_the_caller_says_so(tmp_path: Path) -> None:
    one_class(tmp_path)
    _, _, read = detect.read(tmp_path, options=Options(one_class=True))
    assert len(read.table) == 2


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="with pyarrow, Parquet is read")
def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    touch(tmp_path, "list.parquet")
    with pytest.raises(UserError) as caught:
        detect.read(tmp_path / "list.parquet")
    assert str(caught.value) == (
        f"{tmp_path / 'list.parquet'}: reading Parquet needs pyarrow: pip install pyarrow, or save it as CSV"
    )


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
    with pytest.raises(UserError) as caught:
        detect.read(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: Celeb-real/id0_0000.mp4 has the video and the number of another file: take one of the two away"
    )

"""How copies of one data set differ, and what each layout makes of that. Files are empty: only their names count."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.index.groups import frame_groups
from deepfake_detection.sources.layouts import detect, lists
from deepfake_detection.sources.layouts.names import celebdf, dfdc_preview, faceforensics, numbered
from deepfake_detection.sources.layouts.table import Layout, Options
from tests.support.miniatures.empty import touch, write


def read(folder: Path, **options: Any) -> Layout:
    return detect.read(folder, options=Options(**options))[2]


def column(layout: Layout, name: str) -> dict[str, Any]:
    """A column of the table by file, with the groups that are made of target and source where none is named."""
    table = layout.table.assign(group=frame_groups(layout.table))
    return dict(zip(table["file"], table[name], strict=True))


def rejections(layout: Layout) -> dict[str, str]:
    return dict(zip(layout.rejected["path"], layout.rejected["reason"], strict=True))


def forensics(folder: Path, *extra: str) -> Path:
    tops = ("original_sequences/youtube", "manipulated_sequences/Deepfakes", "manipulated_sequences/FaceSwap")
    videos = {tops[0]: ("000", "003"), tops[1]: ("000_003", "003_000"), tops[2]: ("000_003", "003_000")}
    touch(folder, *(f"{top}/c23/videos/{video}.mp4" for top in tops for video in videos[top]), *extra)
    return folder


def test_faceforensics_has_the_official_division_where_its_lists_are(tmp_path: Path) -> None:
    folder = forensics(tmp_path, "original_sequences/youtube/c23/videos/999.mp4")
    for split, pairs in (("train", [["000", "003"]]), ("val", [["004", "005"]]), ("test", [["006", "007"]])):
        write(folder, f"splits/{split}.json", pairs)
    splits = column(read(folder), "split")
    assert splits.pop("original_sequences/youtube/c23/videos/999.mp4") == ""
    assert set(splits.values()) == {"train"}


def test_faceforensics_takes_one_compression(tmp_path: Path) -> None:
    raw = ["manipulated_sequences/FaceSwap/c0/videos/000_003.mp4", "original_sequences/youtube/raw/videos/000.mp4"]
    found = read(forensics(tmp_path, *raw), compression="raw")
    assert sorted(column(found, "file")) == raw
    assert found.notes[0] == "Deepfakes is there in c23 only, not in raw: left out"
    assert found.notes[1].startswith(f"6 of 8 pictures and videos in {tmp_path} are left out, e.g. manipulated_seq")


def test_faceshifter_may_be_missing_and_no_other(tmp_path: Path) -> None:
    folder = forensics(tmp_path)
    found = read(folder, categories={"Original": 0, "Deepfakes": 1, "FaceShifter": 1})
    assert set(found.table["category"]) == {"Original", "Deepfakes"}
    assert found.notes[0] == f"FaceShifter is not in {folder}: left out"


def test_frames_stand_before_the_video_that_they_are_of(tmp_path: Path) -> None:
    below = "original_sequences/youtube/c23"
    extra = "frames/000/0000.png images/003/0001.png masks/000.png videos/readme.txt frames/000/x.json images/000/0.png"
    found = read(forensics(tmp_path, *(f"{below}/{path}" for path in extra.split())))
    frames = column(found, "frame")
    assert {path: frames[path] for path in frames if path.startswith(below)} == {
        f"{below}/frames/000/0000.png": 0,
        f"{below}/images/003/0001.png": 1,
    }
    assert rejections(found) == {
        f"{below}/images/000": f"frames of the same video as {below}/frames/000",
        f"{below}/frames/000/x.json": "no picture, in a folder of frames",
        f"{below}/videos/readme.txt": "neither a picture nor a video by its name",
    }
    assert found.notes[0].startswith(f"{below}: 2 videos are there as frames too, e.g. {below}/videos/000.mp4: ")


def test_names_that_say_nothing_are_rejected_in_faceforensics(tmp_path: Path) -> None:
    bad = ("original_sequences/youtube/c23/videos/x.mp4", "manipulated_sequences/FaceSwap/c23/videos/000.mp4")
    assert rejections(read(forensics(tmp_path, *bad))) == {
        bad[0]: "name gives no target and source: expected one like 005 or 01__scene",
        bad[1]: "name gives no target and source: expected one like 005_010 or 01_02__scene__ABCD1234",
    }


def test_celebdf_understands_its_list_however_it_was_written(tmp_path: Path) -> None:
    touch(tmp_path, "celeb_real/frames/id0_0000/1.png", "celeb_real/id1_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4")
    lines = ["1 Celeb-DF-v2\\Celeb-real\\id0_0000.mp4", "", "0 ./celeb-synthesis/id0_id1_0000.mp4"]
    lines += ["1 YouTube-real/00170.mp4", "1 ../Celeb-real/id1_0000.mp4", ""]
    write(tmp_path, "list_of_testing_videos.txt", "\r\n".join(lines))
    found = read(tmp_path)
    assert column(found, "split") == {
        "Celeb-synthesis/id0_id1_0000.mp4": "test",
        "celeb_real/frames/id0_0000/1.png": "test",
        "celeb_real/id1_0000.mp4": "train",
    }
    assert set(found.table["category"]) == {"Celeb-real", "Celeb-synthesis"}
    assert rejections(found) == {
        "../Celeb-real/id1_0000.mp4": "path that leads out of the data",
        "YouTube-real/00170.mp4": "listed but missing",
    }
    assert found.notes[0].startswith("List_of_testing_videos.txt names 1 videos that are not there, e.g. YouTube-real/")


def test_celebdf_without_its_list_has_no_division_and_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4", "Celeb-synthesis/swap.mp4")
    found = read(tmp_path)
    assert set(found.table["split"]) == {""}
    assert found.notes[0].startswith(f"List_of_testing_videos.txt is not in {tmp_path}, or is empty: ")
    assert rejections(found) == {"Celeb-synthesis/swap.mp4": "name gives no recording: expected one like id0_id1_0000"}


def test_groups_on_two_sides_of_a_given_division_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "Celeb-real/id0_0000.mp4", "Celeb-real/id0_0001.mp4", "Celeb-synthesis/id0_id1_0000.mp4")
    write(tmp_path, "List_of_testing_videos.txt", "0 Celeb-synthesis/id0_id1_0000.mp4\n")
    assert read(tmp_path).notes == (f"1 of 2 groups stand in several parts of the division that {tmp_path} comes with",)


def test_celebdf_plus_rejects_what_is_of_no_method(tmp_path: Path) -> None:
    touch(tmp_path, "Celeb-real/id0_0000.mp4", "Celeb-synthesis/faceswap/SimSwap/videos/id0_id1_0000.mp4")
    touch(tmp_path, "Celeb-synthesis/id0_id1_0001.mp4", "Celeb-synthesis/faceswap/x.mp4", "Celeb-synthesis/Other/y.mp4")
    found = read(tmp_path)
    assert set(found.table["category"]) == {"Celeb-real", "FaceSwap-SimSwap"}
    assert rejections(found) == {
        "Celeb-synthesis/Other": "none of FaceSwap, FaceReenact, TalkingFace",
        "Celeb-synthesis/faceswap/x.mp4": "not in the folder of a method",
        "Celeb-synthesis/id0_id1_0001.mp4": "not in the folder of a method",
    }


@pytest.mark.parametrize("below", ["", "train/", "train/dfdc_train_part_01/", "dfdc_train_part_01/"])
def test_dfdc_parts_are_found_where_people_unpack_them(tmp_path: Path, below: str) -> None:
    part = f"{below}dfdc_train_part_1"
    touch(tmp_path, f"{part}/a.mp4", f"{part}/b.mp4", f"{part}/unknown.mp4")
    listed = {path: {"label": "REAL", "split": "train"} for path in ("a.mp4", "gone.mp4", "../unknown.mp4")}
    fake = {"label": "FAKE", "split": "train", "original": "zz.mp4"}
    write(tmp_path, f"{part}/metadata.json", listed | {"b.mp4": fake})
    found = read(tmp_path)
    assert column(found, "group") == {f"{part}/a.mp4": "a", f"{part}/b.mp4": "b"}
    assert set(found.table["unit"]) == {part}
    assert rejections(found) == {
        "../unknown.mp4": "path that leads out of the data",
        f"{part}/gone.mp4": "listed but missing",
        f"{part}/unknown.mp4": "not in metadata.json",
    }
    assert f"{part}/metadata.json names 1 videos that are not there, e.g. gone.mp4" in found.notes


def test_dfdc_may_be_one_part_or_a_test_part_alone(tmp_path: Path) -> None:
    touch(tmp_path, "part/a.mp4", "part/b.mp4", "tested/videos/c.mp4", "tested/frames/d/1.png")
    write(tmp_path, "part/metadata.json", {"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "FAKE", "original": "a.mp4"}})
    write(tmp_path, "tested/labels.csv", "filename,label\r\nc.mp4,0\r\nd.mp4,1\r\n")
    assert column(read(tmp_path / "part"), "group") == {"a.mp4": "a", "b.mp4": "a"}
    tested = read(tmp_path / "tested")
    assert column(tested, "label") == {"videos/c.mp4": 0, "frames/d/1.png": 1}
    assert set(tested.table["split"]) == {"test"}


def test_dfdc_videos_without_a_list_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "train_sample_videos/a.mp4", "train_sample_videos/b.mp4", "test_videos/c.mp4")
    write(tmp_path, "train_sample_videos/metadata.json", {"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "FAKE"}})
    assert "test_videos has videos without metadata.json or labels.csv: left out" in read(tmp_path).notes


def test_the_preview_takes_frames_and_rejects_what_is_in_no_list(tmp_path: Path) -> None:
    touch(tmp_path, "original_videos/frames/1_A_001/7.png")
    touch(tmp_path, "method_A/1/1_A/2_1_A_001.mp4", "method_B/3/3_A/4_3_A_001.mp4")
    listed = {
        "dfdc_preview_set/original_videos/1/1_A_001.mp4": {"label": "real", "set": "train"},
        "method_A\\1\\1_A\\2_1_A_001.mp4": {"label": "fake", "set": "test"},
        "method_A/1/1_A/2_1_A_002.mp4": {"label": "fake", "set": "test"},
        "../method_A/x.mp4": {"label": "fake", "set": "test"},
    }
    write(tmp_path, "dataset.json", listed)
    found = read(tmp_path)
    assert column(found, "frame") == {"original_videos/frames/1_A_001/7.png": 7, "method_A/1/1_A/2_1_A_001.mp4": -1}
    assert column(found, "group") == dict.fromkeys(found.table["file"], "1")
    assert rejections(found) == {
        "../method_A/x.mp4": "path that leads out of the data",
        "method_A/1/1_A/2_1_A_002.mp4": "listed but missing",
        "method_B/3/3_A/4_3_A_001.mp4": "not in dataset.json",
    }


def bench(label: str, frames: list[str], parts: tuple[str, ...] = ("train",), video: str = "v") -> dict[str, Any]:
    return {
        part: {video: {"label": label, "frames": frames}} if part in parts else {} for part in ("train", "val", "test")
    }


@pytest.mark.parametrize(
    ("prefix", "root"),
    [("", ""), ("./", ""), ("./datasets/rgb/", ""), ("", "rgb/"), ("datasets\\rgb\\", "datasets/rgb/"), ("ROOT/", "")],
)
def test_deepfakebench_frames_are_found_below_the_usual_roots(tmp_path: Path, prefix: str, root: str) -> None:
    real, fake = ("UADFV/real/frames/0000/7.png", "UADFV/fake/frames/0000_fake/7.png")
    touch(tmp_path, f"{root}{real}", f"{root}{fake}")
    prefix = prefix.replace("ROOT", tmp_path.name)
    content = {
        "UADFV_Real": bench("UADFV_Real", [prefix + real], ("train", "val", "test"), "0000"),
        "UADFV_Fake": bench("UADFV_Fake", [(prefix + fake).replace("/", "\\")], ("test",), "0000_fake"),
    }
    write(tmp_path, "preprocessing/dataset_json/UADFV.json", {"UADFV": content})
    found = read(tmp_path, dataset="mine")
    assert column(found, "split") == {f"{root}{real}": "test", f"{root}{fake}": "test"}
    assert set(found.table["dataset"]) == {"mine"}
    assert found.notes == ("UADFV: 1 videos stand in several parts; those of test are not trained on",)


def test_deepfakebench_rejects_what_is_missing_or_outside(tmp_path: Path) -> None:
    touch(tmp_path, "X/real/v/1.png", "X/fake/v/1.png", "X/fake/v/notes.txt")
    content = {
        "X_real": bench("X_real", ["X/real/v/1.png", "X/real/v/2.png", "../secret.png"]),
        "X_fake": bench(
            "X_fake", ["X/fake/v/1.png", "X/fake/v/notes.txt", "/data/X/fake/v/1.png", r"F:\X\fake\v\1.png"]
        ),
    }
    write(tmp_path, "X.json", {"X": content})
    found = read(tmp_path)
    assert rejections(found) == {
        "../secret.png": "path that leads out of the data",
        "/data/X/fake/v/1.png": "absolute path",
        "F:/X/fake/v/1.png": "absolute path",
        "X/fake/v/notes.txt": "neither a picture nor a video by its name",
        "X/real/v/2.png": "listed but missing",
    }
    assert found.notes == (f"1 of 3 frames that JSON names are not in {tmp_path}: they are rejected",)


def test_deepfakebench_takes_a_frame_of_several_files_once(tmp_path: Path) -> None:
    touch(tmp_path, "FF/r/000/0.png", "FF/r/001/0.png", "FF/d/000_001/0.png", "FF/s/000_001/0.png")
    real = bench("FF-real", ["FF/r/000/0.png"], video="000")
    fakes = {"FF-DF": bench("FF-DF", ["FF/d/000_001/0.png"], video="000_001")}
    write(tmp_path, "FF-DF.json", {"FF-DF": {"FF-real": real, **fakes}})
    everything = {**fakes, "FF-FS": bench("FF-FS", ["FF/s/000_001/0.png"], video="000_001")}
    write(tmp_path, "FaceForensics++.json", {"FaceForensics++": {"FF-real": real, **everything}})
    found = read(tmp_path)
    assert set(found.table["dataset"]) == {"FaceForensics++"}
    assert len(found.table) == 3
    assert found.notes[0] == f"2 frames are named by several JSON files in {tmp_path}: each is taken once"


def test_deepfakebench_chooses_the_compression(tmp_path: Path) -> None:
    entries: dict[str, Any] = {}
    for label in ("FF-real", "FF-DF"):
        name = "000" if label == "FF-real" else "000_001"
        touch(tmp_path, f"FF/{label}/c40/{name}/0.png")
        video = {name: {"label": label, "frames": [f"FF/{label}/c40/{name}/0.png"]}}
        entries[label] = {"train": {"c23": {}, "c40": video}, "val": {}, "test": {}}
    write(tmp_path, "FF.json", {"FF": entries})
    assert len(read(tmp_path, compression="c40").table) == 2
    with pytest.raises(UserError, match=r"FF-real is not there in raw, but in c23, c40: set compression"):
        read(tmp_path, compression="raw")


@pytest.mark.parametrize("top", ["", "deepfake_in_the_wild/"])
def test_wilddeepfake_sequences_may_lie_directly_in_a_folder(tmp_path: Path, top: str) -> None:
    touch(tmp_path, f"{top}real train/12/1.png", f"{top}fake_test/frames/13/1.png", f"{top}fake_test/13.tar.gz")
    touch(tmp_path, f"{top}fake_test/loose.png", f"{top}fake_test/14/notes.txt")
    found = read(tmp_path)
    assert column(found, "group") == {
        f"{top}real train/12/1.png": "real/train/12",
        f"{top}fake_test/frames/13/1.png": "fake/test/frames/13",
    }
    assert rejections(found) == {
        f"{top}fake_test/13.tar.gz": "archive: unpack it there (tar -xf)",
        f"{top}fake_test/14/notes.txt": "no picture",
        f"{top}fake_test/loose.png": "in no sequence",
    }


def test_folders_by_other_words_and_with_parts_inside(tmp_path: Path) -> None:
    touch(tmp_path, "Authentic/train/a.png", "Authentic/test/b.png", "Generated/train/c.png", "Generated/test/d.png")
    found = read(tmp_path)
    assert {path: path.split("/")[1] for path in column(found, "file")} == column(found, "split")
    assert set(found.table["category"]) == {"authentic", "generated"}


def test_folders_tell_what_they_leave_out(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png", "fake/b.png", "fake/notes.txt", "holiday/c.png", "d.png")
    touch(tmp_path, "fake/v.mp4", "fake/v/1.png")
    found = read(tmp_path)
    assert sorted(found.table["file"]) == ["fake/b.png", "fake/v/1.png", "real/a.png"]
    assert rejections(found) == {"fake/notes.txt": "neither a picture nor a video by its name"}
    assert found.notes == (
        "fake: 1 videos are there as frames too, e.g. fake/v.mp4: the frames are taken",
        f"holiday/ in {tmp_path} is called neither real nor fake: left out",
        f"1 files directly in {tmp_path}, e.g. d.png, are neither real nor fake: left out",
        f"3 of 6 pictures and videos in {tmp_path} are left out, e.g. d.png",
    )


def test_known_names_join_videos_and_so_do_equal_ones(tmp_path: Path) -> None:
    touch(tmp_path, "real/005_f1.jpg", "real/005_f2.jpg", "real/010/1.jpg", "fake/005_010.mp4", "fake/a/x/010/1.png")
    touch(tmp_path, "real/party_frame7.jpg", "fake/swap/party.mp4", "fake/other.jpg")
    touch(tmp_path, "real/anna/1.mp4", "real/ben/1.mp4", "fake/ben/1.mp4", "fake/clara/1.mp4")
    found = read(tmp_path)
    assert column(found, "group") == {
        "fake/005_010.mp4": "005",
        "fake/a/x/010/1.png": "005",
        "fake/ben/1.mp4": "ben/1",
        "fake/clara/1.mp4": "clara/1",  # two originals are called so
        "fake/other.jpg": "other",
        "fake/swap/party.mp4": "party",
        "real/005_f1.jpg": "005",
        "real/005_f2.jpg": "005",
        "real/010/1.jpg": "005",
        "real/anna/1.mp4": "anna/1",
        "real/ben/1.mp4": "ben/1",
        "real/party_frame7.jpg": "party",
    }
    ids = dict(
        zip(found.table["file"], zip(found.table["video_id"], found.table["source_id"], strict=True), strict=True)
    )
    assert (ids["fake/swap/party.mp4"], ids["fake/ben/1.mp4"]) == (("party", "swap/party"), ("ben/1", ""))


def test_equal_names_in_two_parts_join_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "train/real/00001.jpg", "test/real/00001.jpg", "train/fake/00001.jpg", "test/fake/00002.jpg")
    found = read(tmp_path)
    assert column(found, "group") == {
        "test/fake/00002.jpg": "test/00002",
        "test/real/00001.jpg": "test/00001",
        "train/fake/00001.jpg": "train/00001",
        "train/real/00001.jpg": "train/00001",
    }
    assert found.notes == ()


@pytest.mark.parametrize(
    "rewrite",
    [
        str,
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text.replace(",", ";").replace("\n", "\r\n"),
        lambda text: text.replace("path,label", "Path, LABEL "),
        lambda text: text.replace("real", "REAL").replace("fake", "1").replace("a.png", "./a.png"),
        lambda text: text.replace("b.png", "..\\data\\b.png").replace("..\\", ""),
        lambda text: text + "\n\n",
    ],
)
def test_a_list_is_read_however_a_spreadsheet_wrote_it(tmp_path: Path, rewrite: Callable[[str], str]) -> None:
    touch(tmp_path / "data", "a.png", "b.png")
    write(tmp_path / "data", "manifest.csv", rewrite("path,label\na.png,real\nb.png,fake\n"))
    found = read(tmp_path / "data")
    assert column(found, "label") == {"a.png": 0, "b.png": 1}
    assert column(found, "group") == {"a.png": "a", "b.png": "b"}
    assert found.notes == ("2 files have no video in the list: each counts as a video of its own",)


def test_a_list_rejects_lines_that_name_no_file(tmp_path: Path) -> None:
    touch(tmp_path, "media/a.png", "media/b.png", "media/c.txt", "secret.png")
    rows = ["a.png,0", "b.png,1", "a.png,0", "c.txt,1", "d.png,1", "../secret.png,1", "/etc/hosts,0", ",1"]
    write(tmp_path / "media", "list.csv", "\n".join(["path,label", *rows]))
    found = read(tmp_path / "media" / "list.csv")
    assert sorted(found.table["file"]) == ["a.png", "b.png"]
    assert list(found.rejected.itertuples(index=False, name=None)) == [
        ("", "fake", "empty path"),
        ("../secret.png", "fake", "path that leads out of the data"),
        ("/etc/hosts", "real", "absolute path"),
        ("a.png", "real", "listed twice: row 4"),
        ("c.txt", "fake", "neither a picture nor a video by its name"),
        ("d.png", "fake", "listed but missing"),
    ]


def test_a_list_without_videos_takes_them_from_names(tmp_path: Path) -> None:
    touch(tmp_path, "x/1_f1.png", "x/1_f2.png", "y/1_f1.png", "005_010_f3.jpg", "005_f3.jpg")
    touch(tmp_path, "x/700.png", "z/700.png")
    rows = "x/1_f1.png,0\nx/1_f2.png,0\ny/1_f1.png,1\n005_010_f3.jpg,1\n005_f3.jpg,0\nx/700.png,0\nz/700.png,0\n"
    write(tmp_path, "manifest.tsv", "path\tlabel\n" + rows.replace(",", "\t"))
    found = read(tmp_path)
    assert column(found, "group") == {
        "005_010_f3.jpg": "005",
        "005_f3.jpg": "005",
        "x/1_f1.png": "x/1",
        "x/1_f2.png": "x/1",
        "x/700.png": "x",  # the pictures in a folder are of one video
        "y/1_f1.png": "x/1",  # called as the original is
        "z/700.png": "z",
    }
    assert column(found, "frame")["x/1_f2.png"] == 2


@pytest.mark.parametrize("divided", [False, True])
def test_a_list_takes_a_folder_of_pictures_for_a_video_but_not_that_of_a_class(tmp_path: Path, divided: bool) -> None:
    parts = ("train/", "test/") if divided else ("",)
    videos = [
        f"{part}{name}/{video}/{frame}.png"
        for part in parts
        for name in ("real", "fake")
        for video in "ab"
        for frame in (1, 2)
    ]
    alone = [f"{part}{name}/{picture}.png" for part in parts for name in ("real", "fake") for picture in "cd"]
    touch(tmp_path, *videos, *alone)
    rows = [f"{path},{int('fake' in path)},{path.split('/')[0] if divided else ''}" for path in [*videos, *alone]]
    write(tmp_path, "list.csv", "\n".join(["path,label,split", *rows]))
    found = read(tmp_path / "list.csv")
    groups = column(found, "group")
    assert len(set(groups.values())) == 4 * len(parts)
    for path in (path for path in groups if "real" in path):
        assert groups[path] == groups[path.replace("real", "fake")]
    assert column(found, "video_id")[f"{parts[0]}real/a/1.png"] == f"{parts[0]}real/a"
    assert found.notes[0].startswith(f"{4 * len(parts)} folders are taken for one video each")


def test_the_sister_set_may_name_files_relatively_and_by_class(tmp_path: Path) -> None:
    touch(tmp_path, "Frames/Original/005_f4.jpg", "Frames/FaceSwap/005_010_f4.jpg")
    rows = "Frames\\Original\\005_f4.jpg,real\n./Frames/FaceSwap/005_010_f4.jpg,fake\nFrames/FaceSwap/1_2_f1.jpg,fake\n"
    write(tmp_path, "Frames(Crop+Align).csv", f"filepath,label\n{rows}")
    found = read(tmp_path)
    assert found.table["file"].tolist() == ["Frames/FaceSwap/005_010_f4.jpg", "Frames/Original/005_f4.jpg"]
    assert found.table["category"].tolist() == ["FaceSwap", "Original"]
    assert rejections(found) == {"Frames/FaceSwap/1_2_f1.jpg": "listed but missing"}


def test_names_of_the_data_sets() -> None:
    assert faceforensics("005_010", 1) == ("005", "010", "")
    hall = "28__walk__down_hall"
    assert faceforensics("28_16__walk__down_hall__GBC7ZGDP", 1) == (hall, "16__GBC7ZGDP", hall)
    assert faceforensics(hall, 0) == (hall, "", hall)
    assert faceforensics("005_010", 0) is None
    assert celebdf("id10_id2_0003", 1) == ("id10_0003", "id2", "id10_0003")
    assert dfdc_preview("1255229_1260311_C_001", 1) == ("1260311_C_001", "1255229", "1260311")
    assert dfdc_preview("643049_A_001", 0) == ("643049_A_001", "", "643049")


def test_frames_have_their_own_numbers_or_their_order() -> None:
    assert numbered(["v/000.png", "v/007.png"]) == {"v/000.png": 0, "v/007.png": 7}
    assert numbered(["f10.png", "f9.png"]) == {"f10.png": 10, "f9.png": 9}
    assert numbered(["10_1.png", "9_1.png", "9_0.png"]) == {"9_0.png": 0, "9_1.png": 1, "10_1.png": 2}
    assert numbered(["a.png"]) == {"a.png": 0}
    assert numbered(["1.png", "01.jpg"]) == {"01.jpg": 0, "1.png": 1}


def test_a_missing_cell_is_empty(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "path,label,video\nx,0\n")
    assert list(lists.read_rows(tmp_path / "a.csv", ("path",))) == [(2, {"path": "x", "label": "0", "video": ""})]

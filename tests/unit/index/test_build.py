import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import COLUMNS, read_index
from deepfake_detection.index.build import RejectedError, build_index
from tests.support.permissions import open_folder, unprivileged
from tests.unit.videos.test_video import film as write_video

ROOT = Path(__file__).parents[3]
FRAMES = "FF++C32-Frames"
NAMES = {
    "Original": ["005_f0.jpg", "005_f1.jpg", "010_f0.jpg", "010_f1.jpg"],
    "Deepfakes": ["005_010_f0.jpg", "005_010_f1.jpg", "010_005_f0.jpg"],
    "FaceSwap": ["005_010_f0.jpg", "010_005_f0.jpg"],
}
REAL, FAKE = ["Original"], ["Deepfakes", "FaceSwap"]


def add_frame(raw: Path, category: str, name: str, **options: Any) -> Path:
    """A frame of noise, 40 wide and 24 high, that no other name gets."""
    noise = np.random.default_rng(list(f"{category}/{name}".encode())).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    path = raw / FRAMES / category / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path, **options)
    return path


def write_list(raw: Path, category: str, lines: list[str], header: str = "filename,label") -> Path:
    path = raw / "CSVs" / f"{category}.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def fill(raw: Path) -> None:
    for category, names in NAMES.items():
        for name in names:
            add_frame(raw, category, name)
        write_list(raw, category, [f"{name},{category}" for name in names])


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Nine good frames in three categories, listed."""
    fill(tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def open_raw() -> Iterator[Path]:
    """As ``raw``, where permissions can be tested."""
    with open_folder() as folder:
        fill(folder / "raw")
        yield folder / "raw"


def build(raw: Path, max_rejected: float = 0.5, workers: int = 1) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    return build_index(raw, REAL, FAKE, max_rejected, workers=workers)


def only_rejected(raw: Path) -> tuple[str, str, str]:
    """The one rejected file; every other one must be in the index."""
    index, rejected, counts = build(raw)
    assert len(rejected) == 1
    assert counts["rejected"] == 1
    path, category, reason = rejected.iloc[0]
    assert path not in set(index["path"])
    return path, category, reason


def test_index_holds_every_good_frame_sorted_by_path(raw: Path) -> None:
    index, rejected, _ = build(raw)
    assert list(index.columns) == [*COLUMNS, "phash"]
    assert [tuple(row) for row in index.drop(columns=["dataset", "group", "phash"]).itertuples(index=False)] == [
        (f"{FRAMES}/Deepfakes/005_010_f0.jpg", "Deepfakes", 1, "005", "010", 0, 40, 24),
        (f"{FRAMES}/Deepfakes/005_010_f1.jpg", "Deepfakes", 1, "005", "010", 1, 40, 24),
        (f"{FRAMES}/Deepfakes/010_005_f0.jpg", "Deepfakes", 1, "010", "005", 0, 40, 24),
        (f"{FRAMES}/FaceSwap/005_010_f0.jpg", "FaceSwap", 1, "005", "010", 0, 40, 24),
        (f"{FRAMES}/FaceSwap/010_005_f0.jpg", "FaceSwap", 1, "010", "005", 0, 40, 24),
        (f"{FRAMES}/Original/005_f0.jpg", "Original", 0, "005", "", 0, 40, 24),
        (f"{FRAMES}/Original/005_f1.jpg", "Original", 0, "005", "", 1, 40, 24),
        (f"{FRAMES}/Original/010_f0.jpg", "Original", 0, "010", "", 0, 40, 24),
        (f"{FRAMES}/Original/010_f1.jpg", "Original", 0, "010", "", 1, 40, 24),
    ]
    assert list(rejected.columns) == ["path", "category", "reason"]
    assert rejected.empty


def test_counts_say_how_much_of_what(raw: Path) -> None:
    (raw / FRAMES / "Original" / "005_f0.jpg").write_bytes(b"")
    (raw / FRAMES / "Original" / "notes.db").write_bytes(b"x")
    _, _, counts = build(raw)
    assert counts == {
        "frames": 8,
        "videos": 6,
        "rejected": 2,
        "rejected_share": 0.2,
        "categories": {
            "Original": {"frames": 3, "videos": 2},
            "Deepfakes": {"frames": 3, "videos": 2},
            "FaceSwap": {"frames": 2, "videos": 2},
        },
        "reasons": {"could not be decoded": 1, "not an image file name": 1},
    }
    assert list(counts["categories"]) == REAL + FAKE


def test_nothing_depends_on_the_number_of_workers(raw: Path) -> None:
    for frame in range(30):  # more than one worker takes at a time
        add_frame(raw, "Original", f"020_f{frame}.png")
    (raw / "CSVs" / "Original.csv").unlink()
    copy = raw / FRAMES / "Original" / "030_f0.png"
    copy.write_bytes((raw / FRAMES / "Original" / "020_f7.png").read_bytes())
    (raw / FRAMES / "FaceSwap" / "005_010_f0.jpg").write_bytes(b"")
    alone, together = build(raw, workers=1), build(raw, workers=2)
    pd.testing.assert_frame_equal(alone[0], together[0])
    pd.testing.assert_frame_equal(alone[1], together[1])
    assert alone[2] == together[2]
    assert len(alone[1]) == 2


def test_without_csvs_every_file_counts_as_listed(raw: Path) -> None:
    with_lists = build(raw)[0]
    for path in (raw / "CSVs").iterdir():
        path.unlink()
    (raw / "CSVs").rmdir()
    without, rejected, _ = build(raw)
    pd.testing.assert_frame_equal(without, with_lists)
    assert rejected.empty


def test_suffixes_may_be_of_any_kind_and_case(raw: Path) -> None:
    (raw / "CSVs" / "Original.csv").unlink()
    names = ["030_f0.JPG", "030_f1.jpeg", "030_f2.Png", "030_f3.bmp", "030_f4.WEBP"]
    for name in names:
        add_frame(raw, "Original", name)
    index, rejected, _ = build(raw)
    assert rejected.empty
    assert list(index.loc[index["video_id"] == "030", "frame"]) == [0, 1, 2, 3, 4]


def test_width_and_height_are_those_upright(raw: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    add_frame(raw, "Original", "005_f0.jpg", exif=exif)
    index, _, _ = build(raw)
    row = index[index["path"] == f"{FRAMES}/Original/005_f0.jpg"].iloc[0]
    assert (row["width"], row["height"]) == (24, 40)


@pytest.mark.parametrize("label", ["Deepfakes", "deepfakes", "fake", "FAKE", "1"])
def test_csv_may_name_the_category_or_the_class(raw: Path, label: str) -> None:
    write_list(raw, "Deepfakes", [f"{name},{label}" for name in NAMES["Deepfakes"]])
    assert build(raw)[1].empty


def test_csv_from_a_spreadsheet_is_read(raw: Path) -> None:
    path = raw / "CSVs" / "Deepfakes.csv"
    lines = ["number,filename,label", *(f"1,./{name} , Deepfakes " for name in NAMES["Deepfakes"]), "", ""]
    path.write_text("\r\n".join(lines), encoding="utf-8-sig", newline="")
    assert build(raw)[1].empty


def test_truncated_frame_is_rejected(raw: Path) -> None:
    path = raw / FRAMES / "Original" / "005_f0.jpg"
    path.write_bytes(path.read_bytes()[:-100])
    assert only_rejected(raw) == (
        f"{FRAMES}/Original/005_f0.jpg",
        "Original",
        "could not be decoded: truncated",
    )


def test_empty_frame_is_rejected(raw: Path) -> None:
    (raw / FRAMES / "Original" / "005_f0.jpg").write_bytes(b"")
    assert only_rejected(raw)[2] == "could not be decoded: empty file"


def test_text_named_jpg_is_rejected(raw: Path) -> None:
    (raw / FRAMES / "Original" / "005_f0.jpg").write_text("not a picture")
    assert only_rejected(raw)[2] == "could not be decoded: a text file, neither a picture nor a video"


def test_listed_but_missing_frame_is_rejected(raw: Path) -> None:
    (raw / FRAMES / "Deepfakes" / "005_010_f0.jpg").unlink()
    assert only_rejected(raw) == (f"{FRAMES}/Deepfakes/005_010_f0.jpg", "Deepfakes", "listed but missing")


def test_unlisted_frame_is_rejected(raw: Path) -> None:
    add_frame(raw, "Original", "020_f0.jpg")
    assert only_rejected(raw) == (f"{FRAMES}/Original/020_f0.jpg", "Original", "present but unlisted")


def test_the_later_of_equal_files_is_rejected(raw: Path) -> None:
    first, second = (raw / FRAMES / "Original" / name for name in ("005_f1.jpg", "010_f0.jpg"))
    second.write_bytes(first.read_bytes())
    assert only_rejected(raw) == (
        f"{FRAMES}/Original/010_f0.jpg",
        "Original",
        f"duplicate of {FRAMES}/Original/005_f1.jpg",
    )
    assert build(raw)[2]["reasons"] == {"duplicate": 1}


def test_equal_files_are_found_across_categories(raw: Path) -> None:
    first, second = raw / FRAMES / "Deepfakes" / "005_010_f0.jpg", raw / FRAMES / "Original" / "005_f0.jpg"
    second.write_bytes(first.read_bytes())
    # the one called a fake goes: a frame equal to an original was not manipulated
    assert only_rejected(raw)[2] == f"duplicate of {FRAMES}/Original/005_f0.jpg"


@pytest.mark.parametrize(
    ("category", "name", "example"),
    [
        ("Original", "face.jpg", "005_f4.jpg"),
        ("Original", "005.jpg", "005_f4.jpg"),
        ("Original", "005_010_f0.jpg", "005_f4.jpg"),
        ("Original", "005_f.jpg", "005_f4.jpg"),
        ("Original", "005_f0 (copy).jpg", "005_f4.jpg"),
        ("Original", "\u0660\u0660\u0665_f0.jpg", "005_f4.jpg"),
        ("Deepfakes", "005_f0.jpg", "005_010_f4.jpg"),
        ("Deepfakes", "005_010.jpg", "005_010_f4.jpg"),
        ("Deepfakes", "005_010_015_f0.jpg", "005_010_f4.jpg"),
    ],
)
def test_name_without_the_ids_is_rejected(raw: Path, category: str, name: str, example: str) -> None:
    (raw / "CSVs" / f"{category}.csv").unlink()
    add_frame(raw, category, name)
    reason = f"name gives no video id: expected one like {example}"
    assert only_rejected(raw) == (f"{FRAMES}/{category}/{name}", category, reason)


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("name", ["notes.db", "notes", "005_f0.jpg.part"])
def test_other_files_are_rejected(raw: Path, name: str, listed: bool) -> None:
    (raw / FRAMES / "Original" / name).write_bytes(b"x")
    if listed:
        write_list(raw, "Original", [f"{name},Original" for name in [*NAMES["Original"], name]])
    assert only_rejected(raw) == (f"{FRAMES}/Original/{name}", "Original", "not an image file name")


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("HEIC", "005_f0.heic", "an HEIC picture, which is not read: convert it to JPEG or PNG"),
        ("HEIC", "005_f0.jpg", "an HEIC picture, which is not read: convert it to JPEG or PNG"),
        ("TIFF", "005_f0.tif", "a TIFF or a camera's raw picture, which is not read: convert it to JPEG or PNG"),
        (
            "WEBP",
            "005_f0.webp",
            "an animated WebP of 2 pictures: save one of them by itself, or all of them as a video",
        ),
        ("film", "005_f0.jpg", "a video, not a picture"),
    ],
)
def test_what_is_no_single_picture_is_rejected_by_its_content(raw: Path, kind: str, name: str, reason: str) -> None:
    (raw / "CSVs" / "Original.csv").unlink()
    (raw / FRAMES / "Original" / "005_f0.jpg").unlink()
    path = raw / FRAMES / "Original" / name
    if kind == "HEIC":
        path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    elif kind == "film":
        write_video(path.with_suffix(".mp4"), 3).rename(path)
    else:
        pages = {"save_all": True, "append_images": [Image.new("RGB", (40, 40), "red")]} if kind == "WEBP" else {}
        Image.new("RGB", (40, 40)).save(path, kind, **pages)
    assert only_rejected(raw)[::2] == (f"{FRAMES}/Original/{name}", f"could not be decoded: {reason}")


def test_avif_and_gif_are_indexed_and_so_is_a_jpeg_under_another_name(raw: Path) -> None:
    (raw / "CSVs" / "Original.csv").unlink()
    for number, (kind, suffix) in enumerate((("AVIF", "avif"), ("GIF", "gif"), ("JPEG", "heic"))):
        Image.new("RGB", (40 + number, 24)).save(raw / FRAMES / "Original" / f"050_f{number}.{suffix}", kind)
    index, rejected, _ = build(raw)
    assert rejected.empty
    assert list(index[index["video_id"] == "050"]["width"]) == [40, 41, 42]


def test_hidden_files_are_skipped(raw: Path) -> None:
    for name in (".DS_Store", "._005_f0.jpg", "Thumbs.db", "desktop.ini", "__MACOSX"):
        (raw / FRAMES / "Original" / name).write_bytes(b"x")
    index, rejected, _ = build(raw)
    assert (len(index), len(rejected)) == (9, 0)


def test_folder_and_pipe_named_as_a_frame_are_rejected(raw: Path) -> None:
    (raw / "CSVs" / "Original.csv").unlink()
    (raw / FRAMES / "Original" / "020_f0.jpg").mkdir()
    os.mkfifo(raw / FRAMES / "Original" / "020_f1.jpg")
    assert list(build(raw)[1]["reason"]) == ["not a regular file"] * 2


def test_linked_frame_is_indexed(raw: Path) -> None:
    path = raw / FRAMES / "Original" / "005_f0.jpg"
    path.symlink_to(path.rename(raw / "elsewhere"))
    assert build(raw)[1].empty


def test_link_out_of_the_data_is_rejected(raw: Path) -> None:
    path = raw / FRAMES / "Original" / "005_f0.jpg"
    path.symlink_to(path.rename(raw.parent / "elsewhere.jpg"))
    assert only_rejected(raw)[2] == "link that leads out of the data"


def test_link_that_leads_nowhere_is_rejected(raw: Path) -> None:
    path = raw / FRAMES / "Original" / "005_f0.jpg"
    path.unlink()
    path.symlink_to(path)
    assert only_rejected(raw)[2] == "too many levels of symbolic links"
    path.unlink()
    path.symlink_to("not there.jpg")
    assert only_rejected(raw)[2] == "not a regular file"


def test_category_linked_from_outside_is_an_error(raw: Path) -> None:
    path = raw / FRAMES / "Original"
    path.symlink_to(path.rename(raw.parent / "elsewhere"))
    with pytest.raises(UserError, match=r"Original is a link that leads out of raw: put the folder"):
        build(raw)


def test_row_with_a_nul_byte_is_rejected(raw: Path) -> None:
    write_list(raw, "Deepfakes", [f"{name},Deepfakes" for name in [*NAMES["Deepfakes"], "005_010_f0.jpg\0.jpg"]])
    assert only_rejected(raw)[1:] == ("Deepfakes", "listed but missing")


@pytest.mark.parametrize(
    "name",
    [
        "/005_f0.jpg",
        "/etc/passwd",
        "../../../../etc/passwd",
        "../Original/005_f0.jpg",
        "..",
        r"C:\005_f0.jpg",
        r"\\host\share\005_f0.jpg",
        r"..\005_f0.jpg",
    ],
)
def test_row_that_leaves_the_category_folder_is_rejected(raw: Path, name: str) -> None:
    write_list(raw, "Deepfakes", [f"{name},Deepfakes" for name in [*NAMES["Deepfakes"], name]])
    assert only_rejected(raw) == (
        f"{FRAMES}/Deepfakes/{name}",
        "Deepfakes",
        "CSV row points outside the category folder",
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sub/005_f0.jpg", "CSV row is of another folder"),
        ("Original/005_f0.jpg", "CSV row is of another folder"),
        ("", "CSV row names no file"),
        ("Deepfakes/030_005_f0.jpg", "listed but missing"),
    ],
)
def test_row_of_another_file_gets_an_innocent_reason(raw: Path, name: str, reason: str) -> None:
    write_list(raw, "Deepfakes", [f"{name},Deepfakes" for name in [*NAMES["Deepfakes"], name]])
    file = name.removeprefix("Deepfakes/")
    assert only_rejected(raw) == (f"{FRAMES}/Deepfakes/{file}", "Deepfakes", reason)


BEFORE = [
    *("Deepfakes/", "./", "./Deepfakes/", "FF++C32-Frames/Deepfakes/", "DEEPFAKES/", "Deepfakes\\", ".\\Deepfakes\\"),
    *("/home/author/ffpp/Deepfakes/", "C:\\data\\Deepfakes\\", "/home/author/frames/", "D:\\frames\\", "images/"),
]


@pytest.mark.parametrize("before", BEFORE)
def test_row_may_give_the_path_on_the_authors_machine(raw: Path, before: str) -> None:
    write_list(raw, "Deepfakes", [f"{before}{name},Deepfakes" for name in NAMES["Deepfakes"]])
    assert build(raw)[1].empty


@pytest.mark.parametrize("before", ["../Deepfakes/", "../", "/home/../Deepfakes/", "..\\Deepfakes\\"])
def test_every_row_leading_upwards_is_rejected(raw: Path, before: str) -> None:
    write_list(raw, "Deepfakes", [f"{before}{name},Deepfakes" for name in NAMES["Deepfakes"]])
    with pytest.raises(RejectedError, match="no usable frame of Deepfakes") as caught:
        build(raw, max_rejected=1)
    reasons = caught.value.rejected["reason"].value_counts().to_dict()
    assert reasons == {"CSV row points outside the category folder": 3, "present but unlisted": 3}


@pytest.mark.parametrize("separator", [",", ";", "\t", " , ", "; ", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_csv_of_any_spreadsheet_is_read(raw: Path, separator: str, encoding: str, quote: str) -> None:
    rows = [(" FileName ", "LABEL"), *((name, "fake") for name in NAMES["Deepfakes"]), ("", "")]
    lines = [separator.join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
    (raw / "CSVs" / "Deepfakes.csv").write_bytes("\r\n".join(lines).encode(encoding))
    assert build(raw)[1].empty


def test_excels_line_with_the_separator_is_skipped(raw: Path) -> None:
    rows = ["sep=;", "filename;label", *(f"{name};fake" for name in NAMES["Deepfakes"])]
    (raw / "CSVs" / "Deepfakes.csv").write_text("\r\n".join(rows), newline="")
    assert build(raw)[1].empty


def test_a_category_without_a_usable_frame_is_an_error(raw: Path) -> None:
    for name in NAMES["FaceSwap"]:
        (raw / FRAMES / "FaceSwap" / name).write_bytes(b"")
    with pytest.raises(RejectedError, match=r'no usable frame of FaceSwap in .*: all 2 .*"could not be decoded" \(2\)'):
        build(raw, max_rejected=1)


@pytest.mark.parametrize(("label", "said"), [("FaceSwap", "FaceSwap"), ("real", "real"), ("0", "0"), ("", "empty")])
def test_label_that_differs_from_the_category_is_rejected(raw: Path, label: str, said: str) -> None:
    names = NAMES["Deepfakes"]
    write_list(raw, "Deepfakes", [f"{name},Deepfakes" for name in names] + [f"{names[1]},{label}"])
    assert only_rejected(raw) == (
        f"{FRAMES}/Deepfakes/005_010_f1.jpg",
        "Deepfakes",
        f"label in CSV differs from the category: {said}",
    )


def test_odd_names_give_a_csv_that_can_be_written(raw: Path) -> None:
    odd = os.fsencode(raw / FRAMES / "Original") + b"/\xff\n.jpg"
    Path(os.fsdecode(odd)).write_bytes(b"x")
    path, _, reason = only_rejected(raw)
    assert path == rf"{FRAMES}/Original/\udcff\u000a.jpg"
    assert reason == "present but unlisted"


def test_rejected_is_sorted_with_one_row_a_file(raw: Path) -> None:
    (raw / FRAMES / "Original" / "notes.db").write_bytes(b"x")
    (raw / FRAMES / "Original" / "face.jpg").write_bytes(b"")  # unlisted, undecodable and badly named
    (raw / FRAMES / "Deepfakes" / "005_010_f0.jpg").unlink()
    (raw / FRAMES / "Original" / "010_f0.jpg").write_bytes(b"")
    _, rejected, _ = build(raw)
    assert [tuple(row)[1:] for row in rejected[["path", "reason"]].itertuples()] == [
        (f"{FRAMES}/Deepfakes/005_010_f0.jpg", "listed but missing"),
        (f"{FRAMES}/Original/010_f0.jpg", "could not be decoded: empty file"),
        (f"{FRAMES}/Original/face.jpg", "present but unlisted"),
        (f"{FRAMES}/Original/notes.db", "not an image file name"),
    ]


def test_unknown_category_is_an_error(raw: Path) -> None:
    with pytest.raises(UserError) as caught:
        build_index(raw, REAL, ["Deepfakes", "Face2Face"], 0.05, workers=1)
    assert str(caught.value) == (
        f"no folder Face2Face in {raw / FRAMES} (there is Deepfakes, FaceSwap, Original): correct data.categories"
    )


def test_missing_frames_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"FF\+\+C32-Frames cannot be read \(no such file or directory\): .*download"):
        build(tmp_path)


def test_empty_class_is_an_error(raw: Path) -> None:
    for name in NAMES["Original"]:
        (raw / FRAMES / "Original" / name).unlink()
    (raw / "CSVs" / "Original.csv").unlink()
    with pytest.raises(RejectedError) as caught:
        build(raw)
    assert str(caught.value) == (
        f"no usable real frame in {raw / FRAMES} (Original): no files; check the data and data.categories"
    )
    assert caught.value.rejected.empty


def test_class_with_every_file_rejected_is_an_error(raw: Path) -> None:
    for category in FAKE:
        for name in NAMES[category]:
            (raw / FRAMES / category / name).write_bytes(b"")
    (raw / FRAMES / "Deepfakes" / "005_010_f0.jpg").unlink()
    with pytest.raises(RejectedError) as caught:
        build(raw, max_rejected=1)
    message = str(caught.value)
    assert "no usable fake frame" in message
    assert "(Deepfakes, FaceSwap)" in message
    assert "all 5 files rejected" in message
    assert f'most often "could not be decoded" (4), e.g. {FRAMES}/Deepfakes/005_010_f1.jpg: could not' in message
    assert len(caught.value.rejected) == 5


def test_too_many_rejected_is_an_error(raw: Path) -> None:
    for number in range(8):  # 1 of 18 is more than 5 percent
        add_frame(raw, "Original", f"{number + 100}_f0.jpg")
    (raw / "CSVs" / "Original.csv").unlink()
    (raw / FRAMES / "Original" / "face.jpg").write_bytes(b"")
    with pytest.raises(RejectedError) as caught:
        build(raw, max_rejected=0.05)
    message = str(caught.value)
    assert message.startswith("1 of 18 files rejected (5.56%), more than index.max_rejected (5.00%), most often ")
    assert f'"name gives no video id" (1), e.g. {FRAMES}/Original/face.jpg: name' in message
    assert "fix the data or raise index.max_rejected" in message
    assert "\n" not in message
    assert list(caught.value.rejected["path"]) == [f"{FRAMES}/Original/face.jpg"]


def test_exactly_the_allowed_share_may_be_rejected(raw: Path) -> None:
    (raw / FRAMES / "Original" / "notes.db").write_bytes(b"x")
    assert build(raw, max_rejected=0.1)[2]["rejected_share"] == 0.1


SIDES = {"005": "train", "010": "train", "015": "test", "020": "test"}


def add_unlisted(raw: Path, category: str, name: str) -> None:
    (raw / "CSVs" / f"{category}.csv").unlink(missing_ok=True)
    add_frame(raw, category, name)


@pytest.mark.parametrize(
    ("category", "name", "reason"),
    [
        ("Original", "030_f0.jpg", "on no official list"),
        ("Deepfakes", "005_030_f0.jpg", "on no official list"),
        ("Deepfakes", "030_005_f0.jpg", "on no official list"),
        ("Deepfakes", "005_015_f0.jpg", "target and source on different official lists"),
        ("Original", "face.jpg", "name gives no video id: expected one like 005_f4.jpg"),
    ],
)
def test_frame_off_the_official_lists_is_rejected(raw: Path, category: str, name: str, reason: str) -> None:
    add_unlisted(raw, category, name)
    index, rejected, counts = build_index(raw, REAL, FAKE, 0.5, workers=1, official=SIDES)
    assert len(index) == 9
    assert [tuple(row) for row in rejected.itertuples(index=False)] == [
        (f"{FRAMES}/{category}/{name}", category, reason)
    ]
    assert counts["reasons"] == {reason.partition(":")[0]: 1}


def test_frames_off_the_official_lists_do_not_count_towards_max_rejected(raw: Path) -> None:
    for number in range(30, 60):
        add_unlisted(raw, "Original", f"{number:03d}_f0.jpg")
    _, rejected, counts = build_index(raw, REAL, FAKE, 0, workers=1, official=SIDES)
    assert len(rejected) == counts["rejected"] == counts["reasons"]["on no official list"] == 30

    (raw / FRAMES / "Original" / "face.jpg").write_bytes(b"")
    with pytest.raises(
        RejectedError, match=r'^1 of 10 files rejected \(10\.00%\).*"name gives no video id" \(1\)'
    ) as caught:
        build_index(raw, REAL, FAKE, 0.09, workers=1, official=SIDES)
    assert len(caught.value.rejected) == 31


def test_class_off_the_official_lists_is_an_error(raw: Path) -> None:
    with pytest.raises(RejectedError, match=r'no usable real frame.*"on no official list" \(4\)'):
        build_index(raw, REAL, FAKE, 1, workers=1, official={"015": "test", "020": "test"})


def test_unreadable_category_folder_is_an_error(open_raw: Path) -> None:
    (open_raw / FRAMES / "Deepfakes").chmod(0)
    with unprivileged(), pytest.raises(UserError, match=r"Deepfakes cannot be read \(permission denied\): correct its"):
        build(open_raw)


def test_unreadable_frame_is_rejected(open_raw: Path) -> None:
    (open_raw / FRAMES / "Original" / "005_f0.jpg").chmod(0)
    build(open_raw)  # so that nothing is left to import, which might lie where only root may read
    with unprivileged():
        assert only_rejected(open_raw)[2] == "could not be decoded: permission denied"


def test_unreadable_csv_is_an_error(open_raw: Path) -> None:
    (open_raw / "CSVs" / "Deepfakes.csv").chmod(0)
    with unprivileged(), pytest.raises(UserError, match=r"Deepfakes\.csv cannot be read \(permission denied\)"):
        build(open_raw)


def test_folder_named_as_a_csv_is_an_error(raw: Path) -> None:
    (raw / "CSVs" / "Deepfakes.csv").unlink()
    (raw / "CSVs" / "Deepfakes.csv").mkdir()
    with pytest.raises(UserError, match=r"Deepfakes\.csv cannot be read \(is a directory\)"):
        build(raw)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"lacks the column filename and label \(there is none\)"),
        (b"file;label\na.jpg;Deepfakes\n", r"lacks the column filename \(there is file, label\)"),
        (b"filename\na.jpg\n", r"lacks the column label \(there is filename\)"),
        ("filename,label\nä.jpg,Deepfakes\n".encode("latin-1"), r"is not UTF-8"),
        ("filename,label\n".encode("utf-16"), r"lists no file: add rows, or remove it"),
        (b"filename,label\n" + b"a" * 200_000 + b",Deepfakes\n", r"is not a CSV file \(field larger"),
    ],
)
def test_malformed_csv_is_an_error(raw: Path, content: bytes, message: str) -> None:
    (raw / "CSVs" / "Deepfakes.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"Deepfakes\.csv {message}"):
        build(raw)


def test_written_index_is_loaded_as_it_was(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    index, _, _ = build(Path("raw"))
    index = index[list(COLUMNS)]
    index.to_csv("index.csv", index=False)
    loaded = read_index(Path("index.csv"))
    pd.testing.assert_frame_equal(loaded, index)
    assert set(loaded.loc[loaded["label"] == 0, "source_id"]) == {""}
    assert (Path("raw") / loaded["path"].iloc[0]).samefile(raw / FRAMES / "Deepfakes" / "005_010_f0.jpg")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stage's module, to be run on nine good frames with 5 percent allowed to be rejected."""
    fill(tmp_path / "data" / "raw")
    (tmp_path / "data" / "raw" / "recordings.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT)
    import stages.index

    categories = SimpleNamespace(real=REAL, fake=FAKE, unseen=[])
    params = SimpleNamespace(
        data=SimpleNamespace(source="local", categories=categories, extra=[]),
        index=SimpleNamespace(max_rejected=0.05),
        split=SimpleNamespace(strategy="group"),
        prepare=SimpleNamespace(crop="none"),
    )
    monkeypatch.setattr(stages.index, "load_params", lambda: params)
    return stages.index


def test_stage_writes_tables_and_counts(stage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stage.main()
    assert len(read_index(Path("data/index.csv"))) == 9
    assert Path("data/rejected.csv").read_bytes() == b"path,category,reason\n"
    assert Path("metrics/index.json").read_text().startswith('{\n  "frames": 9,\n  "videos": 6,\n')
    assert capsys.readouterr().out == "index: 9 frames of 6 videos, 0 files rejected\n"


def test_failing_stage_still_writes_what_was_rejected(stage: Any) -> None:
    Path("data/raw", FRAMES, "Original", "005_f0.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"rejected.*; data/rejected\.csv lists what was rejected$"):
        stage.main()
    assert Path("data/rejected.csv").read_text() == (
        f"path,category,reason\n{FRAMES}/Original/005_f0.jpg,Original,could not be decoded: empty file\n"
    )
    assert not Path("data/index.csv").exists()

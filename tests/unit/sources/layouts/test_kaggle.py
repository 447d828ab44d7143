"""The Kaggle data set's folders and lists: each file is taken, or rejected with a reason. Files are empty."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import VIDEO
from deepfake_detection.sources.layouts.kaggle import FRAMES, read
from deepfake_detection.sources.layouts.table import Layout, Options
from deepfake_detection.sources.layouts.tree import MISSING, OUTSIDE
from tests.support.miniatures.empty import touch, write
from tests.support.permissions import open_folder, unprivileged

NAMES = {
    "Original": ["005_f0.jpg", "005_f1.jpg", "010_f0.jpg"],
    "Deepfakes": ["005_010_f0.jpg", "005_010_f1.jpg", "010_005_f0.jpg"],
}
UNLISTED = "present but unlisted"
UPWARDS = "CSV row points outside the category folder"
ELSEWHERE = "CSV row is of another folder"


def fill(folder: Path) -> Path:
    for category, names in NAMES.items():
        touch(folder, *(f"{FRAMES}/{category}/{name}" for name in names))
        list_of(folder, category, names)
    return folder


def list_of(folder: Path, category: str, names: list[str], label: str = "") -> None:
    rows = [f"{name},{label or category}" for name in names]
    write(folder, f"CSVs/{category}.csv", "\n".join(["filename,label", *rows, ""]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six frames in two categories, listed."""
    return fill(tmp_path / "data")


@pytest.fixture
def open_copy() -> Iterator[Path]:
    """As ``folder``, where permissions can be tested."""
    with open_folder() as folder:
        yield fill(folder / "data")


def rejected(found: Layout) -> dict[str, str]:
    """The reasons by file."""
    taken = set(found.table["file"])
    assert not taken & set(found.rejected["path"])
    return {
        path.removeprefix(f"{FRAMES}/"): reason
        for path, reason in zip(found.rejected["path"], found.rejected["reason"], strict=True)
    }


def test_without_lists_every_file_counts_as_listed(folder: Path) -> None:
    listed = read(folder)
    assert len(listed.table) == 6
    for path in (folder / "CSVs").iterdir():
        path.unlink()
    touch(folder, *(f"{FRAMES}/Original/030_f{n}.{end}" for n, end in enumerate(("JPG", "jpeg", "Png", "bmp", "WEBP"))))
    hidden = (".DS_Store", "._005_f0.jpg", "Thumbs.db", "desktop.ini", "__MACOSX")
    touch(folder, *(f"{FRAMES}/Original/{name}" for name in hidden))
    found = read(folder)
    assert rejected(found) == {}
    assert len(found.table) == 11
    assert found.table.loc[found.table["video_id"] == "030", "frame"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("label", ["Deepfakes", "deepfakes", "fake", "FAKE", "1"])
def test_a_list_may_name_the_category_or_the_class(folder: Path, label: str) -> None:
    list_of(folder, "Deepfakes", NAMES["Deepfakes"], label)
    assert rejected(read(folder)) == {}


@pytest.mark.parametrize(("label", "said"), [("FaceSwap", "FaceSwap"), ("real", "real"), ("0", "0"), (" ", "empty")])
def test_a_label_that_differs_from_the_category_is_rejected(folder: Path, label: str, said: str) -> None:
    rows = [f"{name},Deepfakes" for name in NAMES["Deepfakes"]] + [f"{NAMES['Deepfakes'][1]},{label}"]
    write(folder, "CSVs/Deepfakes.csv", "\n".join(["filename,label", *rows]))
    assert rejected(read(folder)) == {"Deepfakes/005_010_f1.jpg": f"label in CSV differs from the category: {said}"}


def test_what_is_missing_or_unlisted_is_rejected(folder: Path) -> None:
    (folder / FRAMES / "Deepfakes/010_005_f0.jpg").unlink()
    (folder / FRAMES / "Deepfakes/005_010_f0.jpg").unlink()
    touch(folder, f"{FRAMES}/Original/020_f0.jpg")
    found = read(folder)
    assert rejected(found) == {
        "Deepfakes/005_010_f0.jpg": MISSING,
        "Deepfakes/010_005_f0.jpg": MISSING,
        "Original/020_f0.jpg": UNLISTED,
    }
    # of the other fake there is another frame
    lost = found.lost[["video_id", "source_id", "frame"]].to_numpy().tolist()
    assert lost == [["010", "005", VIDEO], ["020", "", VIDEO]]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((f"Original/{name}.jpg", "005_f4.jpg") for name in ("face", "005", "005_010_f0", "005_f", "005_f0 (copy)")),
        ("Original/\u0660\u0660\u0665_f0.jpg", "005_f4.jpg"),
        *((f"Deepfakes/{name}.jpg", "005_010_f4.jpg") for name in ("005_f0", "005_010", "005_010_015_f0")),
        *((f"Original/{name}", "not an image file name") for name in ("notes.db", "notes", "005_f0.jpg.part")),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_other_names_are_rejected(folder: Path, name: str, reason: str, listed: bool) -> None:
    category, _, file = name.partition("/")
    touch(folder, f"{FRAMES}/{name}")
    if listed:
        list_of(folder, category, [*NAMES[category], file])
    else:
        (folder / "CSVs" / f"{category}.csv").unlink()
    expected = f"name gives no video id: expected one like {reason}" if reason.endswith(".jpg") else reason
    assert rejected(read(folder)) == {name: expected}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((name, UPWARDS) for name in ("/005_f0.jpg", "/etc/passwd", "../../../../etc/passwd", "..")),
        *((name, UPWARDS) for name in ("../Original/005_f0.jpg", "/home/../Deepfakes/005_f0.jpg")),
        *((name, UPWARDS) for name in (r"C:\005_f0.jpg", r"\\host\share\005_f0.jpg", r"..\005_f0.jpg")),
        ("sub/005_f0.jpg", ELSEWHERE),
        ("Original/005_f0.jpg", ELSEWHERE),
        ("", "CSV row names no file"),
        ("Deepfakes/030_005_f0.jpg", MISSING),
        ("005_010_f0.jpg\0.jpg", MISSING),
    ],
)
def test_a_row_of_another_file_is_rejected(folder: Path, name: str, reason: str) -> None:
    list_of(folder, "Deepfakes", [*NAMES["Deepfakes"], name])
    file = name.removeprefix("Deepfakes/").replace("\0", r"\u0000")
    assert rejected(read(folder)) == {f"Deepfakes/{file}": reason}


BEFORE = [
    *("Deepfakes/", "./", "./Deepfakes/", "FF++C32-Frames/Deepfakes/", "DEEPFAKES/", "Deepfakes\\", ".\\Deepfakes\\"),
    *("/home/author/ffpp/Deepfakes/", "C:\\data\\Deepfakes\\", "/home/author/frames/", "D:\\frames\\", "images/"),
]


@pytest.mark.parametrize("before", BEFORE)
def test_a_row_may_give_the_path_on_the_authors_machine(folder: Path, before: str) -> None:
    list_of(folder, "Deepfakes", [f"{before}{name}" for name in NAMES["Deepfakes"]])
    assert rejected(read(folder)) == {}


@pytest.mark.parametrize("separator", [",", ";", "\t", " , ", "; ", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_a_list_of_any_spreadsheet_is_read(folder: Path, separator: str, encoding: str, quote: str) -> None:
    rows = [("n", " FileName ", "LABEL"), *(("1", f"./{name} ", "fake") for name in NAMES["Deepfakes"]), ("", "", "")]
    lines = [separator.join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
    if separator == ";":
        lines.insert(0, "sep=;")  # Excel's own line
    (folder / "CSVs" / "Deepfakes.csv").write_bytes("\r\n".join(lines).encode(encoding))
    assert rejected(read(folder)) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"lacks the column filename and label \(there is none\)"),
        (b"file;label\na.jpg;Deepfakes\n", r"lacks the column filename \(there is file, label\)"),
        (b"filename\na.jpg\n", r"lacks the column label \(there is filename\)"),
        ("filename,label\n\xe4.jpg,Deepfakes\n".encode("latin-1"), r"is not UTF-8"),
        ("filename,label\n".encode("utf-16"), r"lists no file: add rows, or remove it"),
        (b"filename,label\n" + b"a" * 200_000 + b",Deepfakes\n", r"is not a CSV file \(field larger"),
    ],
)
def test_a_malformed_list_is_an_error(folder: Path, content: bytes, message: str) -> None:
    (folder / "CSVs" / "Deepfakes.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"Deepfakes\.csv {message}"):
        read(folder)


@pytest.mark.parametrize("name", ["CSVs/Deepfakes.csv", f"{FRAMES}/Deepfakes"])
def test_what_may_not_be_read_is_an_error(open_copy: Path, name: str) -> None:
    (open_copy / name).chmod(0)
    with unprivileged(), pytest.raises(UserError, match=rf"{name.rpartition('/')[2]} cannot be read \(permission d"):
        read(open_copy)


def test_links_are_followed_within_the_data(folder: Path) -> None:
    path = folder / FRAMES / "Original" / "005_f0.jpg"
    path.symlink_to(path.rename(folder / "elsewhere"))
    assert rejected(read(folder)) == {}
    path.unlink()
    path.symlink_to((folder / "elsewhere").rename(folder.parent / "elsewhere.jpg"))
    assert rejected(read(folder)) == {"Original/005_f0.jpg": OUTSIDE}
    assert rejected(read(folder, Options(trusted=True))) == {}
    for target, reason in ((path, "too many levels of symbolic links"), ("not there", "link that leads nowhere")):
        path.unlink()
        path.symlink_to(target)
        assert rejected(read(folder, Options(trusted=True))) == {"Original/005_f0.jpg": reason}


def test_a_category_that_is_a_link_out_is_rejected_whole(folder: Path) -> None:
    path = folder / FRAMES / "Original"
    path.symlink_to(path.rename(folder.parent / "elsewhere"))
    assert rejected(read(folder, Options(one_class=True))) == {"Original": OUTSIDE}
    assert rejected(read(folder, Options(trusted=True))) == {}


def test_folders_and_pipes_within_a_category_are_rejected_and_the_user_is_told(folder: Path) -> None:
    (folder / "CSVs" / "Original.csv").unlink()
    touch(folder, f"{FRAMES}/Original/005/005_f0.jpg")
    os.mkfifo(folder / FRAMES / "Original" / "020_f1.jpg")
    found = read(folder)
    assert rejected(found) == dict.fromkeys(("Original/005", "Original/020_f1.jpg"), "not a regular file")
    assert found.notes == (f"{FRAMES}/Original: pictures must lie directly in it, not in folders such as 005/",)


def test_odd_names_give_a_table_that_can_be_written(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder / FRAMES / "Original") + b"/\xff\n.jpg")).touch()
    assert list(rejected(read(folder))) == [r"Original/\udcff\u000a.jpg"]


def test_categories_that_are_missing(folder: Path) -> None:
    wanted = {"Original": 0, "Deepfakes": 1, "FaceSwap": 1}
    with pytest.raises(UserError, match=r"no category FaceSwap \(there is Deepfakes, Original\); see real and fake"):
        read(folder, Options(categories=wanted))
    found = read(folder, Options(categories=wanted, optional=frozenset(["FaceSwap"])))
    assert (len(found.table), found.notes) == (6, (f"FaceSwap is not in {folder}: left out",))

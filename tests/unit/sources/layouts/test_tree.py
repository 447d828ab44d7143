"""What is below a folder is listed; nothing outside it is, by a link or by a path in a list."""

import os
from pathlib import Path

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.layouts import detect
from deepfake_detection.sources.layouts.table import Options
from deepfake_detection.sources.layouts.tree import ABSOLUTE, LOOP, MISSING, OUTSIDE, UPWARDS, Tree, kind_of, stem_of
from tests.support.miniatures.empty import touch, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures in a folder, and a secret and a picture beside it."""
    touch(tmp_path / "data", "real/a.png", "real/b/1.png", "fake/c.png", "fake/.hidden.png", "__MACOSX/real/x.png")
    touch(tmp_path, "secret.png", "elsewhere/d.png")
    return tmp_path / "data"


def walked(folder: Path, trusted: bool = False) -> dict[str, str]:
    return dict(Tree(folder, trusted).walk())


def test_every_file_that_is_not_hidden_is_listed(folder: Path) -> None:
    assert walked(folder) == {"real/a.png": "", "real/b/1.png": "", "fake/c.png": ""}


def test_links_out_of_the_folder_are_refused_unless_it_is_trusted(folder: Path) -> None:
    (folder / "real" / "link.png").symlink_to("../../secret.png")
    (folder / "real" / "more").symlink_to(folder.parent / "elsewhere")
    (folder / "real" / "fine.png").symlink_to("a.png")
    (folder / "real" / "gone.png").symlink_to("nothing.png")
    (folder / "real" / "self.png").symlink_to("self.png")
    os.mkfifo(folder / "real" / "pipe.png")
    found = {path.removeprefix("real/"): reason for path, reason in walked(folder).items() if "real" in path}
    assert found.pop("self.png")
    assert found == {
        "a.png": "",
        "b/1.png": "",
        "fine.png": "",
        "link.png": OUTSIDE,
        "more": OUTSIDE,
        "gone.png": "link that leads nowhere",
        "pipe.png": "not a regular file",
    }
    trusted = walked(folder, trusted=True)
    assert trusted["real/link.png"] == trusted["real/more/d.png"] == ""


def test_links_to_folders_around_them_end(folder: Path) -> None:
    (folder / "real" / "up").symlink_to("..")
    (folder / "real" / "b" / "other").symlink_to("../../fake")
    (folder / "fake" / "back").symlink_to("../real/b")
    found = walked(folder)
    assert found["real/up"] == LOOP
    assert found["real/b/other/c.png"] == ""
    assert LOOP in {reason for path, reason in found.items() if path.endswith("back/other/back")}
    assert len(found) < 12


def test_a_folder_that_is_a_link_out_is_not_read_by_its_name_either(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "elsewhere")
    tree = Tree(folder)
    assert tree.listing("link").files == {}
    assert tree.refused == {"link": OUTSIDE}
    assert tree.reason("link/d.png") == OUTSIDE
    assert tree.find("link/d.png") == ("link/d.png", OUTSIDE)


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("real/a.png", "real/a.png", ""),
        ("./real/./a.png", "real/a.png", ""),
        (r".\real\b\1.png", "real/b/1.png", ""),
        ("data/real/a.png", "real/a.png", ""),
        (r"data\real\a.png", "real/a.png", ""),
        (" real//a.png ", "real/a.png", ""),
        ("real/z.png", "real/z.png", MISSING),
        ("real", "real", MISSING),
        ("nowhere/a.png", "nowhere/a.png", MISSING),
        ("../secret.png", "../secret.png", UPWARDS),
        ("real/../../secret.png", "real/../../secret.png", UPWARDS),
        (r"real\..\a.png", "real/../a.png", UPWARDS),
        ("/etc/passwd", "/etc/passwd", ABSOLUTE),
        (r"C:\data\a.png", "C:/data/a.png", ABSOLUTE),
        (r"\\server\a.png", "//server/a.png", ABSOLUTE),
        ("real/a\0.png", "real/a\0.png", "path with a character that is not text"),
        ("  ", "", "empty path"),
    ],
)
def test_paths_of_lists(folder: Path, text: str, path: str, reason: str) -> None:
    assert Tree(folder).find(text) == (path, reason)


def test_names_that_no_table_can_hold_are_refused(folder: Path) -> None:
    (folder / "real" / "two\nlines.png").touch()
    (folder / "real" / os.fsdecode(b"latin-\xe9.png")).touch()
    (folder / "real" / "Bildschirmfoto um 9.41\u202fPM \u00e9.png").touch()
    _, _, read = detect.read(folder)
    assert list(read.rejected["path"]) == ["real/latin-\\udce9.png", "real/two\\u000alines.png"]
    assert "real/Bildschirmfoto um 9.41\u202fPM \u00e9.png" in set(read.table["file"])
    read.table.to_csv(folder.parent / "table.csv", index=False, encoding="utf-8")
    read.rejected.to_csv(folder.parent / "rejected.csv", index=False, encoding="utf-8")


def test_links_out_are_rejected_by_a_layout_and_never_dropped(folder: Path) -> None:
    (folder / "real" / "link.png").symlink_to("../../secret.png")
    (folder / "deepfake").symlink_to(folder.parent / "elsewhere")
    _, _, read = detect.read(folder)
    assert list(read.rejected.itertuples(index=False, name=None)) == [
        ("deepfake", "", OUTSIDE),
        ("real/link.png", "real", OUTSIDE),
    ]
    _, _, read = detect.read(folder, options=Options(trusted=True))
    assert read.rejected.empty
    assert {"deepfake/d.png", "real/link.png"} < set(read.table["file"])


@pytest.mark.parametrize("name", ["original_sequences", "original_sequences/youtube", "original_sequences/youtube/c23"])
def test_a_folder_of_a_layout_that_is_a_link_out_is_not_followed(tmp_path: Path, name: str) -> None:
    data = tmp_path / "data"
    touch(data, "original_sequences/youtube/c23/videos/000.mp4", "manipulated_sequences/X/c23/videos/000_001.mp4")
    target = (data / name).rename(tmp_path / "elsewhere")
    (data / name).symlink_to(target)
    _, _, read = detect.read(data, options=Options(one_class=True))
    assert list(read.table["file"]) == ["manipulated_sequences/X/c23/videos/000_001.mp4"]
    assert list(read.rejected.itertuples(index=False, name=None)) == [(name, "", OUTSIDE)]
    _, _, read = detect.read(data, options=Options(trusted=True))
    assert len(read.table) == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.csv", "path,label\na.png,0\nb.png,1\n"),
        ("frames.csv", "filepath,label\na.png,Original\n"),
        ("X.json", '{"X": {"X_real": {"train": {"v": {"label": "X_real", "frames": ["a.png"]}}}}}'),
        ("List_of_testing_videos.txt", "1 Celeb-real/id0_0000.mp4"),
        ("dataset.json", "{}"),
        ("dfdc_train_part_0/metadata.json", '{"a.mp4": {"label": "REAL"}}'),
    ],
)
def test_no_list_is_read_through_a_link_out(tmp_path: Path, name: str, content: str) -> None:
    data = tmp_path / "data"
    touch(data, "a.png", "b.png")
    if name.startswith("List"):
        touch(data, "Celeb-real/id0_0000.mp4")
    elif name == "dataset.json":
        touch(data, "method_A/1/1_A/2_1_A_001.mp4")
    elif name.startswith("dfdc"):
        touch(data, "dfdc_train_part_0/a.mp4")
    write(tmp_path, name, content)
    (data / name).symlink_to(tmp_path / name)
    with pytest.raises(UserError, match=OUTSIDE):
        detect.read(data)


def test_suffixes_say_what_a_file_is() -> None:
    names = ("a.PNG", "b/a.jpeg", "a.MP4", "a.txt", "png", "a.png.zip")
    assert [kind_of(name) for name in names] == ["picture", "picture", "video", "", "", ""]
    assert [stem_of(name) for name in ("x/a.b.png", "x.y/a", "a")] == ["a.b", "a", "a"]

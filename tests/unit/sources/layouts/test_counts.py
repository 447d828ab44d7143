"""Nothing of a user's folder is dropped in silence: every file is a row, is rejected, or is counted in a line."""

import os
import re
import shutil
import socket
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake_detection.common.errors import UserError
from deepfake_detection.pictures.kinds import is_clutter
from deepfake_detection.sources.layouts import detect
from deepfake_detection.sources.layouts.table import Layout, Options
from deepfake_detection.sources.layouts.tree import ABSOLUTE, MISSING, kind_of
from tests.support.miniatures.empty import touch, write
from tests.unit.sources.conftest import MAKERS

LISTS = (".csv", ".json", ".txt")
CAFE = "caf\u00e9.png"  # the accent is a part of the letter (NFC)
CAFE_OF_MACS = unicodedata.normalize("NFD", CAFE)


def other_case(path: Path) -> Path:
    return path.with_name(path.name.swapcase())


def twin(path: Path) -> None:
    """The file once more, in a folder that differs in case alone."""
    folder = other_case(path.parent)
    folder.mkdir(exist_ok=True)
    (folder / path.name).touch()


def special(path: Path) -> None:
    os.mkfifo(path.with_name("pipe.png"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path.with_name("socket.png")))


def links(path: Path) -> None:
    path.with_name("gone.png").symlink_to("nowhere.png")
    path.with_name("self.mp4").symlink_to("self.mp4")
    path.with_name("inside.png").symlink_to(path)
    path.with_name("up").symlink_to("..")
    path.with_name("out.png").symlink_to(__file__)


TRAPS: dict[str, Callable[[Path], object]] = {
    "a twin of the folder": twin,
    "a twin of the file": lambda path: other_case(path).touch(),
    "another suffix": lambda path: path.with_suffix(".PNG" if kind_of(path.name) == "video" else ".avi").touch(),
    "two forms": lambda path: touch(path.parent, CAFE, CAFE_OF_MACS),
    "special files": special,
    "links": links,
    "a folder": lambda path: touch(path.parent, f"{path.stem}x/1.png", "x.png/2.png"),
    "clutter": lambda path: touch(path.parent, ".hidden.png", "__MACOSX/a.png", "notes.txt"),
    "beside it all": lambda path: touch(path.parents[1], "zz.png", "other/zz.mp4"),
    "missing": Path.unlink,
}


def files_in(folder: Path) -> Iterator[str]:
    """The pictures and videos below a folder by their names, without clutter; links to folders are not followed."""
    for below, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_clutter(name)]
        for name in names:
            if kind_of(name) and not is_clutter(name):
                yield Path(below, name).relative_to(folder).as_posix()


def is_told(path: str, paths: set[str]) -> bool:
    return any(each.as_posix() in paths for each in (Path(path), *Path(path).parents))


@pytest.mark.parametrize("name", MAKERS)
def test_files_in_are_rows_out_or_lines(miniatures: Path, name: str) -> None:
    source = miniatures / name
    paths = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    media = [path for path in paths if path.suffix not in LISTS]
    there = st.lists(st.tuples(st.sampled_from(media), st.sampled_from([*TRAPS])), max_size=4, unique=True)

    @settings(max_examples=12, deadline=None, derandomize=True, database=None)
    @given(there, st.booleans())
    def check(traps: list[tuple[Path, str]], trusted: bool) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "mine"
            touch(folder, *map(str, media))
            for path in set(paths) - {*media}:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source / path, folder / path)
            for path, trap in traps:
                with suppress(OSError):  # two traps may be in each other's way
                    TRAPS[trap](folder / path)
            compare(folder, name, trusted)

    check()


def compare(folder: Path, name: str, trusted: bool) -> None:
    try:
        _, _, read = detect.read(folder, name.split()[0], Options(trusted=trusted))
    except UserError:  # a line; test_mistakes.py reads such
        return
    rows, rejected = [*read.table["file"]], {*read.rejected["path"]}
    assert len(rows) == len({*rows})
    assert all((folder / row).is_file() for row in rows)
    left = [path for path in files_in(folder) if path not in rows and not is_told(path, rejected)]
    assert len(left) == left_out(read)


def left_out(read: Layout) -> int:
    counts = [re.match(r"(\d+) of \d+ pictures and videos in .* are left out, e\.g\. ", note) for note in read.notes]
    return sum(int(count[1]) for count in counts if count)


def test_folders_that_differ_in_case_or_word_are_one_class(tmp_path: Path) -> None:
    names = ("a.png", "005_f4.png", "walk/1.png", "walk/2.png")
    for folder in ("real", "Real", "0"):
        touch(tmp_path, *(f"{folder}/{name}" for name in names))
    touch(tmp_path, "fake/005_010_f4.png", "fake/x.png", "Real/film.mp4", "real/film/3.png")
    _, _, read = detect.read(tmp_path)
    real = read.table[read.table["label"] == 0]
    assert len(real) == 3 * len(names) + 1
    assert {*real["category"]} == {"real"}
    assert {*read.table.loc[read.table["file"].str.contains("005"), "group"]} == {""}  # what the names say still counts
    assert read.rejected.empty
    assert [note.partition(": ")[2] for note in read.notes[:-1]] == [
        "1 videos are there as frames too, e.g. Real/film.mp4: the frames are taken"
    ]
    assert left_out(read) == 1
    touch(tmp_path, "Real/clip.mp4", "real/clip.mp4")
    with pytest.raises(UserError, match=r"real/clip\.mp4 has the video and the number of another file: take one"):
        detect.read(tmp_path)


LISTED = {  # what a list says, what is on the disk, and the reason if it is not taken
    f"real/{CAFE}": (f"real/{CAFE_OF_MACS}", ""),
    f"fake/{CAFE_OF_MACS}": (f"fake/{CAFE}", ""),
    "REAL/B.PNG": ("real/b.png", ""),
    "/home/anna/mine/real/c.png": ("real/c.png", ""),
    "C:\\Users\\anna\\Mine\\Fake\\d.PNG": ("fake/d.png", ""),
    "ROOT/real/e.png": ("real/e.png", ""),
    "real/i.PNG": ("real/i.png and real/I.png", MISSING),
    "real/J.png": ("real/j.png", MISSING),  # another line names that
    "real/j.png": ("real/j.png", ""),
    "/home/anna/mine/real/k.png": ("", ABSOLUTE),
    "/home/anna/mine/../real/c.png": ("", ABSOLUTE),
}


def test_a_list_of_another_system_is_understood_where_it_is_unambiguous(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    touch(folder, *(file for files, _ in LISTED.values() for file in files.split(" and ") if file))
    rows = [f"{path.replace('ROOT', str(folder))},{int('fake' in path.lower())}" for path in LISTED]
    write(folder, "manifest.csv", "\n".join(["path,label", *rows, ""]))
    _, _, read = detect.read(folder, "manifest")
    assert sorted(read.table["file"]) == sorted(files for files, reason in LISTED.values() if not reason)
    assert sorted(read.rejected["reason"]) == sorted(reason for _, reason in LISTED.values() if reason)
    assert left_out(read) == 2  # real/i.png and real/I.png


def test_lists_that_name_videos_by_their_names_alone(tmp_path: Path) -> None:
    touch(tmp_path, "dfdc/A.mp4", f"dfdc/{CAFE_OF_MACS}.mp4", "dfdc/x.mp4", "dfdc/X.mp4", "dfdc/b.mp4")
    labels = {"a.mp4": "REAL", f"{CAFE}.mp4": "FAKE", "x.mp4": "FAKE", "B.MP4": "FAKE"}
    write(tmp_path, "dfdc/metadata.json", {name: {"label": label} for name, label in labels.items()})
    _, _, read = detect.read(tmp_path / "dfdc")
    assert sorted(read.table["file"]) == sorted(["A.mp4", f"{CAFE_OF_MACS}.mp4", "x.mp4", "b.mp4"])
    assert read.rejected[["path", "reason"]].to_numpy().tolist() == [["X.mp4", "not in metadata.json"]]
    write(tmp_path, "dfdc/metadata.json", {"a.mp4": {"label": "REAL"}, "a.avi": {"label": "FAKE"}})
    with pytest.raises(UserError, match=r"metadata\.json: a\.avi has another label before: correct one of them"):
        detect.read(tmp_path / "dfdc")
    frames = tmp_path / "kaggle" / "FF++C32-Frames"
    touch(frames, "original/005_F4.JPG", "original/006_f4.jpg", "Deepfakes/005_010_f4.jpg")
    write(tmp_path, "kaggle/CSVs/original.csv", "filename,label\n005_f4.jpg,Original\n006_f4.jpg,0\n")
    _, _, read = detect.read(tmp_path / "kaggle")
    assert {*read.rejected["path"]} == {"FF++C32-Frames/original/005_F4.JPG"}  # once: the list's name is the file's
    touch(tmp_path, f"bench/rgb/r/{CAFE_OF_MACS}", "bench/rgb/f/1.PNG")
    names = {"X_real": [f"r/{CAFE}"], "X_fake": [str(tmp_path / "bench/rgb/f/1.PNG"), "f/1.png"]}
    entries = {label: {"test": {label: {"label": label, "frames": those}}} for label, those in names.items()}
    write(tmp_path, "bench/X.json", {"X": entries})
    _, _, read = detect.read(tmp_path / "bench")
    assert {*read.table["file"]} == {f"rgb/r/{CAFE_OF_MACS}", "rgb/f/1.PNG"}

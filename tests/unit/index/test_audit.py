"""What looks the same on two sides of the split is counted, listed and shown."""

import itertools
import json
import shutil
import tracemalloc
from itertools import repeat
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from numpy.dtypes import StringDType
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.index import audit
from deepfake_detection.index.audit import (
    HashedFrames,
    closest_pairs,
    contact_sheet,
    hashed_frames,
    near_duplicates,
    nearest_distances,
    read_hashes,
)
from deepfake_detection.index.decode import decode_frames


def hashed(rows: pd.DataFrame, raw: Path) -> HashedFrames:
    """The hashes of frames under ``raw``, as they are written and read."""
    files, numbers = np.array(rows["path"], dtype=StringDType()), np.zeros(len(rows), np.int64)
    decoded = decode_frames(raw, files, numbers, repeat(None), "hashing", 1)
    hashes = rows[["path"]].assign(phash=[f"{found:016x}" for found in decoded.found["phash"]])
    hashes.to_csv(raw / "hashes.csv", index=False)
    return hashed_frames(rows[["path", "split"]].merge(read_hashes(raw / "hashes.csv"), on="path"))


@pytest.fixture
def scenes(tmp_path: Path) -> pd.DataFrame:
    """Six pictures on the three sides and unused: "b" and "c" are "a" again, made darker or smaller."""
    rng = np.random.default_rng(0)
    first, second, third = (
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((320, 240)) for _ in range(3)
    )
    pictures = {
        "real/a.png": (first, "test"),
        "real/b.png": (first.point([level * 3 // 4 for level in range(256)] * 3), "train"),
        "real/c.png": (first.resize((200, 150)), "train"),
        "real/d.png": (second, "train"),
        "real/e.png": (second, "unused"),
        "real/f.png": (third, "val"),
    }
    for name, (picture, _) in pictures.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture.save(tmp_path / name)
    rows = [(name, split) for name, (_, split) in pictures.items()]
    return pd.DataFrame(rows, columns=["path", "split"])


@pytest.mark.parametrize("max_distance", [0, 2, 4])
@pytest.mark.parametrize("spread", [0, 1, 3], ids=["equal", "one bit", "three bits"])
@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_those_found_one_by_one(seed: int, spread: int, max_distance: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 500))
    alike = rng.integers(0, 2**64, int(rng.integers(1, 60)), dtype=np.uint64)
    hashes = alike[rng.integers(0, len(alike), size)]
    for _ in range(spread):
        hashes ^= np.uint64(1) << rng.integers(0, 64, size, dtype=np.uint64)
    split = rng.choice(np.array(["train", "train", "val", "test", "unused"], dtype=object), size)
    expected = sorted(
        (distance, a, b)
        for a, b in itertools.combinations(range(size), 2)
        if split[a] != split[b]
        and "unused" not in (split[a], split[b])
        and (distance := (int(hashes[a]) ^ int(hashes[b])).bit_count()) <= max_distance
    )
    count, closest = closest_pairs(hashes, split, max_distance)
    assert count == len(expected)
    assert [tuple(row) for row in closest.tolist()] == expected[:50]


def test_the_same_picture_is_found_across_sides_only(scenes: pd.DataFrame, tmp_path: Path) -> None:
    report = near_duplicates(hashed(scenes.iloc[::-1], tmp_path))
    assert report["near_duplicates"] == 2
    assert (report["hash"], report["max_distance"]) == ("phash 64 bit", 4)
    assert sorted(pair["paths"] for pair in report["pairs"]) == [["real/a.png", f"real/{name}.png"] for name in "bc"]
    assert [pair["splits"] for pair in report["pairs"]] == [["test", "train"]] * 2
    assert json.loads(json.dumps(report)) == report


def test_distances_are_those_of_imagehash(scenes: pd.DataFrame, tmp_path: Path) -> None:
    report = near_duplicates(hashed(scenes, tmp_path), max_distance=64)
    hashes = {path: imagehash.phash(Image.open(tmp_path / path)) for path in scenes["path"]}
    assert report["near_duplicates"] == len(report["pairs"]) == 3 * 1 + 3 * 1 + 1
    for pair in report["pairs"]:
        first, second = pair["paths"]
        assert pair["distance"] == hashes[first] - hashes[second]
    assert report["pairs"] == sorted(report["pairs"], key=lambda pair: (pair["distance"], pair["paths"]))
    assert report["pairs"][-1]["distance"] > 4


@pytest.mark.parametrize("seed", range(5))
def test_nearest_distances_are_those_found_one_by_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_COMPARED", 1000)  # many blocks, most of them of unequal size
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, 300))
    hashes = rng.integers(0, 2**64, size, dtype=np.uint64) & rng.integers(0, 2**64, size, dtype=np.uint64)
    split = rng.choice(np.array(["train", "train", "val", "test"]), size)
    split[:2] = "train", "test"
    expected = {name: [0] * 65 for name in ("train", "val", "test")}
    for one, own in zip(hashes.tolist(), split, strict=True):
        distances = [(one ^ other).bit_count() for other in hashes[split != own].tolist()]
        expected[own][min(distances)] += 1
    table = nearest_distances(HashedFrames(np.arange(size), split, hashes))
    assert table["distance"].tolist() == list(range(65))
    assert {name: table[name].tolist() for name in table.columns[1:]} == expected


def test_nearest_distances_cover_no_distance_and_every_bit() -> None:
    hashes = np.array([0, 2**64 - 1, 0], dtype=np.uint64)
    frames = HashedFrames(np.arange(3), np.array(["train", "test", "unused"]), hashes)
    table = nearest_distances(frames).set_index("distance")
    assert table.loc[64].to_dict() == {"train": 1, "val": 0, "test": 1}
    assert table.to_numpy().sum() == 2
    alone = nearest_distances(HashedFrames(frames.paths[:1], frames.split[:1], hashes[:1]))
    assert alone[["train", "val", "test"]].to_numpy().sum() == 0


def test_nearest_distances_of_many_frames_take_little_memory() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 10_000, dtype=np.uint64)
    frames = HashedFrames(np.arange(10_000), rng.choice(np.array(["train", "val", "test"]), 10_000), hashes)
    tracemalloc.start()
    nearest_distances(frames)
    assert tracemalloc.get_traced_memory()[1] < 32 * 2**20  # all distances are 200 MB
    tracemalloc.stop()


def test_what_is_no_table_of_hashes_is_refused(scenes: pd.DataFrame, tmp_path: Path) -> None:
    assert hashed(scenes, tmp_path).paths.tolist() == [f"real/{name}.png" for name in "abcdf"]
    (tmp_path / "hashes.csv").write_text("path,hash\nreal/b.png,0\n")
    with pytest.raises(UserError, match=r"hashes\.csv is not a table of hashes .*run the stage that writes it again"):
        read_hashes(tmp_path / "hashes.csv")
    with pytest.raises(UserError, match=r"gone\.csv not found: run the stage that writes it"):
        read_hashes(tmp_path / "gone.csv")


def test_frame_of_a_pair_that_is_gone_is_one_line(scenes: pd.DataFrame, tmp_path: Path) -> None:
    pairs = near_duplicates(hashed(scenes, tmp_path))["pairs"]
    (tmp_path / scenes["path"][1]).unlink()
    with pytest.raises(UserError, match=r"b\.png: no such file or directory: .*index the frames again"):
        contact_sheet(tmp_path, pairs)


def test_sheet_shows_both_frames_of_each_pair(scenes: pd.DataFrame, tmp_path: Path) -> None:
    shades = ((255, 0, 0), (0, 0, 255), (0, 255, 0), (255, 255, 0))
    colours = {f"real/{name}.png": shade for name, shade in zip("abcf", shades, strict=True)}
    for path, colour in colours.items():
        Image.new("RGB", (320, 240), colour).save(tmp_path / path)
    pairs = [
        {"distance": 0, "paths": ["real/a.png", "real/b.png"], "splits": ["test", "train"]},
        {"distance": 4, "paths": ["real/c.png", "real/f.png"], "splits": ["train", "val"]},
    ]
    sheet = np.asarray(contact_sheet(tmp_path, pairs))
    left = []
    for colour in colours.values():
        rows, columns = np.nonzero((sheet == colour).all(axis=2))
        assert [int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1, len(rows)] == [216, 162, 216 * 162]
        left.append(columns.min())
    assert left == sorted(left)
    one = np.asarray(contact_sheet(tmp_path, pairs[:1]))
    assert one.shape == sheet.shape  # two pairs in a line
    assert not (one == colours["real/c.png"]).all(axis=2).any()


@pytest.mark.parametrize(("count", "lines"), [(1, 1), (3, 2), (12, 6), (50, 6)])
def test_sheet_grows_by_lines_up_to_twelve_pairs(scenes: pd.DataFrame, tmp_path: Path, count: int, lines: int) -> None:
    pair = {"distance": 0, "paths": ["real/a.png", "real/f.png"], "splits": ["test", "val"]}
    heights = [contact_sheet(tmp_path, [pair] * number).height for number in (1, 3, count)]
    assert heights[2] == heights[0] + (lines - 1) * (heights[1] - heights[0])


def test_sheet_without_pairs_says_so(scenes: pd.DataFrame, tmp_path: Path) -> None:
    sheet = np.asarray(contact_sheet(tmp_path, []))
    assert len(np.unique(sheet[sheet.shape[0] // 2 :].reshape(-1, 3), axis=0)) > 1


def test_long_names_stay_in_their_card(scenes: pd.DataFrame, tmp_path: Path) -> None:
    name = f"{'Category' * 9}/{'1' * 200}.png"
    (tmp_path / name).parent.mkdir()
    shutil.copy(tmp_path / "real/a.png", tmp_path / name)
    narrow, wide = (
        np.asarray(contact_sheet(tmp_path, [{"distance": 0, "paths": ["real/f.png", path], "splits": ["val", "test"]}]))
        for path in ("real/a.png", name)
    )
    edge = narrow.shape[1] // 2  # where the second card of the line would begin
    assert (narrow[60:, edge:] == wide[60:, edge:]).all()
    assert (narrow[:, :edge] != wide[:, :edge]).any()

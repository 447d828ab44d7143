"""People whom several data sets show are found, by their ids or by how frames look, and kept on one side."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.index.shared import digests, keep_apart, known_groups

SIDES = {"train": range(6), "val": range(6, 8), "test": range(8, 10)}  # the people of the main data set
USES = {"main": "train"}


def hashes(frames: int, seed: int) -> np.ndarray:
    """As many ones as zeros, as a pHash has."""
    rng = np.random.default_rng(seed)
    bits = np.array([rng.permutation(np.arange(64) % 2) for _ in range(frames)], np.uint8)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def data_set(name: str, people: range, seed: int, frames: int = 5, start: int = 0, **columns: Any) -> pd.DataFrame:
    """An original and a fake of each person, with ids that count from ``start``."""
    rows = [
        (f"{name}/{category}/{start + who:03d}_f{frame}.jpg", category, f"{start + who:03d}", frame)
        for category in ("Original", "Deepfakes")
        for who in people
        for frame in range(frames)
    ]
    table = pd.DataFrame(rows, columns=["path", "category", "video_id", "frame"])
    side = {start + who: side for side, those in SIDES.items() for who in those}
    table = table.assign(dataset=name, source_id="", group=f"{name}/" + table["video_id"], role="train", phash="")
    table["split"] = table["video_id"].astype(int).map(side)
    table["phash"] = [f"{code:016x}" for code in hashes(len(table), seed)]
    return table.assign(**columns)


def copied(table: pd.DataFrame, name: str, bits: int = 2, **columns: Any) -> pd.DataFrame:
    """The same frames in another data set under other names, each hash with some bits changed."""
    flips = int("1" * (bits // 2) or "0", 2) | int("1" * (bits - bits // 2) or "0", 2) << 40
    codes = [f"{int(code, 16) ^ flips:016x}" for code in table["phash"]]
    ids = "x" + table["video_id"]
    paths = name + "/" + table["path"].str.partition("/")[2]
    return table.assign(dataset=name, path=paths, video_id=ids, group=f"{name}/" + ids, phash=codes, **columns)


def apart(*tables: pd.DataFrame, use: str, layout: str = "folders", strategy: str = "group") -> tuple[Any, Any]:
    table = pd.concat(tables).sort_values("path", ignore_index=True)
    layouts = dict.fromkeys(set(table["dataset"]), layout)
    return keep_apart(table, layouts, dict.fromkeys(layouts, use) | USES, strategy)


MAIN = data_set("main", range(10), 1)


@pytest.mark.parametrize("bits", [0, 2])
def test_copies_of_what_is_trained_on_are_not_tested_on(bits: int) -> None:
    copy = copied(MAIN, "copy", bits, split="test", role="test")
    table, report = apart(MAIN, copy, use="test")
    left = table[table["dataset"] == "copy"]
    assert set(left.loc[left["split"] == "test", "video_id"]) == {"x008", "x009"}
    assert (left["split"] == "unused").sum() == report["left_out"]["copy"] == 8 * 10
    assert (report["groups"], report["leaked_groups"]) == (10, 0)
    assert table[table["dataset"] == "main"]["split"].tolist() == MAIN.sort_values("path")["split"].tolist()


def test_frames_that_look_another_way_join_nothing() -> None:
    for other in (copied(MAIN, "copy", 4, split="test"), data_set("other", range(10), 2, split="test")):
        table, report = apart(MAIN, other, use="test")
        assert report == {"groups": 0, "leaked_groups": 0, "left_out": {}}
        assert (table["split"] == "unused").sum() == 0


def test_half_of_the_frames_of_a_video_must_look_the_same() -> None:
    frames = MAIN[MAIN["category"] == "Original"].reset_index(drop=True)
    other = data_set("other", range(10), 2, split="test")
    other = other[other["category"] == "Original"].reset_index(drop=True)
    for number, left_out in ((2, 0), (3, 40)):
        same = other.assign(phash=frames["phash"].where(frames["frame"] < number, other["phash"]))
        assert apart(frames, same, use="test")[1]["left_out"].get("other", 0) == left_out


def test_single_pictures_must_look_exactly_the_same_and_blank_ones_say_nothing() -> None:
    single = data_set("main", range(10), 1, frames=1)
    assert apart(single, copied(single, "copy", 2, split="test"), use="test")[1]["groups"] == 0
    assert apart(single, copied(single, "copy", 0, split="test"), use="test")[1]["left_out"] == {"copy": 16}
    blank = single.assign(phash="8000000000000000")
    assert apart(blank, copied(blank, "copy", 0, split="test"), use="test")[1]["groups"] == 0


@pytest.mark.parametrize(("layout", "groups"), [("faceforensics", 4), ("folders", 0)])
def test_equal_ids_count_where_they_are_the_authors(layout: str, groups: int) -> None:
    other = data_set("other", range(4), 2, split="test")
    found = apart(MAIN, other, use="test", layout=layout) if not groups else None
    if found:
        assert found[1]["groups"] == groups
    else:
        with pytest.raises(UserError, match=r"datasets\.other: every frame .*other/.*/000_f0.jpg and main/"):
            apart(MAIN, other, use="test", layout=layout)
    more = data_set("other", range(2, 10), 2, split="test")
    assert apart(MAIN, more, use="test", layout=layout)[1]["left_out"] == ({"other": 60} if groups else {})


def test_training_never_sees_people_of_the_test() -> None:
    turned = copied(MAIN, "copy", 2)
    turned["split"] = turned["split"].map({"train": "test", "val": "val", "test": "train"})
    with pytest.raises(UserError, match=r"^datasets\.(main|copy) and \w+ show the same people on different sides"):
        apart(MAIN, turned, use="train")
    assert apart(MAIN, copied(MAIN, "copy", 2), use="train")[1]["leaked_groups"] == 0
    assert apart(MAIN, turned, use="train", strategy="frame")[1]["leaked_groups"] == 8  # random frames leak anyway
    with pytest.raises(UserError, match=r"^datasets\.phone: 40 of its frames show people who are tested on, e\.g\. "):
        apart(MAIN, copied(MAIN, "phone", 2, split="adapt", role="adapt"), use="adapt")
    unlabelled = copied(MAIN[MAIN["split"] == "train"], "phone", 2, split="adapt", role="adapt")
    assert apart(MAIN, unlabelled, use="adapt")[1] == {"groups": 6, "leaked_groups": 0, "left_out": {}}


def test_held_out_manipulations_join_nothing_by_their_source() -> None:
    ids = {"source_id": "009", "role": "unseen", "split": "unused", "category": "FaceSwap"}
    swap = MAIN[MAIN["video_id"] == "000"].assign(**ids)
    swap["path"] = swap["path"].str.replace("main/", "main/FaceSwap/")
    other = data_set("other", range(8, 11), 3, split="test")
    assert apart(MAIN, swap, other, use="test", layout="faceforensics")[1]["left_out"] == {}


@pytest.mark.parametrize("layout", ["faceforensics", "folders"])
def test_people_that_a_checkpoint_was_trained_on_are_known_again(tmp_path: Path, layout: str) -> None:
    layouts, sidecar, other = {"main": layout, "other": layout}, tmp_path / "teacher.json", tmp_path / "teacher.pth"
    assert known_groups(MAIN, layouts, other) == 0
    trained = MAIN[MAIN["video_id"].isin(["000", "008", "009"])]
    sidecar.write_text(json.dumps({"people": sorted(set(digests(trained, layouts)))}))
    assert known_groups(MAIN, layouts, other) == 2
    assert known_groups(data_set("other", range(6), 2), layouts, other) == 0
    # the ids are the authors', whatever the frames look like; elsewhere they say nothing
    again = data_set("other", range(10), 2)
    assert known_groups(again, layouts, other) == (2 if layout == "faceforensics" else 0)
    for text in ("", "[]", '{"people": 3}', '{"people": [3, null]}'):
        sidecar.write_text(text)
        assert known_groups(MAIN, layouts, other) == 0

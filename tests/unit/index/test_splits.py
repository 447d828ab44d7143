"""Splits hold sequences and recordings together, hold their shares, and say what they leak."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.index.groups import frame_groups, identity_groups
from deepfake_detection.index.splits import split_frames, split_report

SHARES = (0.70, 0.15, 0.15)


def make_index(pairs: list[tuple[str, str]], frames: int = 5) -> pd.DataFrame:
    """FF++-shaped: an original of each identity, both directions of each pair manipulated."""
    people = dict.fromkeys(who for pair in pairs for who in pair)
    rows = [(f"Original/{who}_f{n}.jpg", "Original", 0, who, "", n) for who in people for n in range(frames)]
    index = pd.DataFrame(rows, columns=["path", "category", "label", "video_id", "source_id", "frame"])
    return add_category(index, "Deepfakes", both_directions(pairs), frames).drop_duplicates("path", ignore_index=True)


def pairs(count: int) -> list[tuple[str, str]]:
    return [(f"{2 * n:03d}", f"{2 * n + 1:03d}") for n in range(count)]


def test_groups_join_what_shares_a_sequence_through_others() -> None:
    chain = make_index([("000", "001"), ("001", "002"), ("005", "006")])
    groups = identity_groups(chain).groupby(chain["video_id"]).unique()
    assert groups["000"].tolist() == groups["001"].tolist() == groups["002"].tolist()
    assert groups["005"].tolist() == groups["006"].tolist() != groups["000"].tolist()


@pytest.mark.parametrize(("count", "seed"), [(20, 0), (40, 1), (60, 42), (101, 0)])
def test_group_split_leaks_nothing_and_holds_its_shares(count: int, seed: int) -> None:
    index = make_index(pairs(count))
    split = split_frames(index, "group", SHARES, seed)
    assert split.equals(split_frames(index, "group", SHARES, seed))
    assert not split.equals(split_frames(index, "group", SHARES, seed + 1))
    people = pd.concat([index["video_id"], index["source_id"]])
    sides = pd.concat([split, split])[people != ""].groupby(people[people != ""]).nunique()
    assert (sides == 1).all()
    for _, part in split.groupby(index["label"]):
        for name, share in zip(("train", "val", "test"), SHARES, strict=True):
            assert abs((part == name).mean() - share) <= 0.02
    report = split_report(index, split)
    assert (report["leaked_groups"], report["leaked_videos"], report["groups"]) == (0, 0, count)


def test_frame_split_leaks_and_says_how_much() -> None:
    index = make_index(pairs(40))
    split = split_frames(index, "frame", SHARES, 42)
    groups = identity_groups(index)
    leaked = sum(split[groups == group].nunique() > 1 for group in groups.unique())
    assert split_report(index, split)["leaked_groups"] == leaked > 30
    assert split.value_counts().to_dict() == {"train": 560, "val": 120, "test": 120}


def test_report_counts_by_hand() -> None:
    index = make_index(pairs(2), frames=1)
    split = pd.Series(["train" if "000" in path or "001" in path else "test" for path in index["path"]])
    report = split_report(index, split)
    of_each = {"frames": 2, "videos": 2, "groups": 1}
    assert report["train"].pop("categories") == {"Deepfakes": of_each, "Original": of_each}
    assert report["train"] == {"frames": 4, "videos": 4, "groups": 1}
    assert report["val"] == report["unused"] == {"frames": 0, "videos": 0, "groups": 0, "categories": {}}


@pytest.mark.parametrize("strategy", ["group", "frame"])
def test_too_few_to_divide_is_one_line(strategy: str) -> None:
    index = make_index(pairs(1), frames=1)
    with pytest.raises(UserError, match="too few") as caught:
        split_frames(index, strategy, SHARES, 0)
    assert "\n" not in str(caught.value)


def add_category(index: pd.DataFrame, name: str, people: list[tuple[str, str]], frames: int = 5) -> pd.DataFrame:
    """The index with a further manipulation of target by source for each pair of people."""
    rows = [
        (f"{name}/{target}_{source}_f{frame}.jpg", name, 1, target, source, frame)
        for (target, source), frame in itertools.product(people, range(frames))
    ]
    return pd.concat([index, pd.DataFrame(rows, columns=index.columns)]).sort_values("path", ignore_index=True)


def both_directions(couples: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [pair for a, b in couples for pair in ((a, b), (b, a))]


def lists_of(couples: list[tuple[str, str]]) -> dict[str, str]:
    """Official lists that give the couples in turn to train, train, val and test."""
    sides = itertools.cycle(["train", "train", "val", "test"])
    return {who: side for couple, side in zip(couples, sides, strict=False) for who in couple}


SEEN = ["Original", "Deepfakes"]


@pytest.mark.parametrize("strategy", ["group", "frame", "official"])
@pytest.mark.parametrize("seed", [0, 1])
def test_unseen_categories_never_move_what_is_trained_on(strategy: str, seed: int) -> None:
    couples = pairs(40)
    seen = make_index(couples)
    unseen = both_directions(couples[1::2])  # of train and test
    if strategy != "official":
        unseen.append(("000", "005"))  # of two groups, which must not become one
    index = add_category(seen, "A_NeuralTextures", unseen)
    split = split_frames(index, strategy, SHARES, seed, SEEN, lists_of(couples))
    alone = split_frames(seen, strategy, SHARES, seed, official=lists_of(couples))
    trained = index["category"].isin(SEEN)
    assert split[trained].tolist() == alone.tolist()
    assert set(split[trained]) == {"train", "val", "test"}
    assert set(split[~trained]) == {"test", "unused"}


@pytest.mark.parametrize(("strategy", "seed"), [("group", 0), ("group", 1), ("official", 2), ("official", 3)])
def test_unseen_categories_follow_their_people(strategy: str, seed: int) -> None:
    """Groups of random sizes: each person is chained to the next one or not."""
    rng = np.random.default_rng(seed)
    couples = [(f"{n:03d}", f"{n + 1:03d}") for n in range(150) if n % 9 and rng.random() < 0.5]
    seen = make_index(couples, frames=2)
    groups = identity_groups(seen)
    sides = {
        who: ["train", "val", "test"][number % 3]
        for who, number in zip(seen["video_id"], pd.factorize(groups)[0], strict=True)
    }
    index = add_category(seen, "FaceShifter", both_directions(couples), frames=2)
    split = split_frames(index, strategy, (0.6, 0.2, 0.2), seed, SEEN, sides)
    trained = index["category"].isin(SEEN)
    side_of = dict(zip(index.loc[trained, "video_id"], split[trained], strict=True))
    for video, side in zip(index.loc[~trained, "video_id"], split[~trained], strict=True):
        assert side == ("test" if side_of[video] == "test" else "unused")
    report = split_report(index, split)
    assert (report["leaked_groups"], report["leaked_videos"]) == (0, 0)
    assert report["unused"]["frames"] == (split == "unused").sum() > 0
    assert report["test"]["categories"]["FaceShifter"] == report["test"]["categories"]["Deepfakes"]


def test_unseen_frame_of_people_on_two_sides_or_unknown_is_unused() -> None:
    seen = make_index(pairs(20))
    side_of = dict(zip(seen["video_id"], split_frames(seen, "group", SHARES, 0), strict=True))
    train, test = ([who for who, side in side_of.items() if side == name] for name in ("train", "test"))
    people = [(test[0], train[0]), (train[0], test[0]), (test[0], "900"), ("900", "901"), (test[0], test[-1])]
    index = add_category(seen, "FaceShifter", people, frames=1)
    split = split_frames(index, "group", SHARES, 0, SEEN)
    rows = index["category"] == "FaceShifter"
    couples = zip(index.loc[rows, "video_id"], index.loc[rows, "source_id"], strict=True)
    found = dict(zip(couples, split[rows], strict=True))
    assert found == dict(zip(people, ["unused"] * 4 + ["test"], strict=True))
    assert split_report(index, split)["leaked_groups"] == 0


def test_unseen_frame_under_frame_follows_the_original_of_its_number() -> None:
    index = add_category(make_index(pairs(20)), "FaceShifter", both_directions(pairs(20)))
    split = split_frames(index, "frame", SHARES, 0, SEEN)
    side_of = dict(zip(index["path"], split, strict=True))
    rows = index["category"] == "FaceShifter"
    for video, frame, side in zip(index.loc[rows, "video_id"], index.loc[rows, "frame"], split[rows], strict=True):
        original = side_of[f"Original/{video}_f{frame}.jpg"]
        assert side == ("test" if original == "test" else "unused")
    # every unseen test frame has its original there, and the other way round
    report = split_report(index, split)["test"]["categories"]
    assert report["FaceShifter"]["frames"] == report["Original"]["frames"] == 30


def test_official_split_is_that_of_the_lists() -> None:
    couples = pairs(10)
    index = make_index(couples)
    lists = lists_of(couples)
    split = split_frames(index, "official", SHARES, 0, official=lists | {"999": "val"})
    assert split.tolist() == [lists[who] for who in index["video_id"]]
    report = split_report(index, split)
    assert (report["leaked_groups"], report["leaked_videos"]) == (0, 0)
    assert [report[name]["groups"] for name in ("train", "val", "test")] == [6, 2, 2]


@pytest.mark.parametrize("empty", ["train", "val", "test"])
def test_official_side_without_a_class_is_an_error(empty: str) -> None:
    index = make_index(pairs(6))
    lists = lists_of(pairs(6))
    gone = (index["video_id"].map(lists) == empty) & (index["category"] == "Deepfakes")
    message = f"official lists leave {empty} without a frame labelled 1: "
    with pytest.raises(UserError, match=message):
        split_frames(index[~gone], "official", SHARES, 0, official=lists)
    index.loc[gone, "category"] = "FaceShifter"
    with pytest.raises(UserError, match=message):
        split_frames(index, "official", SHARES, 0, SEEN, lists)


@pytest.mark.parametrize(("change", "off"), [({"001": "val"}, 10), ({"000": "", "001": ""}, 20)])
def test_frames_on_no_official_list_or_on_two_are_unused(change: dict[str, str], off: int) -> None:
    index = make_index(pairs(6))
    lists = {who: side for who, side in (lists_of(pairs(6)) | change).items() if side}
    split = split_frames(index, "official", SHARES, 0, official=lists)
    ends = zip(index["video_id"], index["source_id"].where(index["source_id"] != "", index["video_id"]), strict=True)
    sides = [{lists.get(who, "unused") for who in people} for people in ends]
    assert split.tolist() == [side.pop() if len(side) == 1 else "unused" for side in sides]
    assert (split == "unused").sum() == off


@pytest.mark.parametrize("strategy", ["group", "frame", "official"])
def test_nothing_to_train_on_is_an_error(strategy: str) -> None:
    with pytest.raises(UserError, match="no frame labelled 1 in the categories trained on"):
        split_frames(make_index(pairs(20)), strategy, SHARES, 0, ["Original"], lists_of(pairs(20)))


def grouped(index: pd.DataFrame, recordings: dict[str, str] | None = None) -> list[list[str]]:
    """The target ids of each group."""
    videos = index["video_id"].groupby(identity_groups(index, recordings)).unique()
    return sorted(sorted(ids) for ids in videos)


def test_two_sequences_of_one_recording_are_joined() -> None:
    index = make_index([("000", "001"), ("002", "003"), ("004", "005")], frames=1)
    apart = [["000", "001"], ["002", "003"], ["004", "005"]]
    assert grouped(index) == grouped(index, {}) == grouped(index, {"000": "a", "001": "b", "900": "a"}) == apart
    assert grouped(index, {"001": "a", "002": "a"}) == [["000", "001", "002", "003"], ["004", "005"]]
    # through a source that is nobody's target
    index = index[~((index["video_id"] == "001") | (index["video_id"] == "002"))]
    assert grouped(index, {"001": "a", "002": "a"}) == [["000", "003"], ["004", "005"]]
    assert grouped(index, {"001": "a", "002": "b"}) == [["000"], ["003"], ["004", "005"]]


def test_recordings_are_counted_by_hand() -> None:
    index = make_index(pairs(3), frames=1)
    side = {"000": "train", "001": "train", "002": "val", "003": "val", "004": "test", "005": "test"}
    split = index["video_id"].map(side)
    known = {"000": "a", "001": "b", "002": "b", "003": "c", "004": "d", "005": "d"}
    keys = ["recordings_known", "recordings", "leaked_recordings", "groups", "leaked_groups"]
    for recordings, counts in (
        (None, [False, 6, 0, 3, 0]),
        (known, [True, 4, 1, 2, 1]),  # b; it joins the first two pairs
        ({who: name for who, name in known.items() if who != "005"}, [False, 5, 1, 2, 1]),
    ):
        report = split_report(index, split, recordings)
        assert [report[key] for key in keys] == counts
    index40, two_of_each = make_index(pairs(40)), {f"{n:03d}": f"{n // 4}" for n in range(80)}
    apart, joined = (split_frames(index40, "group", SHARES, 0, recordings=each) for each in ({}, two_of_each))
    assert split_report(index40, apart, two_of_each)["leaked_recordings"] > 0
    assert split_report(index40, joined, two_of_each)["leaked_recordings"] == 0
    # on the other side as the source of a fake alone
    split[index["path"] == "Deepfakes/004_005_f0.jpg"] = "train"
    assert split_report(index, split, known)["leaked_recordings"] == 2
    split[index["path"] == "Deepfakes/004_005_f0.jpg"] = "unused"
    assert split_report(index, split, known)["leaked_recordings"] == 1


def test_unseen_frames_do_not_join_recordings_that_are_trained_on() -> None:
    """A recording of which one sequence is only evaluated: that one is unused unless it is in a seen test frame."""
    seen = make_index(pairs(40))
    index = add_category(seen, "FaceShifter", [("900", "901")])
    recordings = {"900": "a", "000": "a", "901": "b"}
    split = split_frames(index, "group", SHARES, 0, SEEN, recordings=recordings)
    assert set(split[index["category"] == "FaceShifter"]) == {"unused"}
    assert split_report(index, split, recordings)["leaked_recordings"] == 0


def fits(count: int) -> bool:
    """Whether ``count`` equal groups can be divided 70/15/15 to within 2 points."""
    near = [[n for n in range(1, count) if abs(n / count - share) <= 0.02 + 1e-9] for share in SHARES]
    return any(sum(sides) == count for sides in itertools.product(*near))


@pytest.mark.parametrize("count", range(3, 50))
def test_equal_groups_are_divided_whenever_that_is_possible(count: int) -> None:
    index = make_index(pairs(count), frames=1)
    if fits(count):
        assert split_report(index, split_frames(index, "group", SHARES, 0))["leaked_groups"] == 0
        return
    with pytest.raises(UserError, match=r"too few or too unequal; split\.train=.* would fit") as caught:
        split_frames(index, "group", SHARES, 0)
    found = re.search(r"split\.train=(\S+), split\.val=(\S+), split\.test=(\S+) would fit", str(caught.value))
    assert found
    shares = (float(found[1]), float(found[2]), float(found[3]))
    assert sum(shares) == pytest.approx(1, abs=1e-9)
    assert set(split_frames(index, "group", shares, 0)) == {"train", "val", "test"}


def test_unequal_groups_are_divided_where_the_largest_first_would_fail() -> None:
    # 70, 15 and 15 of 100 with nothing to spare; the largest first puts 35, 31 and 4 into train as well
    chains, start = [], 0
    for people in (30, 25, 15, 9, 8, 7, 6):
        chains += [(f"{n:03d}", f"{n + 1:03d}") for n in range(start, start + people - 1)]
        start += people
    index = make_index(chains, frames=1)
    split = split_frames(index, "group", SHARES, 0)
    for _, part in split.groupby(index["label"]):
        for name, share in zip(("train", "val", "test"), SHARES, strict=True):
            assert abs((part == name).mean() - share) <= 0.02


def test_people_who_are_all_swapped_with_all_are_one_group() -> None:
    index = make_index(list(itertools.combinations([f"{n:03d}" for n in range(20)], 2)), frames=1)
    with pytest.raises(UserError, match=r"20 sequences are one group with 100% of the frames") as caught:
        split_frames(index, "group", SHARES, 0)
    assert "leave out the fakes whose target and source are to be on two sides, or give lists" in str(caught.value)
    assert "too few" not in str(caught.value)


def divided(*sides: tuple[str, str]) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """An index with an original and a fake of each group, the groups, and the side that each has of its own."""
    people = [(who, label) for who, _ in sides for label in (0, 1)]
    rows = [(f"{label}/{who}.png", SEEN[label], label, who, "", 0) for who, label in people]
    index = pd.DataFrame(rows, columns=["path", "category", "label", "video_id", "source_id", "frame"])
    return index, index["video_id"].rename("group"), pd.Series([side for _, side in sides for _ in (0, 1)])


def test_the_data_sets_own_division_is_kept() -> None:
    index, groups, own = divided(("a", "train"), ("b", "val"), ("c", "test"), ("d", "test"), ("e", ""))
    split = split_frames(index, "own", SHARES, 0, groups=groups, own=own)
    assert split.groupby(groups).first().to_dict() == {"a": "train", "b": "val", "c": "test", "d": "test", "e": "train"}
    assert split_report(index, split, groups=groups)["leaked_groups"] == 0


def test_a_side_that_the_division_lacks_comes_out_of_train() -> None:
    index, groups, own = divided(*((f"{n:02d}", "test" if n % 4 == 0 else "train") for n in range(40)))
    split = split_frames(index, "own", (0.6, 0.2, 0.2), 0, groups=groups, own=own)
    assert split[own == "test"].eq("test").all()
    assert split[own == "train"].value_counts().to_dict() == {"train": 44, "val": 16}  # whole groups of two
    assert split.groupby(groups).nunique().eq(1).all()


def test_what_is_only_evaluated_is_tested_on_where_nothing_of_its_group_is_trained_on() -> None:
    index, _, own = divided(("a", "train"), ("b", "val"), ("c", "test"))
    later = pd.DataFrame({"video_id": ["a", "b", "c", "d", "e"], "source_id": "", "category": "FaceSwap", "label": 1})
    index = pd.concat([index, later.assign(frame=0, path="x")], ignore_index=True)
    own = pd.concat([own, pd.Series(["", "test", "", "", "train"])], ignore_index=True)
    split = split_frames(index, "own", SHARES, 0, SEEN, groups=index["video_id"], own=own)
    assert split.tolist()[-5:] == ["unused", "test", "test", "test", "unused"]


def test_a_division_without_a_class_on_one_side_is_an_error() -> None:
    index, groups, own = divided(("a", "train"), ("b", "val"), ("c", "test"))
    own[5] = "train"
    with pytest.raises(UserError, match="own division leaves test without a frame labelled 1: add videos, or list"):
        split_frames(index, "own", SHARES, 0, groups=groups, own=own)


def test_groups_of_what_is_only_evaluated_join_nothing() -> None:
    index = add_category(
        make_index(pairs(3), frames=1), "FaceSwap", [("000", "002"), ("901", "004"), ("901", "902")], 1
    )
    index["group"] = ""
    group = frame_groups(index, ["FaceSwap"])
    found = dict(zip(index["path"], group, strict=True))
    assert found["Original/000_f0.jpg"] == found["Deepfakes/001_000_f0.jpg"] == "000"
    assert found["Original/003_f0.jpg"] == "002"
    assert [found[f"FaceSwap/{name}_f0.jpg"] for name in ("000_002", "901_004", "901_902")] == ["000", "004", "901"]
    assert group.nunique() == 4


def test_a_recording_joins_groups_that_a_data_set_names() -> None:
    index = pd.DataFrame({"video_id": ["005", "006", "007", "x"], "source_id": "", "category": "Original"})
    index["group"] = ["b", "a", "c", "d"]
    assert frame_groups(index).tolist() == ["b", "a", "c", "d"]
    recordings = {"005": "R03Sko97IDE", "006": "R03Sko97IDE", "007": "abc"}
    assert frame_groups(index, recordings=recordings).tolist() == ["a", "a", "c", "d"]


def test_units_are_divided_whole_if_that_keeps_the_shares() -> None:
    groups = [f"g{number}" for number in range(200)]
    rows = [(group, label) for group in groups for label in (0, 1)]
    index = pd.DataFrame(rows, columns=["video_id", "label"]).assign(source_id="", category="c", frame=0)
    parts = pd.Series([f"part {int(name[1:]) // 4}" for name in index["video_id"]])
    split = split_frames(index, "group", (0.7, 0.15, 0.15), 1, groups=index["video_id"], units=parts)
    assert split.groupby(parts).nunique().eq(1).all()
    assert abs((split == "train").mean() - 0.7) <= 0.02
    # a group that lies in two parts joins them
    index.loc[index["video_id"] == "g0", "video_id"] = "g199"
    split = split_frames(index, "group", (0.7, 0.15, 0.15), 1, groups=index["video_id"], units=parts)
    assert split[parts.isin(["part 0", "part 49"])].nunique() == 1
    # two parts cannot give three sides: then groups are divided
    halves = pd.Series([f"part {int(name[1:]) // 100}" for name in index["video_id"]])
    split = split_frames(index, "group", (0.7, 0.15, 0.15), 1, groups=index["video_id"], units=halves)
    assert split.groupby(index["video_id"]).nunique().eq(1).all()
    assert set(split) == {"train", "val", "test"}


def test_a_side_that_a_data_set_lacks_is_made_of_whole_units() -> None:
    index = pd.DataFrame({"video_id": [f"g{number}" for number in range(240)]})
    index = index.assign(source_id="", category="c", frame=0, label=[0, 1] * 120)
    parts = pd.Series([f"part {number // 4}" for number in range(240)])
    own = pd.Series(["train"] * 200 + ["test"] * 40)
    split = split_frames(index, "own", (0.7, 0.15, 0.15), 1, groups=index["video_id"], own=own, units=parts)
    assert split.groupby(parts).nunique().eq(1).all()
    assert (split[:200] == "val").sum() == pytest.approx(200 * 0.15 / 0.85, abs=4)
    assert (split[200:] == "test").all()

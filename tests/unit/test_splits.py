"""Splits hold identities together, hold their shares, and say what they leak."""

import itertools

import pandas as pd
import pytest

from deepfake_detection.errors import UserError
from deepfake_detection.splits import identity_groups, split_frames, split_report

SHARES = (0.70, 0.15, 0.15)


def make_index(pairs: list[tuple[str, str]], frames: int = 5) -> pd.DataFrame:
    """FF++-shaped: an original of each identity, both directions of each pair manipulated."""
    rows = []
    for a, b in pairs:
        for who, frame in itertools.product((a, b), range(frames)):
            rows.append((f"Original/{who}_f{frame}.jpg", "Original", 0, who, "", frame))
        for (target, source), frame in itertools.product(((a, b), (b, a)), range(frames)):
            rows.append((f"Deepfakes/{target}_{source}_f{frame}.jpg", "Deepfakes", 1, target, source, frame))
    columns = ["path", "category", "label", "video_id", "source_id", "frame"]
    return pd.DataFrame(rows, columns=columns).sort_values("path", ignore_index=True)


def pairs(count: int) -> list[tuple[str, str]]:
    return [(f"{2 * n:03d}", f"{2 * n + 1:03d}") for n in range(count)]


def test_groups_join_what_shares_a_person_through_others() -> None:
    chain = make_index([("000", "001"), ("001", "002"), ("005", "006")])
    groups = identity_groups(chain).groupby(chain["video_id"]).unique()
    assert groups["000"].tolist() == groups["001"].tolist() == groups["002"].tolist()
    assert groups["005"].tolist() == groups["006"].tolist() != groups["000"].tolist()


@pytest.mark.parametrize("count", [20, 40, 60, 101])
@pytest.mark.parametrize("seed", [0, 1, 42])
def test_group_split_leaks_nothing_and_holds_its_shares(count: int, seed: int) -> None:
    index = make_index(pairs(count))
    split = split_frames(index, "group", SHARES, seed)
    people = pd.concat([index["video_id"], index["source_id"]])
    sides = pd.concat([split, split])[people != ""].groupby(people[people != ""]).nunique()
    assert (sides == 1).all()
    for _, part in split.groupby(index["label"]):
        for name, share in zip(("train", "val", "test"), SHARES, strict=True):
            assert abs((part == name).mean() - share) <= 0.02
    report = split_report(index, split)
    assert (report["leaked_groups"], report["leaked_videos"], report["groups"]) == (0, 0, count)


def test_group_split_balances_groups_of_unequal_size() -> None:
    chains = [(f"{n:03d}", f"{n + 1:03d}") for n in range(0, 30)]  # one component of 31 people
    index = make_index(chains + [(f"{n}", f"{n + 1}") for n in range(100, 300, 2)])
    split = split_frames(index, "group", SHARES, 7)
    assert split_report(index, split)["leaked_groups"] == 0


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
    assert report["train"] == {
        "frames": 4,
        "videos": 4,
        "groups": 1,
        "categories": {
            "Deepfakes": {"frames": 2, "videos": 2, "groups": 1},
            "Original": {"frames": 2, "videos": 2, "groups": 1},
        },
    }
    assert report["val"] == {"frames": 0, "videos": 0, "groups": 0, "categories": {}}


def test_the_seed_decides() -> None:
    index = make_index(pairs(40))
    first = split_frames(index, "group", SHARES, 1)
    assert first.equals(split_frames(index, "group", SHARES, 1))
    assert not first.equals(split_frames(index, "group", SHARES, 2))


@pytest.mark.parametrize("strategy", ["group", "frame"])
def test_too_few_to_divide_is_one_line(strategy: str) -> None:
    index = make_index(pairs(1), frames=1)
    with pytest.raises(UserError, match="too few") as caught:
        split_frames(index, strategy, SHARES, 0)
    assert "\n" not in str(caught.value)

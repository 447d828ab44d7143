"""What must hold for any input: file names, splits, parameters and metrics that hypothesis makes up."""

import io
import os
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.index.build import index_counts, index_data_set
from deepfake_detection.index.groups import identity_groups
from deepfake_detection.index.splits import split_frames, split_report
from deepfake_detection.params.data_sections import Dataset, Video
from deepfake_detection.params.load import load_params
from deepfake_detection.pictures.kinds import is_clutter
from deepfake_detection.sources.gather import gather
from deepfake_detection.sources.layouts.kaggle import FRAMES
from tests.support.params import tree

settings.register_profile("ours", deadline=None, derandomize=True, database=None, max_examples=30)
settings.load_profile("ours")


def picture(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (value, value, value)).save(file, "PNG")
    return file.getvalue()


def file_names() -> st.SearchStrategy[str]:
    stem = st.from_regex(r"[0-9]{1,4}(_[0-9]{1,4}){0,2}(_f[0-9]{1,10})?", fullmatch=True)
    good = st.builds(lambda name, suffix: name + suffix, stem, st.sampled_from([".jpg", ".PNG", ".txt", ""]))
    anything = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40)
    return (good | anything).filter(lambda name: name not in (".", "..") and len(os.fsencode(name)) < 255)


@given(st.sets(file_names(), min_size=1, max_size=8))
@example({"005_f4.jpg", "5_f04.jpg", "005_006_f4.jpg", "٣_f1.jpg", "005_f4.jpg\n", "005_f12345678901.jpg"})
def test_every_file_is_indexed_or_rejected_and_none_is_both(names: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        mine, raw = Path(folder) / "mine", Path(folder) / "raw"
        for number, (category, name) in enumerate(
            [("Original", "900_f0.png"), ("Deepfakes", "900_901_f0.png"), *(("Original", name) for name in names)]
        ):
            (mine / FRAMES / category).mkdir(parents=True, exist_ok=True)
            (mine / FRAMES / category / name).write_bytes(picture(number))
        wanted = Dataset(path=str(mine), use="train", layout="kaggle")
        try:
            gather("own", wanted, Video(frames=1), raw / "own")
        except UserError as error:  # two spellings of one frame's number
            if "has the video and the number of another file" not in str(error):
                raise
            return
        index, _, rejected, _ = index_data_set(raw, "own", max_rejected=1.0, faces=False, workers=1)
    counts = index_counts(index, rejected)
    visible = {name for name in names | {"900_f0.png"} if not is_clutter(name)}
    assert counts["frames"] + counts["rejected"] == len(visible) + 1
    assert not set(index["path"]) & set(rejected["path"])
    for row in index.itertuples():
        ids = row.video_id if row.label == 0 else f"{row.video_id}_{row.source_id}"
        stem, frame = Path(str(row.path)).stem.rsplit("_f", 1)
        assert (stem, int(frame)) == (ids, row.frame)
        assert stem.replace("_", "").isascii()


@st.composite
def indexes(draw: st.DrawFn) -> pd.DataFrame:
    """Groups of two to four people in a chain of fakes, any number of frames a video, in any order of names."""
    groups = draw(
        st.lists(st.tuples(st.integers(2, 4), st.integers(1, 4), st.integers(1, 4)), min_size=20, max_size=60)
    )
    names = iter(draw(st.permutations([f"{number:03d}" for number in range(4 * len(groups))])))
    rows = []
    for people, originals, fakes in groups:
        chain = [next(names) for _ in range(people)]
        rows += [(f"0/{who}_f{n}", "0", 0, who, "", n) for who in chain for n in range(originals)]
        rows += [(f"1/{a}_{b}_f{n}", "1", 1, a, b, n) for a, b in pairwise(chain) for n in range(fakes)]
    columns = ["path", "category", "label", "video_id", "source_id", "frame"]
    return pd.DataFrame(rows, columns=columns).sort_values("path", ignore_index=True)


@given(
    indexes(), st.sampled_from([(0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (0.34, 0.33, 0.33)]), st.integers(0, 2**32 - 1)
)
def test_a_group_is_never_divided_whatever_the_sizes(
    index: pd.DataFrame, shares: tuple[float, float, float], seed: int
) -> None:
    try:
        split = split_frames(index, "group", shares, seed)
    except UserError:  # too few groups, or too unequal ones; the next test rules that out
        return
    assert split.isin(["train", "val", "test"]).all()
    assert split.groupby(identity_groups(index)).nunique().eq(1).all()
    report = split_report(index, split)
    assert report["leaked_groups"] == report["leaked_videos"] == 0
    assert sum(report[side]["frames"] for side in ("train", "val", "test")) == len(index)


def paths_of(part: Any, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner = (
        [path for key, value in part.items() for path in paths_of(value, (*prefix, key))]
        if isinstance(part, dict)
        else []
    )
    return [prefix, *inner] if prefix else inner


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just("1e-4"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(paths_of(tree())), VALUES)
def test_any_value_of_a_parameter_is_taken_or_refused_in_one_line_that_names_it(
    path: tuple[str, ...], value: Any
) -> None:
    params = tree()
    part = params
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "params.yaml"
        file.write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")
        try:
            load_params(file)
            refusal = ""
        except UserError as error:
            refusal = str(error)
    assert not refusal or path[0] in refusal
    assert "\n" not in refusal

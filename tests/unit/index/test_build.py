"""Every file of a data set is indexed, or rejected with a reason; what is left must be enough."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import COLUMNS, DIVISION_COLUMNS, FILES, REJECTED_COLUMNS, read_data_set
from deepfake_detection.index.build import Indexed, RejectedError, index_counts, index_data_set
from tests.support.described import write_tables
from tests.support.params import tree

BELOW = f"own/{FILES}"
NAMES = {
    "Original": ["005_f0.jpg", "005_f1.jpg", "010_f0.jpg", "010_f1.jpg"],
    "Deepfakes": ["005_010_f0.jpg", "005_010_f1.jpg", "010_005_f0.jpg"],
    "FaceSwap": ["005_010_f0.jpg", "010_005_f0.jpg"],
}


def add_frame(raw: Path, name: str) -> None:
    """A frame of noise, 40 wide and 24 high, that no other name gets."""
    noise = np.random.default_rng(list(name.encode())).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    path = raw / BELOW / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Nine good frames in three categories."""
    raw = tmp_path / "data" / "raw"
    for category, names in NAMES.items():
        for name in names:
            add_frame(raw, f"{category}/{name}")
    write_tables(raw)
    return raw


def build(raw: Path, max_rejected: float = 0.5) -> Indexed:
    return index_data_set(raw, "own", max_rejected, faces=False, workers=1)


def test_index_holds_every_good_frame_sorted_by_path(raw: Path) -> None:
    found = build(raw)
    assert list(found.frames.columns) == [*COLUMNS, *DIVISION_COLUMNS, "phash"]
    columns = ["path", "category", "label", "video_id", "source_id", "frame", "width", "height"]
    assert list(found.frames[columns].itertuples(index=False, name=None)) == [
        (f"{BELOW}/{category}/{name}", category, label, video, source, int(frame[1]), 40, 24)
        for category, label in (("Deepfakes", 1), ("FaceSwap", 1), ("Original", 0))
        for name in NAMES[category]
        for video, source, frame in [(name.split("_") if label else (name[:3], "", name[4:]))]
    ]
    assert list(found.rejected.columns) == REJECTED_COLUMNS
    assert found.rejected.empty
    assert found.faces.empty
    assert found.missing.empty


def test_counts_say_how_much_of_what(raw: Path) -> None:
    (raw / BELOW / "Original" / "005_f0.jpg").write_bytes(b"")
    write_tables(raw, rejected=[(f"{BELOW}/Original/notes.db", "Original", "not an image file name")])
    found = build(raw)
    counts = index_counts(found.frames, found.rejected)
    of_three = {"frames": 3, "videos": 2}
    swaps = {"frames": 2, "videos": 2}
    assert counts.pop("categories") == {"Deepfakes": of_three, "FaceSwap": swaps, "Original": of_three}
    assert counts.pop("reasons") == {"could not be decoded": 1, "not an image file name": 1}
    assert counts == {"frames": 8, "videos": 6, "rejected": 2, "rejected_share": 0.2}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Original/005_f1.jpg", "Original/010_f0.jpg"),
        # the one called a fake goes: a frame equal to an original was not manipulated
        ("Original/005_f0.jpg", "Deepfakes/005_010_f0.jpg"),
    ],
)
def test_of_equal_files_the_first_is_used_and_originals_before_fakes(raw: Path, first: str, second: str) -> None:
    (raw / BELOW / second).write_bytes((raw / BELOW / first).read_bytes())
    found = build(raw)
    (row,) = found.rejected.itertuples(index=False, name=None)
    assert row == (f"{BELOW}/{second}", second.partition("/")[0], f"duplicate of {BELOW}/{first}")
    assert row[0] not in set(found.frames["path"])
    assert index_counts(found.frames, found.rejected)["reasons"] == {"duplicate": 1}


def test_rejected_is_sorted_with_one_row_a_file(raw: Path) -> None:
    (raw / BELOW / "Original" / "010_f0.jpg").write_bytes(b"")
    before = [(f"{BELOW}/{name}", name.partition("/")[0], "x") for name in ("Original/notes.db", "Deepfakes/a.jpg")]
    write_tables(raw, rejected=before)
    assert list(build(raw).rejected["path"]) == [
        f"{BELOW}/{name}" for name in ("Deepfakes/a.jpg", "Original/010_f0.jpg", "Original/notes.db")
    ]


def test_videos_without_a_usable_frame_are_missing(raw: Path) -> None:
    (raw / BELOW / "FaceSwap" / "010_005_f0.jpg").write_bytes(b"")
    (raw / BELOW / "Original" / "005_f0.jpg").write_bytes(b"")  # of which there is another frame
    lost = "Deepfakes/020_005_f.mp4"
    write_tables(raw, lost=[lost], rejected=[(f"{BELOW}/{lost}", "Deepfakes", "listed but missing")])
    found = build(raw)
    assert list(found.missing.itertuples(index=False, name=None)) == [
        ("own", "Deepfakes", 1, "020", "005"),
        ("own", "FaceSwap", 1, "010", "005"),
    ]
    of_lost = found.rejected.loc[found.rejected["path"] == f"{BELOW}/{lost}", "reason"]
    assert of_lost.tolist() == ["listed but missing"]  # what was rejected before is not opened


@pytest.mark.parametrize(
    ("categories", "what"),
    [
        (["FaceSwap"], "no usable fake frame of FaceSwap"),
        (["Original"], "no usable real frame of Original"),
        (["Deepfakes", "FaceSwap"], "no usable fake frame of Deepfakes, FaceSwap"),
    ],
)
def test_a_category_without_a_usable_frame_is_an_error(raw: Path, categories: list[str], what: str) -> None:
    for category in categories:
        for name in NAMES[category]:
            (raw / BELOW / category / name).write_bytes(b"")
    with pytest.raises(RejectedError, match=rf'^own: {what}: all \d .*"could not be decoded".*datasets\.own$'):
        build(raw, max_rejected=1)


def test_too_many_rejected_files_are_an_error_that_says_what(raw: Path) -> None:
    (raw / BELOW / "Original" / "005_f0.jpg").write_bytes(b"")
    with pytest.raises(RejectedError) as caught:
        build(raw, max_rejected=0.1)
    message = str(caught.value)
    assert "1 of 9 files rejected (11.11%), more than index.max_rejected (10.00%)" in message
    assert f'"could not be decoded" (1), e.g. {BELOW}/Original/005_f0.jpg: ' in message
    assert "\n" not in message
    assert list(caught.value.rejected["path"]) == [f"{BELOW}/Original/005_f0.jpg"]
    assert len(build(raw, max_rejected=1 / 9).rejected) == 1  # exactly the allowed share


@pytest.fixture
def project(raw: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with ``raw``, where 5 percent may be rejected."""
    folder = raw.parents[1]
    params = tree() | {"datasets": {"own": {"path": "x", "use": "train"}}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(folder)
    return folder


def test_stage_writes_tables_that_are_read_as_they_were(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from stages import index

    index.main("own")
    found = build(Path("data/raw"))
    written = read_data_set(Path("data/index/own.csv"))
    pd.testing.assert_frame_equal(written, found.frames[[*COLUMNS, *DIVISION_COLUMNS]])
    assert set(written.loc[written["label"] == 0, "source_id"]) == {""}
    assert Path("data/hashes/own.csv").read_text().splitlines()[1] == (
        f"{written['path'][0]},{found.frames['phash'][0]:016x}"
    )
    assert Path("data/rejected/own.csv").read_bytes() == b"path,category,reason\n"
    assert {path.parent.name for path in project.glob("data/*/own.csv")} == {
        *("faces", "hashes", "index", "missing", "rejected")
    }
    assert capsys.readouterr().out == "own: 9 frames can be used, 0 files are rejected\n"


def test_failing_stage_still_writes_what_was_rejected(project: Path) -> None:
    from stages import index

    Path("data/raw", BELOW, "Original", "005_f0.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"rejected.*; data/rejected/own\.csv lists what was rejected$"):
        index.main("own")
    assert Path("data/rejected/own.csv").read_text() == (
        f"path,category,reason\n{BELOW}/Original/005_f0.jpg,Original,could not be decoded: empty file\n"
    )
    assert not Path("data/index/own.csv").exists()
    with pytest.raises(UserError, match="datasets has no other, only own"):
        index.main("other")

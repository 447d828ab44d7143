"""Scores of any detector: what a file may look like, what is taken from it, and what is refused in one line."""

from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
from scipy.special import expit

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.scores import joined, known_by, read_detector, read_known
from tests.support.checkpoints import sidecar
from tests.support.scores import write_index


def written(folder: Path, text: str, name: str = "scores.csv") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


@pytest.mark.parametrize(
    ("text", "options", "expected", "taken"),
    [
        ("path,score\na,0.25\nb,1\nc,0", {}, [0.25, 1, 0], "score from 0 to 1: taken as probabilities"),
        ("path,score\na,0.25\nb,1\n", {"real_is_high": True}, [0.75, 0], "probabilities, high for a real one"),
        ("path,real_score\na,0.25\nb,1\n", {}, [0.75, 0], "probabilities, high for a real one"),
        ("path,real_score\na,0.25\nb,1\n", {"real_is_high": True}, [0.25, 1], "taken as probabilities"),
        ("path,score\na,-2\nb,3\n", {}, expit([-2, 3]), "score from -2 to 3: taken as logits"),
        ("path,score\na,-2\nb,3\n", {"real_is_high": True}, expit([2, -3]), "taken as logits, high for a real one"),
        ("path,score\na,0.25\nb,1\n", {"kind": "logit"}, expit([0.25, 1]), "taken as logits"),
        ("path,score\na,700\nb,70\nc,700\n", {}, [2 / 3, 1 / 3, 2 / 3], "taken as an order"),
        ("\ufeffPath, Score\na, 0.25\n", {}, [0.25], "1 scores by path"),
        # our predictions, and what deepfake-detect prints of a checkpoint that is not calibrated here
        ("path,logit,probability\na,2,0.25\n", {}, [0.25], "probability from 0.25"),
        ("path,logit,probability\na,-2,0.25\n", {"kind": "logit"}, expit([-2]), "logit from -2"),
        ("path,probability,logit,reason\na,,2,unlike\nb,,-1,\nc,,,no face\n", {}, expit([2, -1]), "2 scores by path"),
        ("path,score,status\na,0.25,OK\nb,,no face\nc,0.5,error\n", {}, [0.25], "1 scores by path"),
    ],
)
def test_what_scores_are_is_said_or_told_by_their_range(
    tmp_path: Path, text: str, options: Any, expected: Any, taken: str
) -> None:
    found = read_detector(written(tmp_path, text), **options)
    assert taken in found.taken
    assert found.table["probability"].dropna().to_numpy() == pytest.approx(expected, abs=1e-15)
    assert ((found.table["status"] == "") == found.table["probability"].notna()).all()
    if found.kind != "order":  # log odds are what is averaged, so they are finite
        assert expit(found.table["logit"].dropna().to_numpy()) == pytest.approx(expected, abs=1e-15)
        assert np.isfinite(found.table["logit"].dropna()).all()


def test_a_sidecar_reads_logits_of_frames_and_of_videos(tmp_path: Path) -> None:
    reading = sidecar(frame={"temperature": 2.0, "bias": -0.3}, video={"temperature": 0.5}, prior=0.3)
    for by, expected in (("path", expit(0.2)), ("video", expit(2.0))):
        found = read_detector(written(tmp_path, f"{by},probability,logit\na,0.9,1.0\n"), sidecar=reading)
        assert found.table["probability"].tolist() == [pytest.approx(expected)]
        assert (found.kind, found.prior) == ("logit", 0.3)
    with pytest.raises(UserError, match="a sidecar calibrates logits"):
        read_detector(written(tmp_path, "path,score\na,0.9\n"), "probability", sidecar=reading)


def test_frames_and_videos_are_found_by_any_of_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_index(Path("data"))
    known = read_known(Path("data/index.csv"))
    frame = "café/Original/000_f0.jpg"
    for path in (frame, normalize("NFD", frame), f"data/raw/{frame}", f"{tmp_path}/data/raw/{frame}"):
        table = joined("d", read_detector(written(tmp_path, f"path,score,label\n{path},0.5,real\n")), known)
        assert table.index.tolist() == [frame]
    fake = "café/Deepfakes/000/001"
    for name in (fake, normalize("NFD", fake), "café/Deepfakes/000_001", "café/Deepfakes/000"):
        table = joined("d", read_detector(written(tmp_path, f"video,score\n{name},0.5\n")), known)
        assert table.index.tolist() == [fake]
    columns = "video,category,dataset,score\n000_001,Deepfakes,café,0.5\ncafé/Deepfakes/002,Deepfakes,café,0.1\n"
    table = joined("d", read_detector(written(tmp_path, columns)), known)
    assert table.index.tolist() == [fake, "café/Deepfakes/002/003"]
    # a video of which no frame can be used; 003 has two Deepfakes, so the short name is of both
    table = joined("d", read_detector(written(tmp_path, "video,score\ncafé/Deepfakes/003/077,0.5\n")), known)
    assert table.index.tolist() == ["café/Deepfakes/003/077"]
    with pytest.raises(
        UserError, match=r"café/Deepfakes/003 names several videos, for example .*003/002 and .*003/077"
    ):
        joined("d", read_detector(written(tmp_path, "video,score\ncafé/Deepfakes/003,0.5\n")), known)
    # what is said twice with the same score counts once, and an error only where there is no score
    twice = f"path,score,status\n{frame},,crashed\n{frame},0.5,ok\n{frame},0.50,ok\n"
    table = joined("d", read_detector(written(tmp_path, twice)), known)
    assert table["status"].tolist() == [""]


ORIGINAL = "other/Original/000_f0.jpg"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,score\na,1\n", "neither a column path nor a column video: its columns are file, score"),
        ("path,fake\na,1\n", "no column score: its columns are path, fake"),
        ("path,score\n", "has no score: score is empty in every row"),
        ("path,score,status\na,1,failed\n", "has no score: no row has the status ok"),
        ("path,score\na,0.1\nb,nan\n", "row 3: score 'nan' is not a number"),
        ("path,score\na,0.1\nb,\n", "row 3: score '' is not a number; what has no score needs a status"),
        ("path,score\na,inf\n", "row 2: score 'inf' is not a number"),
        ('path,score\n"a,1\n', "is not a CSV file"),
        ("", "is not a CSV file"),
        ("path,score,label\na,1,maybe\n", "label 'maybe' is not known: write 0 or real, 1 or fake"),
        (f"path,score\n{ORIGINAL},0.5\nnone.jpg,0.5\n", r"1 of 2 rows name .* for example none\.jpg; there, one is"),
        ("video,score\nother/Original/999,0.5\n", r"for example other/Original/999; there, one is called café/"),
        (f"path,score\n{ORIGINAL},0.5\n{ORIGINAL},0.6\n", f"{ORIGINAL} has two different scores"),
        (
            f"path,score,label\n{ORIGINAL},0.5,1\n",
            f"1 labels contradict the index, e.g. that of {ORIGINAL}, which has 0",
        ),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    write_index(tmp_path / "data")
    with pytest.raises(UserError, match=words) as caught:
        joined("d", read_detector(written(tmp_path, text)), read_known(tmp_path / "data" / "index.csv"))
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_scores_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes(b"path,score\n\xe9,1\n")
    with pytest.raises(UserError, match=r"latin\.csv is not a CSV file"):
        read_detector(str(tmp_path / "latin.csv"))
    with pytest.raises(UserError, match="score reaches from -1 to 2: not probabilities"):
        read_detector(written(tmp_path, "path,score\na,-1\nb,2\n"), "probability")


def test_without_an_index_the_files_say_what_there_is(tmp_path: Path) -> None:
    frames = (
        "path,video,label,category,group,score\na0,a,0,,p,0.1\na1,a,real,,p,0.2\nb0,b,1,swap,p,0.9\nc.jpg,,1,,,0.8\n"
    )
    videos = "video,label,dataset,score\na,0,,0.3\nb,1,,0.7\nd,1,web,0.6\n"
    files = {"frames": frames, "videos": videos}
    detectors = {name: read_detector(written(tmp_path, text, name)) for name, text in files.items()}
    known = known_by(detectors)
    columns = ["path", "dataset", "category", "label", "video_id", "group"]
    assert known.frames[columns].to_numpy().tolist() == [
        ["a0", "own", "real", 0, "a", "p"],
        ["a1", "own", "real", 0, "a", "p"],
        ["b0", "own", "swap", 1, "b", "p"],
        ["c.jpg", "own", "fake", 1, "c.jpg", "own/c.jpg"],
        ["d", "web", "fake", 1, "d", "web/d"],
    ]
    assert joined("videos", detectors["videos"], known).index.tolist() == ["own/real/a", "own/swap/b", "web/fake/d"]

    def refused(text: str) -> str:
        with pytest.raises(UserError) as caught:
            known_by(detectors | {"third": read_detector(written(tmp_path, text))})
        return str(caught.value)

    assert (
        refused("path,label,score\na1,1,0.1\n") == "a1 has two values in the column label: 0 in frames and 1 in third"
    )
    assert "1 of 8 rows have no label, for example e: add a column label, or name an" in refused("path,score\ne,0.1\n")

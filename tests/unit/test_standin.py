"""The films that stand in for genuine ones, of two drawn people."""

from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_csv
from deepfake_detection.sources.drawn.portraits import draw_identity, draw_scene, draw_shot, render
from deepfake_detection.sources.layouts import detect
from deepfake_detection.sources.layouts.table import DEFAULT
from experiments.standin import check, compare, filming, films
from experiments.standin.filming import Scene
from experiments.standin.films import film_pair, filmed
from experiments.standin.manipulations import MANIPULATIONS, Take, relit
from experiments.standin.people import Person, cut_out, read_people, whole

FRAMES = 3


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filming, "SIZES", ((320, 240),))


@pytest.fixture(scope="module")
def people() -> list[Person]:
    found = []
    for number in range(20):
        rng = np.random.default_rng(number)
        picture = render(draw_identity(rng), draw_scene(rng, 192), draw_shot(rng), 192).picture
        if person := cut_out(np.round(picture * 255).astype(np.uint8), rng):
            found.append(person)
        if len(found) == 2:
            return found
    raise AssertionError("no two of twenty drawn faces are found")


def takes(people: list[Person]) -> list[Take]:
    rngs = [np.random.default_rng(number) for number in range(2)]
    return [filmed(Scene.drawn(person, FRAMES, rng), rng) for person, rng in zip(people, rngs, strict=True)]


def test_films_are_in_the_layout_of_the_authors_and_only_faces_differ(people: list[Person], tmp_path: Path) -> None:
    film_pair(tmp_path, 4, people, FRAMES, 0)
    layout, _, found = detect.read(tmp_path, "auto", DEFAULT)
    assert layout == "faceforensics"
    assert found.rejected.empty
    rows = {tuple(row) for row in found.table[["category", "label", "video_id", "source_id"]].itertuples(index=False)}
    originals = {("Original", 0, "004", ""), ("Original", 0, "005", "")}
    assert rows == originals | {("Deepfakes", 1, "005", "004"), *((name, 1, "004", "005") for name in MANIPULATIONS)}

    original, *others = (read(tmp_path / file) for file in found.table["file"] if Path(file).stem.startswith("004"))
    assert len(others) == len(MANIPULATIONS)
    left, top, right, bottom = Scene.drawn(people[0], FRAMES, np.random.default_rng([0, 4])).face_box(0)
    outside = np.ones(original.shape[1:3], bool)
    outside[top - 8 : bottom + 8, left - 8 : right + 8] = False
    for fake in others:
        apart = np.abs(original.astype(int) - fake).mean(axis=(0, 3))
        assert apart[outside].mean() < 1.5
        assert apart[~outside].mean() > 1.5 * apart[outside].mean()

    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")}
    lost = next(path for path in kept if "FaceSwap" in path.parts)
    lost.unlink()
    film_pair(tmp_path, 4, people, FRAMES, 0)
    assert [path for path in kept if path.stat().st_mtime_ns != kept[path]] == [lost], "a killed run goes on"


def test_each_manipulation_changes_what_it_should(people: list[Person]) -> None:
    target, source = takes(people)
    u, v = face_units(target.scene, 1)
    eyes = (np.abs(np.abs(u) - 0.5) < 0.2) & (np.abs(v) < 0.1)
    mouth = (np.abs(u) < 0.3) & (np.abs(v - 1.05) < 0.15)
    far = (np.abs(u) > 1.2) | (v < -0.9) | (v > 2.1)
    changes = {}
    for name, manipulate in MANIPULATIONS.items():
        made = list(manipulate(target, source.scene, np.random.default_rng(0)))
        assert len(made) == FRAMES
        apart = np.abs(made[1].astype(int) - target.frames[1]).mean(axis=2)
        assert not apart[far].any(), f"{name} changes what is outside of the face"
        assert apart[mouth].mean() > 1, f"{name} leaves the mouth as it was"
        changes[name] = apart[eyes].mean()
    assert changes.pop("NeuralTextures") == 0, "it changes the mouth only"
    own = changes.pop("Face2Face")
    assert 0 < own < min(changes.values()), "it draws the person's own face, the others that of the source"


def test_a_face_takes_the_light_of_the_place_and_keeps_its_detail() -> None:
    across = np.broadcast_to(np.linspace(0, 1, 160, dtype=np.float32)[None, :, None], (200, 160, 3))
    detail = np.indices((200, 160)).sum(axis=0)[..., None] % 2 * np.float32(20)
    mask = np.zeros((200, 160), np.float32)
    mask[40:160, 30:130] = 1
    under = 60 + 100 * across
    under = np.where(mask[..., None] > 0, under, 0)  # hair around the face is no light on it
    found = relit(np.float32(120) + detail - 30 * across, under, mask, 1)
    left, right = found[40:160, 30:50], found[40:160, 110:130]
    assert 20 < right.mean() - left.mean() < 60, "under it is 50 brighter on the right, and it was 15 darker"
    assert abs(found[mask > 0].mean() - under[mask > 0].mean()) < 5
    assert np.abs(found[100, 81] - found[100, 80]).min() > 15


def test_an_expression_moves_what_it_says() -> None:
    points = np.array([[[-0.5, 0.0], [0.0, 1.2], [0.5, -0.3], [0.0, -1.3]]], np.float32)  # eye, lip, brow, hair
    still = np.zeros(2, np.float32)

    def moved(**made: float) -> list[bool]:
        shift, _ = filming.movement(points, still, **{"mouth": 0, "smile": 0, "brows": 0, "blink": 0, **made})
        return [bool(each) for each in np.abs(shift[0]).max(axis=1) > 0.02]

    assert moved() == [False] * 4
    assert moved(blink=1) == [True, False, False, False]
    assert moved(mouth=0.1) == [False, True, False, False]
    assert moved(brows=0.1) == [False, False, True, False]


def test_what_is_no_face_or_no_film_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="0 portraits with a whole head, and 2 are wanted"):
        read_people(tmp_path, 2, np.random.default_rng(0))
    with pytest.raises(UserError, match="no original_sequences/"):
        check.aurocs(tmp_path)


def test_the_check_finds_films_that_are_darker_and_no_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tops = {"original_sequences/youtube": 0, "manipulated_sequences/Dark": 60, "manipulated_sequences/Same": 0}
    for pair in range(0, 2 * check.FOLDS, 2):
        still = np.kron(rng.integers(80, 200, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        for top, darker in tops.items():
            name = f"{pair:03d}" if top.startswith("original") else f"{pair:03d}_{pair + 1:03d}"
            grain = rng.integers(0, 9, (2, 64, 64, 3), np.uint8)
            films.write_film(tmp_path / top / "c23" / "videos" / f"{name}.mp4", still - darker + grain)
    found = check.aurocs(tmp_path)
    assert found["Dark"] > 0.9
    assert found["Same"] < 0.65


def test_rows_that_were_trained_are_compared_with_genuine_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["compare", str(tmp_path)])
    with pytest.raises(UserError, match="0 rows that genuine videos have too"):
        compare.main()
    names = ["Original", "Deepfakes", "Face2Face", "FaceSwap"]
    for row, above in {"sturdy": 0.2, "recipe": 0.5, "mild-224": 1.0, "small": 0.0}.items():  # "small" is only ours
        test = pd.DataFrame({"category": np.repeat(names, 20), "group": np.tile(np.arange(20), 4)})
        test = test.assign(label=test["category"] != "Original", seen=test["category"] == "Deepfakes", logit=0.0)
        test.loc[test["label"] & (test["group"] < 20 * above), "logit"] = 1.0
        write_csv(tmp_path / row / "0.csv", test.assign(label=test["label"].astype(int)))
    compare.main()
    table, *told = capsys.readouterr().out.split("Deepfakes (seen):")
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["recipe", "sturdy", "mild-224"]
    assert told[0].startswith(" Spearman 1.00, levels 0.062 apart, at most 0.088\n")
    assert "FaceSwap: Spearman -0.50" in told[0], "there the genuine order is sturdy, mild-224, recipe"


def face_units(scene: Scene, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of a frame is in the face, of shape (height, width)."""
    warp, _ = scene.warp(number, (0, 0, *scene.size))
    to_face = np.linalg.inv(whole(scene.person.placed))
    face = warp @ to_face[:2, :2].T + to_face[:2, 2]
    return face[..., 0], face[..., 1]


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])

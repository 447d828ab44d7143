"""A miniature of the Kaggle data set, and of its sister of cropped faces."""

from pathlib import Path

from tests.support.miniatures.drawing import picture

FRAMES = 2


def make(folder: Path, pairs: int = 1) -> None:
    """Original and Deepfakes of pairs of people, with a CSV for each."""
    for category, names in _names(pairs).items():
        (folder / "CSVs").mkdir(parents=True, exist_ok=True)
        rows = [f"{name},{category}" for name in names]
        (folder / "CSVs" / f"{category}.csv").write_text("\n".join(["filename,label", *rows, ""]))
        for name in names:
            _draw(folder / "FF++C32-Frames" / category / name)


def make_cropped(folder: Path, pairs: int = 1) -> None:
    """The same frames with one CSV, whose paths are those on Kaggle's computers."""
    rows = ["filepath,label"]
    for category, names in _names(pairs).items():
        for name in names:
            _draw(folder / "Frames" / category / name)
            rows.append(f"/kaggle/input/faceforensics-c32-frames-cropped-aligned/Frames/{category}/{name},{category}")
    (folder / "cropped-aligned.csv").write_text("\n".join([*rows, ""]))


def _names(pairs: int) -> dict[str, list[str]]:
    people = [(2 * pair, 2 * pair + 1) for pair in range(pairs)]
    both = [(target, source) for pair in people for target, source in (pair, pair[::-1])]
    return {
        "Original": [f"{target:03d}_f{frame}.jpg" for target, _ in both for frame in range(FRAMES)],
        "Deepfakes": [f"{target:03d}_{source:03d}_f{frame}.jpg" for target, source in both for frame in range(FRAMES)],
    }


def _draw(path: Path) -> None:
    *ids, frame = path.stem.split("_")
    picture(path, int(ids[0]), len(ids) > 1, int(frame[1:]))

"""A miniature of what DeepfakeBench's rearrangement writes, with paths of Windows and with others."""

import json
from pathlib import Path
from typing import Any

from tests.support.miniatures.drawing import picture


def make(folder: Path, windows: bool = True) -> None:
    """Frames of both data sets. As DeepfakeBench has it, the videos of Celeb-DF's test are also in train and val."""
    celeb: dict[str, Any] = {}
    for label, below, video in (
        ("CelebDFv2_real", "Celeb-real", "id0_0000"),
        ("CelebDFv2_real", "Celeb-real", "id1_0000"),
        ("CelebDFv2_fake", "Celeb-synthesis", "id0_id1_0000"),
        ("CelebDFv2_fake", "Celeb-synthesis", "id1_id0_0000"),
    ):
        frames = _frames(folder, f"Celeb-DF-v2/{below}/frames/{video}", int(video[2]), "fake" in label)
        entry = {"label": label, "frames": [frame.replace("/", "\\") if windows else frame for frame in frames]}
        splits = celeb.setdefault(label, {"train": {}, "val": {}, "test": {}})
        for split in ("train", "val", "test") if video.startswith("id1") else ("train",):
            splits[split][video] = entry
    (folder / "Celeb-DF-v2.json").write_text(json.dumps({"Celeb-DF-v2": celeb}))
    forensics: dict[str, Any] = {}
    for label, below, videos in (
        ("FF-real", "original_sequences/youtube", ("000", "003", "007", "009")),
        ("FF-DF", "manipulated_sequences/Deepfakes", ("000_003", "003_000", "007_009", "009_007")),
    ):
        splits = forensics.setdefault(label, {split: {"c23": {}, "c40": {}} for split in ("train", "val", "test")})
        for video in videos:
            frames = _frames(folder, f"FaceForensics++/{below}/c23/frames/{video}", int(video[:3]), label != "FF-real")
            splits["train" if video[:3] < "005" else "val"]["c23"][video] = {
                "label": label,
                "frames": [f"./datasets/rgb/{frame}" for frame in frames],
            }
    (folder / "FF-DF.json").write_text(json.dumps({"FF-DF": forensics}))


def _frames(folder: Path, below: str, who: int, fake: bool) -> list[str]:
    paths = [f"{below}/{number}.png" for number in (10, 9)]  # as text, 10 comes before 9
    for number, path in enumerate(paths):
        picture(folder / path, who, fake, number)
    return paths

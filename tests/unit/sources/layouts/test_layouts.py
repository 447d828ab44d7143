"""Each layout reads its miniature into exact rows, and is recognised as itself and nothing else."""

import shutil
from pathlib import Path

import pytest

from deepfake_detection.index.groups import frame_groups
from deepfake_detection.sources.layouts import detect
from deepfake_detection.sources.layouts.table import COLUMNS, REJECTED_COLUMNS, Layout, Options
from tests.unit.sources.conftest import MAKERS

# file, category, label, video_id, source_id, group, unit, frame, split
Row = tuple[str, str, int, str, str, str, str, int, str]

C23 = "c23/videos"
ROWS: dict[str, tuple[str, list[Row]]] = {
    **{
        name: (
            "FaceForensics++",
            [
                (f"{top}/{category}/{stem}_f{n}.jpg", category, int(bool(source)), stem[:3], source, "000", "", n, "")
                for category, stem, source in (
                    *(("Deepfakes", "000_001", "001"), ("Deepfakes", "001_000", "000")),
                    *(("Original", "000", ""), ("Original", "001", "")),
                )
                for n in (0, 1)
            ],
        )
        for name, top in (("kaggle", "FF++C32-Frames"), ("kaggle cropped", "Frames"))
    },
    "faceforensics": (
        "FaceForensics++",
        [
            (
                f"manipulated_sequences/DeepFakeDetection/{C23}/01_02__kitchen_pan__ABCD1234.mp4",
                *("DeepFakeDetection", 1, "01__kitchen_pan", "02__ABCD1234", "01__kitchen_pan", "", -1, ""),
            ),
            (f"manipulated_sequences/Deepfakes/{C23}/000_001.mp4", "Deepfakes", 1, "000", "001", "000", "", -1, ""),
            (f"manipulated_sequences/Deepfakes/{C23}/001_000.mp4", "Deepfakes", 1, "001", "000", "000", "", -1, ""),
            *(
                (
                    f"manipulated_sequences/FaceSwap/c23/frames/{target}_{source}/{frame:04d}.png",
                    *("FaceSwap", 1, target, source, "000", "", frame, ""),
                )
                for target, source in (("000", "001"), ("001", "000"))
                for frame in (0, 10)
            ),
            (
                f"original_sequences/actors/{C23}/01__kitchen_pan.mp4",
                *("DeepFakeDetection_original", 0, "01__kitchen_pan", "", "01__kitchen_pan", "", -1, ""),
            ),
            (f"original_sequences/youtube/{C23}/000.mp4", "Original", 0, "000", "", "000", "", -1, ""),
            (f"original_sequences/youtube/{C23}/001.mp4", "Original", 0, "001", "", "000", "", -1, ""),
        ],
    ),
    "celebdf": (
        "Celeb-DF",
        [
            *(
                (f"Celeb-real/{id_}.mp4", "Celeb-real", 0, id_, "", id_, "", -1, split)
                for id_, split in zip(
                    ("id0_0000", "id0_0001", "id1_0000", "id1_0001"), ("train", "test") * 2, strict=True
                )
            ),
            *(
                (
                    f"Celeb-synthesis/{target}_{source}_{number}.mp4",
                    *("Celeb-synthesis", 1, f"{target}_{number}", source, f"{target}_{number}", "", -1, split),
                )
                for target, source in (("id0", "id1"), ("id1", "id0"))
                for number, split in (("0000", "train"), ("0001", "test"))
            ),
            ("YouTube-real/00000.mp4", "YouTube-real", 0, "00000", "", "00000", "", -1, "train"),
            ("YouTube-real/00001.mp4", "YouTube-real", 0, "00001", "", "00001", "", -1, "test"),
        ],
    ),
    "celebdf plus": (
        "Celeb-DF",
        [
            ("Celeb-Real/id0_0000.mp4", "Celeb-real", 0, "id0_0000", "", "id0_0000", "", -1, "train"),
            (
                "Celeb-synthesis/FaceReenact/LIA/id0_id1_0000.mp4",
                *("FaceReenact-LIA", 1, "id0_0000", "id1", "id0_0000", "", -1, "train"),
            ),
            (
                "Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0000.mp4",
                *("FaceSwap-SimSwap", 1, "id0_0000", "id1", "id0_0000", "", -1, "test"),
            ),
            (
                "Celeb-synthesis/TalkingFace/FLOAT/id0_0000_test_00007.mp4",
                *("TalkingFace-FLOAT", 1, "id0_0000", "test_00007", "id0_0000", "", -1, "train"),
            ),
            ("Youtube-real/00000.mp4", "YouTube-real", 0, "00000", "", "00000", "", -1, "test"),
        ],
    ),
    "dfdc": (
        "DFDC",
        [
            *(
                (
                    f"dfdc_train_part_{part}/{name}.mp4",
                    *(("REAL", 0, name, "") if name == original else ("FAKE", 1, original, name)),
                    *(original, f"dfdc_train_part_{part}", -1, "train"),
                )
                for part, original in enumerate(("aaaaaaaaaa", "baaaaaaaaa"))
                for name in (f"{original[0]}{letter * 9}" for letter in "abc")
            ),
            ("test/zaaaaaaaaa.mp4", "REAL", 0, "zaaaaaaaaa", "", "zaaaaaaaaa", "", -1, "test"),
            ("test/zbbbbbbbbb.mp4", "FAKE", 1, "zbbbbbbbbb", "", "zbbbbbbbbb", "", -1, "test"),
        ],
    ),
    "dfdc_preview": (
        "DFDC-preview",
        [
            *(
                (
                    f"{method}/{target}/{target}_A/{source}_{target}_A_001.mp4",
                    *(method, 1, f"{target}_A_001", source, target, "", -1, split),
                )
                for method, target, source, split in (
                    ("method_A", "1001", "1002", "train"),
                    ("method_A", "2001", "2002", "test"),
                    ("method_B", "1002", "1001", "train"),
                    ("method_B", "2002", "2001", "test"),
                )
            ),
            *(
                (
                    f"original_videos/{actor}/{actor}_A_001.mp4",
                    *("original_videos", 0, f"{actor}_A_001", "", actor, "", -1, split),
                )
                for actor, split in (("1001", "train"), ("1002", "train"), ("2001", "test"), ("2002", "test"))
            ),
        ],
    ),
    "wilddeepfake": (
        "WildDeepfake",
        [
            (
                f"{label}_{split}/6/{label}/{sequence}/{frame}.png",
                *(label, int(label == "fake"), f"{split}/6/{label}/{sequence}", "", f"{label}/{split}/6"),
                *("", frame, split),
            )
            for label in ("fake", "real")
            for split, sequence, frame in (("test", 9, 7), *(("train", n, each) for n in (54, 55) for each in (12, 3)))
        ],
    ),
    "folders": (
        "folders",
        [
            (f"{label}/{file}", label, int(label == "fake"), video, "", f"{label}/{video}", "", frame, "")
            for label in ("fake", "real")
            for file, video, frame in (
                ("holiday.jpg", "holiday", 0),
                ("interview 0.mp4", "interview 0", -1),
                ("interview 1.mp4", "interview 1", -1),
                ("street/10.png", "street", 10),
                ("street/9.png", "street", 9),
            )
        ],
    ),
    "folders divided": (
        "folders",
        [
            row
            for folder, split, target, source in (
                ("Test", "test", "004", "005"),
                ("train", "train", "000", "001"),
                ("valid", "val", "002", "003"),
            )
            for row in (
                (f"{folder}/0/{target}_f4.jpg", "real", 0, target, "", target, "", 4, split),
                (f"{folder}/1/{target}_{source}_f4.jpg", "fake", 1, target, source, target, "", 4, split),
            )
        ],
    ),
    "manifest": (
        "mine",
        [
            ("media/a/1.png", "camera", 0, "a", "", "a", "", 1, "train"),
            ("media/a/2.png", "camera", 0, "a", "", "a", "", 2, "train"),
            ("media/b.mp4", "camera", 0, "b", "", "a", "", -1, "test"),
            ("media/c/1.png", "swap", 1, "a", "b", "a", "", 1, "train"),
            ("media/c/2.png", "swap", 1, "a", "b", "a", "", 2, "train"),
            ("media/d.mp4", "swap", 1, "d", "", "alone", "", -1, "test"),
        ],
    ),
}


def rows_of(layout: Layout) -> list[Row]:
    """The rows, with the groups that are made of target and source where the layout names none."""
    table = layout.table.assign(group=frame_groups(layout.table))
    return list(table.drop(columns="dataset").itertuples(index=False, name=None))


@pytest.mark.parametrize("name", ROWS)
def test_every_miniature_gives_its_rows(miniatures: Path, name: str) -> None:
    dataset, rows = ROWS[name]
    layout, _, read = detect.read(miniatures / name)
    assert layout == name.split()[0]
    assert list(read.table) == list(COLUMNS)
    assert rows_of(read) == rows
    assert {*read.table["dataset"]} == {dataset}
    assert list(read.rejected) == REJECTED_COLUMNS
    assert read.rejected.empty
    assert all((miniatures / name / file).is_file() for file in read.table["file"])


def test_deepfakebench_gives_the_rows_of_both_data_sets(miniatures: Path) -> None:
    _, _, read = detect.read(miniatures / "deepfakebench")
    celeb, forensics = (rows for _, rows in read.table.groupby("dataset"))
    real, fake = "Celeb-DF-v2/Celeb-real/frames", "Celeb-DF-v2/Celeb-synthesis/frames"
    assert rows_of(Layout(celeb, read.rejected)) == [
        (f"{real}/id0_0000/10.png", "CelebDFv2_real", 0, "id0_0000", "", "id0_0000", "", 10, "train"),
        (f"{real}/id0_0000/9.png", "CelebDFv2_real", 0, "id0_0000", "", "id0_0000", "", 9, "train"),
        (f"{real}/id1_0000/10.png", "CelebDFv2_real", 0, "id1_0000", "", "id1_0000", "", 10, "test"),
        (f"{real}/id1_0000/9.png", "CelebDFv2_real", 0, "id1_0000", "", "id1_0000", "", 9, "test"),
        (f"{fake}/id0_id1_0000/10.png", "CelebDFv2_fake", 1, "id0_0000", "id1", "id0_0000", "", 10, "train"),
        (f"{fake}/id0_id1_0000/9.png", "CelebDFv2_fake", 1, "id0_0000", "id1", "id0_0000", "", 9, "train"),
        (f"{fake}/id1_id0_0000/10.png", "CelebDFv2_fake", 1, "id1_0000", "id0", "id1_0000", "", 10, "test"),
        (f"{fake}/id1_id0_0000/9.png", "CelebDFv2_fake", 1, "id1_0000", "id0", "id1_0000", "", 9, "test"),
    ]
    assert read.notes == ("Celeb-DF-v2: 2 videos stand in several parts; those of test are not trained on",)
    assert {*forensics["dataset"]} == {"FF-DF"}
    forensics = forensics.assign(group=frame_groups(forensics))
    counts = forensics.groupby(["category", "label", "group", "split"]).size()
    assert counts.to_dict() == {
        (category, label, group, split): 4
        for label, category in enumerate(("FF-real", "FF-DF"))
        for group, split in (("000", "train"), ("007", "val"))
    }
    assert read.rejected.empty


@pytest.mark.parametrize("name", MAKERS)
def test_every_miniature_is_recognised_as_itself_only(miniatures: Path, name: str) -> None:
    fitting = [layout for layout, module in detect.LAYOUTS.items() if module.recognise(miniatures / name)]
    assert fitting == [name.split()[0]]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("kaggle", "it holds FF++C32-Frames/"),
        ("kaggle cropped", "cropped-aligned.csv has the columns filepath and label"),
        ("faceforensics", "it holds manipulated_sequences/ and original_sequences/"),
        ("celebdf plus", "it holds Celeb-Real/ and Youtube-real/ and Celeb-synthesis/"),
        ("dfdc", "dfdc_train_part_0/metadata.json describes videos"),
        ("dfdc_preview", "it holds method_A/ and method_B/ and original_videos/"),
        ("deepfakebench", "Celeb-DF-v2.json names the frames of videos"),
        ("folders divided", "it holds Test/0/ and Test/1/ and train/0/ and train/1/"),
        ("manifest", "it holds manifest.csv"),
        ("manifest/manifest.csv", "manifest.csv is a list of files"),
    ],
)
def test_detection_says_why(miniatures: Path, name: str, why: str) -> None:
    assert detect.detect(miniatures / name)[1] == why


@pytest.mark.parametrize("name", sorted(MAKERS.keys() - {"kaggle cropped", "deepfakebench", "manifest"}))
def test_no_file_beside_the_videos_is_dropped_in_silence(miniatures: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    shutil.copytree(miniatures / name, folder)
    (tmp_path / "secret.png").touch()
    _, _, before = detect.read(folder)
    strangers = set()
    for below in {str(Path(file).parent) for file in before.table["file"]}:
        strangers |= {f"{below}/zz.{suffix}" for suffix in ("png", "mp4", "txt")} | {f"{below}/zz_link.png"}
        (folder / below / "zz_link.png").symlink_to(tmp_path / "secret.png")
    for stranger in strangers:
        (folder / stranger).touch()
    _, _, after = detect.read(folder)
    left_out = strangers - {*after.table["file"]} - {*after.rejected["path"]}
    assert not left_out
    assert {*before.table["file"]} <= {*after.table["file"]}
    assert all(reason for reason in after.rejected["reason"])


@pytest.mark.parametrize("name", ["celebdf", "dfdc", "faceforensics"])
def test_the_user_names_the_data_set_and_the_categories(miniatures: Path, name: str) -> None:
    _, _, everything = detect.read(miniatures / name)
    labels = dict(zip(everything.table["category"], everything.table["label"], strict=True))
    real, fake = (next(category for category in labels if labels[category] == label) for label in (0, 1))
    _, _, read = detect.read(miniatures / name, name, Options(dataset="mine", categories={real: 0, fake: 1}))
    assert {*read.table["dataset"]} == {"mine"}
    assert {*read.table["category"]} == {real, fake}
    wanted = everything.table[everything.table["category"].isin([real, fake])]
    assert list(read.table["file"]) == list(wanted["file"])

"""Miniatures of Celeb-DF v2 and of Celeb-DF++."""

from pathlib import Path

from tests.support.miniatures.drawing import film

LIST = "List_of_testing_videos.txt"


def make(folder: Path, people: int = 2) -> None:
    """Each identity has two recordings, with the face of the next in each. The second ones are tested on."""
    listed = []
    for who in range(people):
        for recording in range(2):
            real = f"Celeb-real/id{who}_{recording:04d}.mp4"
            fake = f"Celeb-synthesis/id{who}_id{(who + 1) % people}_{recording:04d}.mp4"
            film(folder / real, 500 + who, False)
            film(folder / fake, 500 + who, True)
            if recording == 1:
                listed += [f"1 {real}", f"0 {fake}"]
    for number in range(2):
        film(folder / f"YouTube-real/{number:05d}.mp4", 950 + number, False)
    (folder / LIST).write_text("\n".join([*listed, "1 YouTube-real/00001.mp4", ""]))


def make_plus(folder: Path) -> None:
    """One recording, with a fake in each scenario of Celeb-DF++. Folders are spelt as some copies spell them."""
    film(folder / "Celeb-Real/id0_0000.mp4", 500, False)
    film(folder / "Youtube-real/00000.mp4", 950, False)
    fakes = ["FaceSwap/SimSwap/id0_id1_0000", "FaceReenact/LIA/id0_id1_0000", "TalkingFace/FLOAT/id0_0000_test_00007"]
    for fake in fakes:
        film(folder / f"Celeb-synthesis/{fake}.mp4", 500, True)
    (folder / LIST).write_text(f"0 Celeb-synthesis/{fakes[0]}.mp4\n1 Youtube-real/00000.mp4\n")

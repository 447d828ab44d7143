import pandas as pd

from deepfake_detection.index.roles import ROLES, roles


def test_what_each_frame_is_there_for() -> None:
    table = pd.DataFrame(
        [
            ("embedded", "Original", "trained"),
            ("embedded", "FaceSwap", "evaluated"),
            ("more", "FaceSwap", "trained"),  # unseen categories are those of the main data set
            ("Celeb-DF", "Celeb-real", "evaluated"),
            ("phone", "unlabelled", "adapt"),
        ],
        columns=["dataset", "category", "role"],
    )
    found = roles(table, ["FaceSwap"], {"more": "train", "Celeb-DF": "test", "phone": "adapt"})
    assert found.tolist() == table["role"].tolist()
    assert set(found) == set(ROLES)

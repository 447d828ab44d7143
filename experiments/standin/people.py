"""People who do not exist, cut out of portraits, each with the face of someone like them to be swapped with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.progress import progress
from deepfake_detection.pictures.faces import detect_faces, import_opencv
from deepfake_detection.training.blending import LANDMARKS

SIZE = 384  # pixels of a person's picture, which is square
GRAIN, SHARPENING = 0.035, 0.6  # of skin and hair, which a small portrait does not show
CHOICE = 8  # portraits looked at for each that is taken, so that each person finds someone like them
TOUCHES = 0.03  # of a portrait's upper edge may be hair

Picture = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]
Affine = NDArray[np.float64]


class Person(NamedTuple):
    """``picture`` is uint8 of shape (SIZE, SIZE, 4), the last channel being what is not background.

    ``placed`` of shape (2, 3) maps face units to its pixels. Face units are those of ``LANDMARKS``. ``turned`` is how
    far the tip of the nose is from its place in a face from the front, in face units.
    """

    picture: Picture
    placed: Affine
    turned: Floats


def read_people(folder: Path, count: int, rng: np.random.Generator) -> list[Person]:
    """``count`` people of the portraits in ``folder``, one a portrait. Number 2k and 2k + 1 resemble each other.

    Portraits without a face, or whose head is cut off, are left out. Raises UserError if too few are left.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    people: list[Person] = []
    taken = rng.permutation(np.array(paths, object))[: CHOICE * count]
    for path in progress(taken, "cutting out people", unit="portrait"):
        if person := cut_out(np.asarray(Image.open(path).convert("RGB")), rng):
            people.append(person)
    if len(people) < count:
        raise UserError(f"{folder}: {len(people)} portraits with a whole head, and {count} are wanted")
    return alike(people)[:count]


def cut_out(portrait: Picture, rng: np.random.Generator) -> Person | None:
    """The person of an RGB portrait, or None where no face is found or the head is cut off."""
    faces = detect_faces(portrait)
    if not faces:
        return None
    cv2, scale = import_opencv(), SIZE / np.array(portrait.shape[1::-1])
    points = np.array(faces[0].landmarks).reshape(-1, 2) * scale
    placed = np.linalg.lstsq(np.column_stack([LANDMARKS, np.ones(5)]), points, rcond=None)[0].T
    nose = np.linalg.solve(placed[:, :2], points[2] - placed[:, 2]) - LANDMARKS[2]
    matte = _matte(portrait, faces[0].box[:4])
    if (matte[0] > 0).mean() > TOUCHES:
        return None
    large = cv2.resize(portrait, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    large += SHARPENING * (large - cv2.GaussianBlur(large, (0, 0), 1.5))
    grain = cv2.GaussianBlur(rng.standard_normal((SIZE, SIZE, 1), np.float32), (0, 0), 0.7)
    large *= 1 + GRAIN / grain.std() * grain[..., None]
    alpha = cv2.GaussianBlur(cv2.resize(matte, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR), (0, 0), 1.5)
    return Person(np.dstack([large.clip(0, 255).astype(np.uint8), alpha]), placed, nose)


def alike(people: Sequence[Person]) -> list[Person]:
    """The people in pairs of which both look the same way and have like faces, the most alike pairs first."""
    faces = _apart(np.array([_face(person) for person in people]))
    poses = _apart(np.array([[*person.turned, *_shape(person)] for person in people]))
    apart = 2 * faces + poses
    apart[np.diag_indices(len(people))] = np.inf
    found: list[Person] = []
    for _ in range(len(people) // 2):
        pair = np.unravel_index(np.argmin(apart), apart.shape)
        found += [people[int(one)] for one in pair]
        apart[pair, :] = apart[:, pair] = np.inf
    return found


def aligned(source: Person, target: Person) -> Picture:
    """The picture of ``source``, moved so that the face lies where that of ``target`` lies."""
    cv2 = import_opencv()
    to_source = whole(source.placed) @ np.linalg.inv(whole(target.placed))
    options = {"flags": cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REPLICATE}
    found: Picture = cv2.warpAffine(source.picture, to_source[:2], (SIZE, SIZE), **options)
    return found


def whole(affine: Affine) -> Affine:
    """A matrix of shape (2, 3) as one of (3, 3)."""
    return np.vstack([affine, [0, 0, 1]])


def _matte(portrait: Picture, box: Sequence[Any]) -> Picture:
    """255 where the person is and 0 elsewhere, found from the colours in and around the face's box."""
    cv2, (height, width) = import_opencv(), portrait.shape[:2]
    left, top, right, bottom = (int(side) for side in box)
    labels = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    labels[: max(2, top // 4)] = cv2.GC_BGD
    across = (right - left) // 2
    labels[max(0, top - (bottom - top) // 4) :, max(0, left - across // 2) : right + across // 2] = cv2.GC_PR_FGD
    labels[bottom + (bottom - top) // 5 :] = cv2.GC_PR_FGD
    labels[top:bottom, left:right] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    cv2.grabCut(portrait, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    count, parts, sizes, _ = cv2.connectedComponentsWithStats(found)
    largest = 1 + int(np.argmax(sizes[1:, cv2.CC_STAT_AREA])) if count > 1 else 0
    return np.asarray(255 * (parts == largest), np.uint8)


def _apart(points: Floats) -> Floats:
    """The distance of each two of ``points``, of shape (people, numbers), to each of which all numbers count alike."""
    scaled = (points - points.mean(axis=0)) / points.std(axis=0).clip(1e-6)
    return np.asarray(np.linalg.norm(scaled[:, None] - scaled[None], axis=2) / np.sqrt(points.shape[1]))


def _shape(person: Person) -> tuple[float, float]:
    """How wide the face is for its height, and how much it leans."""
    (across, lean), (_, down) = person.placed[:, 0], person.placed[:, 1]
    return float(across / down), float(lean / across)


def _face(person: Person) -> Floats:
    """The face from the brows to the chin, of few pixels: who is alike in these has a like skin, light and look."""
    cv2 = import_opencv()
    to_face = np.array([[8, 0, 8], [0, 8, 4]]) @ np.linalg.inv(whole(person.placed))
    blurred = cv2.GaussianBlur(person.picture[..., :3], (0, 0), 8)
    return np.asarray(cv2.warpAffine(blurred, to_face, (16, 16)), np.float32).ravel()

"""Five manipulations of a film, modelled on how those of FaceForensics++ are made.

Rössler et al. 2019, "FaceForensics++: Learning to detect manipulated facial images", describe Deepfakes, FaceSwap,
Face2Face (Thies et al. 2016) and NeuralTextures (Thies et al. 2019); Li et al. 2020, "Advancing high fidelity identity
swapping for forgery detection", FaceShifter. Nothing here is learnt: a face is drawn from a portrait, by the movement
that the film has, and goes through what stands for the network or the renderer.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from deepfake_detection.pictures.faces import import_opencv
from deepfake_detection.training.blending import LANDMARKS, draw_region
from experiments.standin.filming import Box, Expression, Scene, rendered, smooth
from experiments.standin.people import SIZE, Floats, Person, Picture, aligned

FACE = 4.0  # face units across what a network sees, which is more than the face
NARROWER = 0.84
GRID, SWEEPS = (32, 40), 150  # points across and down, at which the membrane is solved, and how often it is relaxed
BLEED = 8  # of 255: what the membrane takes at most from its border, which may lie on hair
BROAD = 0.12  # of a box's height: the sigma of what counts as light on a face
# What decides how hard the films are to tell apart, as ranges of which each film draws
DEEPFAKES_PIXELS, FLICKER = (96, 160), (0.1, 0.5)  # pixels of the network's face; sigma in pixels of its place
DEEPFAKES_LIGHT, SWAP_LIGHT = (0.7, 1.0), (0.7, 1.0)  # the share of the target's light that the face takes
TEXTURE_BLUR = (0.9, 1.7)  # times the film's own, of what Face2Face draws
SWAP_BLUR = (0.8, 1.8)  # sigma in pixels, of the picture that FaceSwap draws
MOUTH_PIXELS = (72, 144)  # of the face that NeuralTextures' network draws
SMOOTHING = (6, 16)  # of 255: differences up to which FaceShifter evens them out


class Take(NamedTuple):
    """A scene and its frames as they were filmed and compressed, each uint8 of shape (height, width, 3)."""

    scene: Scene
    frames: Sequence[Picture]


Manipulate = Callable[[Take, Scene, np.random.Generator], Iterator[Picture]]


def deepfakes(take: Take, source: Scene, rng: np.random.Generator) -> Iterator[Picture]:
    """The face of ``source`` as an autoencoder of few pixels draws it, its colours matched, under a soft hull.

    Each frame is drawn for itself: the face is not quite where it was, nor in the same light.
    """
    person, flicker = take.scene.person, rng.uniform(*FLICKER)
    face = coarse(aligned(source.person, person), person, rng.uniform(*DEEPFAKES_PIXELS))
    hull = soft(region("face to the brows", person), rng.uniform(5, 10))
    gains, share = 1 + 0.01 * rng.standard_normal((take.scene.frames, 3)), rng.uniform(*DEEPFAKES_LIGHT)
    for number, frame in enumerate(take.frames):
        box = take.scene.face_box(number)
        drawn, mask = draw(take.scene, number, box, face, hull, flicker * rng.standard_normal(2))
        under = cut(frame, box)
        lit = relit(matched(drawn, under, mask), under, mask, share)
        yield lay(frame, box, lit * gains[number].astype(np.float32), mask)


def face_swap(take: Take, source: Scene, rng: np.random.Generator) -> Iterator[Picture]:
    """One picture of ``source`` on a tracked model: no expression of its own, a hard hull, blended by gradients."""
    cv2, person, scene = import_opencv(), take.scene.person, take.scene
    face, hull = aligned(source.person, person), region("face to the brows", person)
    still = Expression(*np.zeros((4, scene.frames), np.float32))
    blur, share, wander = rng.uniform(*SWAP_BLUR), rng.uniform(*SWAP_LIGHT), smooth(scene.frames, 1, rng, 2)
    for number, frame in enumerate(take.frames):
        box = scene.face_box(number)
        drawn, mask = draw(scene, number, box, face, hull, wander[number], still)
        drawn, under = cv2.GaussianBlur(drawn, (0, 0), blur), cut(frame, box)
        drawn = relit(matched(drawn, under, mask), under, mask, share)
        inside = (mask > 0.5).astype(np.float32)
        yield lay(frame, box, drawn + membrane((under - drawn).clip(-BLEED, BLEED), inside), inside)


def face2face(take: Take, source: Scene, rng: np.random.Generator) -> Iterator[Picture]:
    """The person's own face, its texture drawn again with the brows and the mouth of ``source``."""
    cv2, person, scene = import_opencv(), take.scene.person, take.scene
    hull = soft(region("face to the brows", person), 1.5)
    driven = Expression(*source.expression[:3], scene.expression.blink)
    blur = scene.blur * rng.uniform(*TEXTURE_BLUR)
    for number, frame in enumerate(take.frames):
        box = scene.face_box(number)
        drawn, mask = draw(scene, number, box, person.picture, hull, 0.3 * rng.standard_normal(2), driven)
        yield lay(frame, box, cv2.GaussianBlur(drawn, (0, 0), blur), mask)


def neural_textures(take: Take, source: Scene, rng: np.random.Generator) -> Iterator[Picture]:
    """The mouth of ``source`` on the person's own face: only its region is drawn, by a network of few pixels."""
    person, scene = take.scene.person, take.scene
    face = coarse(person.picture, person, rng.uniform(*MOUTH_PIXELS))
    mouth = soft(region("mouth", person), 4)
    driven = Expression(*source.expression[:2], *scene.expression[2:])
    for number, frame in enumerate(take.frames):
        box = scene.face_box(number)
        drawn, mask = draw(scene, number, box, face, mouth, np.zeros(2), driven)
        yield lay(frame, box, drawn, mask)


def face_shifter(take: Take, source: Scene, rng: np.random.Generator) -> Iterator[Picture]:
    """The face of ``source`` in the light and colours of the place it is laid on, evened out, with a wide border."""
    cv2, person, scene = import_opencv(), take.scene.person, take.scene
    face = aligned(source.person, person)
    hull, even = soft(region("whole face", person), rng.uniform(10, 16)), rng.uniform(*SMOOTHING)
    for number, frame in enumerate(take.frames):
        box = scene.face_box(number)
        drawn, mask = draw(scene, number, box, face, hull, np.zeros(2))
        under = cut(frame, box)
        drawn = relit(matched(drawn, under, mask), under, mask, 1)
        yield lay(frame, box, cv2.bilateralFilter(drawn, 5, even, 2), mask)


MANIPULATIONS: dict[str, Manipulate] = {
    "Deepfakes": deepfakes,
    "Face2Face": face2face,
    "FaceShifter": face_shifter,
    "FaceSwap": face_swap,
    "NeuralTextures": neural_textures,
}


def region(name: str, person: Person) -> Floats:
    """A region of ``training.blending`` in the person's picture, of 0 and 1, of shape (SIZE, SIZE).

    It is narrower than there, so that it ends within the cheeks of a source whose face is less wide.
    """
    landmarks = (LANDMARKS * [NARROWER, 1]) @ person.placed[:, :2].T + person.placed[:, 2]
    return draw_region(name, landmarks.astype(np.float32), (SIZE, SIZE))


def soft(mask: Floats, width: float) -> Floats:
    """A mask with a border of about twice ``width`` pixels, which lies inside."""
    cv2 = import_opencv()
    reach = 2 * round(width) + 1
    smaller = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return np.asarray(cv2.GaussianBlur(smaller, (0, 0), width / 2), np.float32)


def coarse(picture: Picture, person: Person, pixels: float) -> Picture:
    """The picture with as much detail as a network has whose input has ``pixels`` pixels a side."""
    cv2 = import_opencv()
    small = max(8, round(SIZE * pixels / (FACE * np.linalg.norm(person.placed[:, 0]))))
    if small >= SIZE:
        return picture
    reduced = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(reduced, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC))


def draw(
    scene: Scene,
    number: int,
    box: Box,
    face: Picture,
    mask: Floats,
    moved: Floats,
    expression: Expression | None = None,
) -> tuple[Floats, Floats]:
    """A face as the scene moves and lights it, of shape (height, width, 3), and where it is, for the pixels of ``box``.

    ``moved`` is how far it is from its place, in pixels of the person's picture.
    """
    cv2 = import_opencv()
    warp, opened = scene.warp(number, box, expression)
    warp = warp + np.asarray(moved, np.float32)
    drawn = rendered(face, warp, opened)
    there = cv2.remap(mask, warp, None, cv2.INTER_LINEAR) * (drawn[..., 3] / 255)
    return scene.lit(drawn[..., :3], number, box), there


def membrane(apart: Floats, inside: Floats) -> Floats:
    """What is added to a face, in the mask of 0 and 1, so that its gradients stay and its border has ``apart``.

    It is Poisson blending (Pérez, Gangnet and Blake 2003), solved on a coarse grid.
    """
    cv2 = import_opencv()
    known = cv2.resize(apart, GRID, interpolation=cv2.INTER_AREA)
    within = (cv2.resize(inside, GRID, interpolation=cv2.INTER_AREA) > 0.5)[..., None]
    found = known
    for _ in range(SWEEPS):
        found = np.where(within, cv2.blur(found, (3, 3)), known)
    return np.asarray(cv2.resize(found, apart.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def matched(drawn: Floats, under: Floats, mask: Floats) -> Floats:
    """The colours of ``drawn`` with the mean and the spread that those of ``under`` have in the mask."""
    inside = (mask > 0.5).astype(np.uint8)
    (ours, spread), (theirs, wanted) = (import_opencv().meanStdDev(each, mask=inside) for each in (drawn, under))
    gain = (wanted / spread.clip(1)).clip(0.6, 1.6)
    return np.asarray((drawn - ours[:, 0]) * gain[:, 0] + theirs[:, 0], np.float32)


def relit(drawn: Floats, under: Floats, mask: Floats, share: float) -> Floats:
    """``drawn`` with a share of what is broad in ``under``, looked at in the mask alone."""
    small = (drawn.shape[1] // 8, drawn.shape[0] // 8)
    cv2, sigma = import_opencv(), BROAD * small[1]
    apart = cv2.resize(np.dstack([(under - drawn) * mask[..., None], mask]), small, interpolation=cv2.INTER_AREA)
    broad = cv2.GaussianBlur(apart.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    light = broad[..., :3] / broad[..., 3:].clip(1e-3)
    return np.asarray(drawn + share * cv2.resize(light, drawn.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def cut(frame: Picture, box: Box) -> Floats:
    left, top, right, bottom = box
    return frame[top:bottom, left:right].astype(np.float32)


def lay(frame: Picture, box: Box, over: Floats, mask: Floats) -> Picture:
    """The frame with ``over`` in ``box``, as far as the mask says."""
    left, top, right, bottom = box
    under, laid = cut(frame, box), frame.copy()
    laid[top:bottom, left:right] = np.rint(under + mask[..., None] * (over - under)).clip(0, 255)
    return laid

"""A person before a camera: how they move, what is behind them, the light, and what the camera adds."""

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np

from deepfake_detection.pictures.faces import import_opencv
from experiments.standin.people import SIZE, Affine, Floats, Person, Picture, whole

SIZES = (*3 * ((640, 480),), (854, 480), (720, 576), (1280, 720))  # as often as they stand here
STEP = 4  # pixels between the points at which a movement is computed
RATE = 25

Box = tuple[int, int, int, int]  # left, top, right and bottom in pixels; right and bottom are exclusive


class Expression(NamedTuple):
    """Each of shape (frames,): how far the mouth is open, the smile, raised brows and closed eyes, in face units."""

    mouth: Floats
    smile: Floats
    brows: Floats
    blink: Floats


class Scene(NamedTuple):
    """What is filmed. Curves have the shape (frames,) or (frames, 2)."""

    person: Person
    size: tuple[int, int]  # width and height of a frame
    backdrop: Picture  # a little larger than a frame
    placed: Floats  # of shape (frames, 3, 3): maps a frame's pixels to those of the person's picture
    turned: Floats  # aside and down, in face units at the tip of the nose
    shaken: Floats  # of the camera, in pixels
    expression: Expression
    light: Floats  # of shape (frames, 3, 3): of each channel the level, and what it gains to the right and downwards
    blur: float  # sigma in pixels
    noise: float  # sigma of 255

    @classmethod
    def drawn(cls, person: Person, frames: int, rng: np.random.Generator) -> Self:
        """A scene of its own, as all that a rng draws."""
        width, height = size = SIZES[int(rng.integers(len(SIZES)))]
        scale = height / SIZE * rng.uniform(0.7, 1.0)
        middle = np.array([width * rng.uniform(0.4, 0.6), height - scale * SIZE / 2 + 6])
        shaken = smooth(frames, 6, rng, 2) * rng.uniform(0.2, 1.5)
        moved = middle + shaken + smooth(frames, 15, rng, 2) * height * [0.012, 0.006]
        roll, zoom = smooth(frames, 15, rng) * 0.03, scale * (1 + 0.012 * smooth(frames, 20, rng))
        placed = np.stack([_placed(*each) for each in zip(moved, roll, zoom, strict=True)])
        gain = rng.uniform(0.9, 1.1, 3) * rng.uniform(0.75, 1.1)
        level = gain[None] * (1 + 0.03 * smooth(frames, 20, rng)[:, None])
        tilt = rng.uniform(-0.25, 0.25, 2) + 0.04 * smooth(frames, 25, rng, 2)
        light = np.stack([level, level * tilt[:, :1], level * tilt[:, 1:]], axis=2)
        return cls(
            person,
            size,
            draw_backdrop(width + 16, height + 16, rng),
            placed.astype(np.float32),
            (0.06 * smooth(frames, 14, rng, 2)).astype(np.float32),
            shaken.astype(np.float32),
            act(frames, rng),
            light.astype(np.float32),
            float(rng.uniform(0.3, 1.3)),
            float(rng.uniform(1, 5)),
        )

    @property
    def frames(self) -> int:
        return len(self.placed)

    def at(self, points: Floats, number: int) -> Floats:
        """Where face units of shape (points, 2) are in a frame, in pixels, the expression left aside."""
        matrix = np.linalg.inv(self.placed[number]) @ whole(self.person.placed)
        return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2], np.float32)

    def face_box(self, number: int) -> Box:
        """The part of a frame that holds the whole face."""
        corners = self.at(np.array([[-1.7, -1.4], [1.7, -1.4], [-1.7, 2.5], [1.7, 2.5]], np.float32), number)
        low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
        left, top = (int(side) for side in low.clip(0))
        right, bottom = (int(side) for side in np.minimum(high, self.size))
        return left, top, right, bottom

    def warp(self, number: int, box: Box, expression: Expression | None = None) -> tuple[Floats, Floats]:
        """For the pixels of ``box``, those of the person's picture, of shape (height, width, 2), and the open mouth.

        The latter is from 0 to 1, of shape (height, width). ``expression`` stands for the scene's own.
        """
        cv2, (left, top, right, bottom) = import_opencv(), box
        shape = -(-(bottom - top) // STEP), -(-(right - left) // STEP)
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        here = np.stack([left + (columns + 0.5) * STEP - 0.5, top + (rows + 0.5) * STEP - 0.5], axis=2)
        there = here @ self.placed[number][:2, :2].T + self.placed[number][:2, 2]
        to_face = np.linalg.inv(whole(self.person.placed)).astype(np.float32)
        face = there @ to_face[:2, :2].T + to_face[:2, 2]
        made = expression or self.expression
        mouth, smile, brows, blink = (float(curve[number]) for curve in made)
        moved, gap = movement(face, self.turned[number], mouth, smile, brows, blink)
        there = there + moved @ self.person.placed[:, :2].T.astype(np.float32)
        full = (shape[1] * STEP, shape[0] * STEP)
        large = [cv2.resize(each, full, interpolation=cv2.INTER_LINEAR) for each in (there.astype(np.float32), gap)]
        warp, opened = (each[: bottom - top, : right - left] for each in large)
        return warp, opened

    def lit(self, picture: Floats, number: int, box: Box) -> Floats:
        """Colours of shape (height, width, 3) of the pixels of ``box``, in the light of the frame."""
        left, top, right, bottom = box
        across = np.arange(left, right, dtype=np.float32) / self.size[0] - 0.5
        down = np.arange(top, bottom, dtype=np.float32)[:, None] / self.size[1] - 0.5
        level, to_right, downwards = self.light[number].T
        shine = (level + across[None, :, None] * to_right) + down[..., None] * downwards
        return np.asarray(picture * shine)

    def filmed(self, rng: np.random.Generator) -> Iterator[Picture]:
        """The frames, uint8 of shape (height, width, 3)."""
        cv2, box = import_opencv(), (0, 0, *self.size)
        for number in range(self.frames):
            person = rendered(self.person.picture, *self.warp(number, box))
            shake = np.array([[1, 0, self.shaken[number, 0] - 8], [0, 1, self.shaken[number, 1] - 8]])
            behind = cv2.warpAffine(self.backdrop, shake, self.size, borderMode=cv2.BORDER_REPLICATE)
            share = person[..., 3:] / 255
            frame = self.lit(behind + share * (person[..., :3] - behind), number, box)
            frame = cv2.GaussianBlur(frame, (0, 0), self.blur)
            frame += self.noise * rng.standard_normal((*frame.shape[:2], 1), np.float32)
            yield np.rint(frame).clip(0, 255).astype(np.uint8)


def rendered(picture: Picture, warp: Floats, opened: Floats) -> Floats:
    """A picture of SIZE as the warp has it, float of shape (height, width, 4), its mouth dark where it is open."""
    cv2 = import_opencv()
    warped = cv2.remap(picture, warp, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    found = np.asarray(warped, np.float32)
    open_there = opened > 0
    found[open_there, :3] += opened[open_there, None] * (np.array([52, 24, 24], np.float32) - found[open_there, :3])
    return found


def movement(
    face: Floats, turned: Floats, mouth: float, smile: float, brows: float, blink: float
) -> tuple[Floats, Floats]:
    """How far, in face units, from each of ``face`` that is which is seen there, and how much the mouth is open.

    ``face`` is in face units, of shape (height, width, 2).
    """
    u, v = face[..., 0], face[..., 1]
    depth = np.exp(-((u / 1.1) ** 2) - ((v - 0.5) / 1.2) ** 2)
    x, y = -turned[0] * depth, -turned[1] * depth
    jaw = np.exp(-((u / 0.6) ** 2) - (np.maximum(v - 1.25, 0) / 0.3) ** 2)
    y = y - mouth * jaw * ((v - 1.0) / 0.16).clip(0, 1)
    for side in (-1, 1):
        corner = np.exp(-(((u - side * 0.42) / 0.25) ** 2) - ((v - 1.03) / 0.22) ** 2)
        x, y = x - side * smile * corner, y + 0.6 * smile * corner
        y = y + brows * np.exp(-(((u - side * 0.5) / 0.4) ** 2) - ((v + 0.3) / 0.14) ** 2)
        y = y - blink * 0.2 * np.exp(-(((u - side * 0.5) / 0.25) ** 4) - ((v - 0.0) / 0.12) ** 2)
    middle, half = 1.06 + mouth / 2, max(mouth, 1e-3) / 2
    opened = ((1 - (u / 0.3) ** 2 - ((v - middle) / half) ** 2) * 2).clip(0, 1)
    return np.stack([x, y], axis=2), (opened * min(1, mouth / 0.05)).astype(np.float32)


def act(frames: int, rng: np.random.Generator) -> Expression:
    """An expression as of someone who speaks, moves the brows, and blinks every few seconds."""
    speaks = rng.uniform(0.03, 0.10)
    mouth = speaks * np.abs(smooth(frames, 1.5, rng)).clip(0, 2) * (smooth(frames, 8, rng) > -0.5)
    mouth = np.convolve(mouth, [0.25, 0.5, 0.25], "same")
    blink = np.zeros(frames)
    start = int(rng.integers(0, 2 * RATE))
    while start < frames:
        shut = np.array([0.5, 1, 1, 0.6, 0.3])[: frames - start]
        blink[start : start + len(shut)] = shut
        start += int(rng.integers(RATE, 4 * RATE))
    smile, brows = 0.04 * smooth(frames, 12, rng), 0.05 * smooth(frames, 10, rng)
    return Expression(*(curve.astype(np.float32) for curve in (mouth, smile, brows, blink)))


def smooth(frames: int, sigma: float, rng: np.random.Generator, curves: int = 0) -> Floats:
    """Curves that wander about 0 with a spread of 1, of shape (frames,) or (frames, curves)."""
    pad = int(4 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-pad, pad + 1) / sigma) ** 2)
    kernel /= np.sqrt((kernel**2).sum())
    drawn = rng.standard_normal((frames + 2 * pad, max(1, curves)))
    found = np.stack([np.convolve(column, kernel, "valid") for column in drawn.T], axis=1)
    return np.asarray(found if curves else found[:, 0])


def draw_backdrop(width: int, height: int, rng: np.random.Generator) -> Picture:
    """A wall, shelves or lights, more or less out of focus, uint8 of shape (height, width, 3)."""
    cv2 = import_opencv()
    ends = rng.uniform(40, 220) + rng.uniform(-25, 25, (2, 3))
    slope = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    wall = (ends[0] + slope * (ends[1] - ends[0])) * np.ones((height, 1, 1))
    picture = np.ascontiguousarray(wall.clip(0, 255).astype(np.uint8))
    kind = int(rng.integers(3))
    for _ in range(int(rng.integers(8, 40)) if kind else 0):
        colour = tuple(int(channel) for channel in (rng.uniform(20, 230) + rng.uniform(-30, 30, 3)).clip(0, 255))
        x, y = int(rng.integers(width)), int(rng.integers(height))
        if kind == 1:
            across, down = (int(side) for side in rng.integers(10, height // 3, 2))
            cv2.rectangle(picture, (x, y), (x + across, y + down), colour, -1)
        else:
            cv2.circle(picture, (x, y), int(rng.integers(5, height // 8)), colour, -1)
    grain = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), rng.uniform(1, 8))
    textured = picture + rng.uniform(0, 10) * (grain / grain.std())[..., None]
    focus = rng.uniform(1, 4) if kind == 0 else rng.uniform(2, 12)
    return np.asarray(cv2.GaussianBlur(textured.clip(0, 255).astype(np.uint8), (0, 0), focus))


def _placed(middle: Floats, roll: float, zoom: float) -> Affine:
    """Maps a frame's pixels to those of the person's picture, whose middle is at ``middle``."""
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]]) / zoom
    return whole(np.column_stack([turn, SIZE / 2 - turn @ middle]))

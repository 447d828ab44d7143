"""Draws shaded faces from parameters, and the people and scenes of the embedded data set.

Nothing here is fitted to or copied from a picture of a real person. A face is an ellipsoid with bumps
(nose, eye sockets, lips, cheeks). It has Lambert shading with a Phong highlight (Phong 1975,
"Illumination for computer generated pictures") and a texture of band-limited noise.
Pictures are float arrays of shape (size, size, 3), RGB in 0..1.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
FAINTEST = 1e-19  # what covers less than this share of a value above 0.01 leaves all its bits as they are

SKIN_TONES = np.array(
    [
        [0.93, 0.77, 0.68],
        [0.87, 0.68, 0.56],
        [0.78, 0.58, 0.44],
        [0.65, 0.46, 0.33],
        [0.50, 0.34, 0.24],
        [0.37, 0.25, 0.19],
    ]
)
HAIR_TONES = np.array(
    [
        [0.10, 0.08, 0.07],
        [0.24, 0.15, 0.10],
        [0.42, 0.27, 0.15],
        [0.71, 0.56, 0.33],
        [0.52, 0.22, 0.11],
        [0.62, 0.61, 0.60],
    ]
)
IRIS_TONES = np.array([[0.24, 0.14, 0.08], [0.30, 0.42, 0.52], [0.32, 0.40, 0.22], [0.40, 0.28, 0.14]])


@dataclass(frozen=True)
class Identity:
    """The features of a person. Lengths are in units of half the face's height."""

    skin: Array
    hair: Array
    iris: Array
    lips: Array
    width: float
    jaw: float
    eye_gap: float
    eye_width: float
    eye_height: float
    brow_height: float
    brow_weight: float
    brow_tilt: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_height: float
    hairline: float
    hair_length: float
    beard: float
    freckles: float
    texture_seed: int
    mottle: float = 0.09  # how much the texture changes the colour of the skin


@dataclass(frozen=True)
class Scene:
    """The place, light and camera of a video. They are the same for all its frames."""

    backdrop: Array
    clothes: Array
    light_azimuth: float
    light_height: float
    light_strength: float
    ambient: float
    tint: Array
    noise: float
    focus: float
    scale: float
    quality: int
    wrap: float = 0.0  # how far light reaches behind the edge of a shadow: 0 for a lamp, 1 for an overcast sky
    shadow: Array | float = 1.0  # the colour of the light that fills shadows
    gloss: float = 0.13  # the strength of highlights on skin


@dataclass(frozen=True)
class Shot:
    """What changes from frame to frame: pose and expression. Lengths are in units of half the picture's width."""

    x: float
    y: float
    roll: float
    yaw: float
    scale: float
    mouth_open: float
    smile: float
    brow_raise: float
    eye_open: float
    light_azimuth: float


@dataclass(frozen=True)
class Drawing:
    """A drawn picture and the face coordinates of its pixels.

    ``u`` runs across the face (1 at its edge), ``v`` runs down it (-1 at the forehead, 1 at the chin).
    Both have shape (size, size). They move with the pose, so masks fit any frame.
    """

    picture: Array
    u: Array
    v: Array


def draw_identity(rng: np.random.Generator) -> Identity:
    """Draws one person's features at random."""
    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    low = int(tone)
    skin = SKIN_TONES[low] + (tone - low) * (SKIN_TONES[min(low + 1, len(SKIN_TONES) - 1)] - SKIN_TONES[low])
    skin = np.clip(skin + rng.normal(0, 0.015, 3), 0.1, 0.97)
    return Identity(
        skin=skin,
        hair=np.clip(HAIR_TONES[rng.integers(len(HAIR_TONES))] + rng.normal(0, 0.03, 3), 0.03, 0.9),
        iris=IRIS_TONES[rng.integers(len(IRIS_TONES))],
        lips=np.clip(skin * np.array([0.92, 0.62, 0.62]) + rng.normal(0, 0.03, 3), 0.05, 0.9),
        width=rng.uniform(0.70, 0.86),
        jaw=rng.uniform(0.10, 0.34),
        eye_gap=rng.uniform(0.29, 0.37),
        eye_width=rng.uniform(0.13, 0.18),
        eye_height=rng.uniform(0.055, 0.085),
        brow_height=rng.uniform(0.15, 0.21),
        brow_weight=rng.uniform(0.025, 0.055),
        brow_tilt=rng.uniform(-0.15, 0.25),
        nose_width=rng.uniform(0.09, 0.15),
        nose_length=rng.uniform(0.24, 0.36),
        mouth_width=rng.uniform(0.22, 0.34),
        lip_height=rng.uniform(0.05, 0.09),
        hairline=rng.uniform(-0.78, -0.52),
        hair_length=rng.uniform(-0.4, 1.2),
        beard=max(0.0, rng.uniform(-0.5, 0.5)),
        freckles=max(0.0, rng.uniform(-0.4, 0.5)),
        texture_seed=int(rng.integers(2**31)),
    )


def draw_scene(rng: np.random.Generator, size: int) -> Scene:
    """Draws one video's room, light and camera at random."""
    y, x = pixel_grid(size)
    ends = rng.uniform(0.1, 0.85, (2, 1)) + rng.normal(0, 0.08, (2, 3))
    mix = np.clip(0.5 + 0.5 * (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1)), 0, 1)[..., None]
    backdrop = ends[0] * (1 - mix) + ends[1] * mix
    for _ in range(rng.integers(2, 9)):  # shelves, frames, windows
        left, top = rng.uniform(-1.1, 0.8, 2)
        inside = (x > left) & (x < left + rng.uniform(0.1, 0.9)) & (y > top) & (y < top + rng.uniform(0.05, 0.9))
        backdrop[inside] = 0.35 * backdrop[inside] + 0.65 * (rng.uniform(0.1, 0.85) + rng.normal(0, 0.1, 3))
    backdrop = ndimage.gaussian_filter(backdrop, (rng.uniform(0.3, 3.0),) * 2 + (0,))
    backdrop += rng.uniform(0.0, 0.12) * band_noise(rng, size, 4)[..., None]
    backdrop += rng.uniform(0.0, 0.10) * band_noise(rng, size, 2)[..., None]
    return Scene(
        backdrop=np.clip(backdrop, 0, 1),
        clothes=np.clip(rng.uniform(0.1, 0.8) + rng.normal(0, 0.12, 3), 0.03, 0.95),
        light_azimuth=rng.uniform(-1.1, 1.1),
        light_height=rng.uniform(0.1, 0.9),
        light_strength=rng.uniform(0.45, 0.75),
        ambient=rng.uniform(0.35, 0.55),
        tint=1 + rng.normal(0, 0.04, 3),
        noise=rng.uniform(0.006, 0.040),
        focus=rng.uniform(0.0, 0.6),
        scale=rng.uniform(0.58, 0.74),
        quality=int(rng.integers(72, 97)),
    )


def draw_shot(rng: np.random.Generator) -> Shot:
    """Draws one frame's pose and expression at random."""
    return Shot(
        x=rng.normal(0, 0.05),
        y=rng.normal(0.02, 0.04),
        roll=rng.normal(0, 0.08),
        yaw=rng.normal(0, 0.16),
        scale=rng.normal(1, 0.03),
        mouth_open=max(0.0, rng.normal(0.25, 0.35)),
        smile=rng.normal(0.1, 0.5),
        brow_raise=rng.normal(0, 0.4),
        eye_open=float(np.clip(rng.normal(0.95, 0.2), 0.15, 1.3)),
        light_azimuth=rng.normal(0, 0.06),
    )


def with_expression(shot: Shot, other: Shot) -> Shot:
    """The first shot's pose and light with the other shot's expression."""
    return replace(
        shot,
        mouth_open=other.mouth_open,
        smile=other.smile,
        brow_raise=other.brow_raise,
        eye_open=other.eye_open,
    )


def render(person: Identity, scene: Scene, shot: Shot, size: int) -> Drawing:
    """Draws a person in a scene, without sensor noise."""
    y, x = pixel_grid(size)
    scale = scene.scale * shot.scale
    cos, sin = np.cos(shot.roll), np.sin(shot.roll)
    across, down = x - shot.x, y - shot.y
    u_face = (across * cos + down * sin) / scale
    v = (down * cos - across * sin) / scale
    edge = 2.5 / (size * scale)  # the softness of one pixel, in face units

    half_width = person.width * (1 - person.jaw * np.clip(v, 0, 1.2) ** 2)
    u = u_face / half_width
    radius = np.sqrt(u**2 + v**2)
    skin_mask = smooth_step(1 - radius, edge)

    dome = np.sqrt(np.clip(1 - 0.9 * np.minimum(radius, 1) ** 2, 0, 1))
    uf = u_face - shot.yaw * dome  # features shift sideways when the head turns
    eye_v = -0.12
    nose_v = eye_v + person.nose_length
    mouth_v = 0.50 + 0.04 * shot.mouth_open
    mouth_curve = mouth_v - 0.35 * shot.smile * (uf**2 - 0.02)

    # relief, in face units, and its lighting
    relief = 0.42 * dome
    relief += 0.10 * _bump(uf / person.nose_width) * _bump((v - nose_v + 0.10) / 0.20)
    relief += 0.05 * _bump(uf / (1.3 * person.nose_width)) * _bump((v - nose_v) / 0.07)
    for side in (-1, 1):
        relief -= 0.05 * _bump((uf - side * person.eye_gap) / 0.16) * _bump((v - eye_v) / 0.11)
        relief += 0.03 * _bump((uf - side * 0.42) / 0.16) * _bump((v - 0.22) / 0.16)
        fold = uf - side * (0.20 + 0.22 * (v - 0.2))
        relief -= (0.012 + 0.012 * max(shot.smile, 0)) * _bump(fold / 0.03) * _bump((v - 0.36) / 0.14)
    relief += 0.03 * _bump(uf / person.mouth_width) * _bump((v - mouth_v) / 0.09)
    relief += 0.035 * _bump(uf / 0.16) * _bump((v - 0.82) / 0.10)
    texture = _skin_texture(person, uf, v)
    relief += 0.004 * texture
    step = 2 / (size * scale)
    slope_y, slope_x = np.gradient(relief, step)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    azimuth = scene.light_azimuth + shot.light_azimuth
    light = np.array([np.sin(azimuth), -scene.light_height, np.cos(azimuth)])
    light /= np.linalg.norm(light)
    facing = (-slope_x * light[0] - slope_y * light[1] + light[2]) / length
    facing = np.clip((facing + scene.wrap) / (1 + scene.wrap), 0, 1)
    half = light + np.array([0, 0, 1.0])
    half /= np.linalg.norm(half)
    gloss = np.clip((-slope_x * half[0] - slope_y * half[1] + half[2]) / length, 0, 1) ** 24
    shade = (scene.ambient * scene.shadow + scene.light_strength * facing[..., None]) * scene.tint

    # albedo
    blush = np.zeros_like(u)
    for side in (-1, 1):
        blush = blush + _bump((uf - side * 0.40) / 0.2) * _bump((v - 0.25) / 0.18)
    albedo = person.skin * (1 + person.mottle * texture[..., None])
    albedo = albedo * (1 - 0.10 * blush[..., None] * np.array([0.0, 1.0, 0.9]))
    stubble = person.beard * smooth_step(v - 0.28 + 0.12 * np.cos(6 * uf), 0.12) * (0.75 + 0.5 * texture)
    _cover(albedo, person.hair, 0.55 * np.clip(stubble, 0, 1))

    for side in (-1, 1):
        eu = (uf - side * person.eye_gap) / person.eye_width
        ev = v - eye_v
        lid = person.eye_height * shot.eye_open * np.clip(1 - eu**2, 0, 1)
        socket = _bump(eu / 1.2) * _bump(ev / 0.12)
        _cover(albedo, person.skin * 0.62, 0.45 * socket)
        opening = smooth_step(lid - np.abs(ev), edge) * (np.abs(eu) < 1)
        _cover(albedo, np.array([0.92, 0.90, 0.88]), opening)
        iris_r = np.sqrt((eu * person.eye_width - 0.3 * shot.yaw * 0.2) ** 2 + ev**2) / 0.068
        _cover(albedo, person.iris, opening * smooth_step(1 - iris_r, 0.25))
        _cover(albedo, np.array([0.03, 0.03, 0.03]), opening * smooth_step(0.45 - iris_r, 0.2))
        lash = _bump((np.abs(ev + 0.2 * lid) - lid) / 0.018) * (np.abs(eu) < 1.05)
        _cover(albedo, person.hair * 0.4, 0.75 * lash * (ev < 0.01))
        brow_v = eye_v - person.brow_height - 0.04 * shot.brow_raise
        slope = 0.35 * person.brow_tilt * (0.16 - side * (uf - side * person.eye_gap))
        brow = v - brow_v - slope + 0.0064 * eu**2
        hairs = smooth_step(person.brow_weight - np.abs(brow), 1.5 * edge) * (np.abs(eu) < 1.35)
        _cover(albedo, person.hair * 0.7, np.clip(hairs * (0.75 + 0.45 * texture), 0, 1))
        nostril = _bump((uf - side * 0.6 * person.nose_width) / 0.035) * _bump((v - nose_v - 0.035) / 0.022)
        _cover(albedo, person.skin * 0.25, 0.8 * nostril)

    mu = uf / (person.mouth_width * (1 + 0.12 * shot.smile))
    lens = np.clip(1 - mu**2, 0, 1)
    gap = 0.10 * shot.mouth_open * lens
    mv = v - mouth_curve
    lip = smooth_step(person.lip_height * lens + gap - np.abs(mv), 1.5 * edge) * (np.abs(mu) < 1)
    _cover(albedo, person.lips * (1 + 0.08 * texture[..., None]), lip)
    inside = smooth_step(gap - np.abs(mv), edge) * (np.abs(mu) < 1)
    _cover(albedo, np.array([0.12, 0.05, 0.05]), inside)
    teeth = inside * smooth_step(0.35 * gap - (mv + 0.35 * gap), edge) * (0.85 + 0.15 * np.cos(90 * uf))
    _cover(albedo, np.array([0.88, 0.86, 0.82]), np.clip(teeth, 0, 1) * min(1.0, 2 * shot.mouth_open))
    line = _bump(mv / 0.014) * (np.abs(mu) < 1) * (1 - inside)
    _cover(albedo, person.lips * 0.35, 0.7 * line)

    skin = albedo * shade + scene.gloss * gloss[..., None] * (1 - 0.5 * lip[..., None])

    # layers, back to front
    picture = scene.backdrop * scene.tint
    strands = _strands(person, u_face, v)
    hair = person.hair * (0.9 + 0.25 * strands[..., None]) * (0.5 + 0.6 * shade)
    crown = np.sqrt((u_face / (1.16 * person.width)) ** 2 + (np.minimum(v, 0) / 1.17) ** 2)
    back_hair = smooth_step(1 - crown, edge) * smooth_step(person.hair_length - v, 0.08)
    _cover(picture, hair * 0.8, back_hair)
    neck = smooth_step(0.62 * person.width - np.abs(u_face), edge) * (v > 0.2)
    _cover(picture, person.skin * shade * (0.55 + 0.15 * np.clip(v - 0.9, 0, 1))[..., None], neck)
    shoulder = 1.12 + 0.35 * np.clip(np.abs(u_face) - 0.35, 0, 3) ** 1.4
    cloth = scene.clothes * (0.75 + 0.25 * facing[..., None]) * (1 + 0.12 * strands[..., None])
    _cover(picture, cloth, smooth_step(v - shoulder, edge))
    _cover(picture, skin, skin_mask)
    fringe = person.hairline + 0.5 * u_face**2 + 0.05 * strands
    _cover(picture, hair, smooth_step(1 - crown, edge) * smooth_step(fringe - v, 0.04))
    picture = ndimage.gaussian_filter(picture, (scene.focus, scene.focus, 0))
    return Drawing(np.clip(picture, 0, 1), u, v)


def add_sensor_noise(picture: Array, noise: float, rng: np.random.Generator) -> Array:
    """Adds camera noise: grey with standard deviation ``noise`` in 0..1, and colour with a third of that."""
    grey = rng.normal(0, noise, picture.shape[:2])[..., None]
    return np.clip(picture + grey + rng.normal(0, noise / 3, picture.shape), 0, 1)


def pixel_grid(size: int) -> tuple[Array, Array]:
    line = (np.arange(size) + 0.5) / size * 2 - 1
    y, x = np.meshgrid(line, line, indexing="ij")
    return y, x


def smooth_step(distance: Array, softness: float) -> Array:
    """0 outside, 1 inside, and smooth over ``softness`` on either side of the edge."""
    t = np.clip(0.5 + 0.5 * distance / softness, 0, 1)
    return t * t * (3 - 2 * t)


def _bump(distance: Array) -> Array:
    return np.exp(-(distance**2))


def _cover(under: Array, over: Array, alpha: Array) -> None:
    """Draws ``over``, a picture or a colour, on ``under``, of shape (size, size, 3), as far as ``alpha`` says."""
    shown = alpha > FAINTEST
    rows, columns = (np.flatnonzero(shown.any(axis)) for axis in (1, 0))
    if len(rows):
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        part = under[box]
        part += ((over[box] if over.ndim == 3 else over) - part) * alpha[box][..., None]


def band_noise(rng: np.random.Generator, size: int, grain: float) -> Array:
    """Noise of unit variance whose details are about ``grain`` pixels wide."""
    field = ndimage.gaussian_filter(rng.normal(0, 1, (size, size)), grain / 2, mode="wrap")
    normed: Array = field / field.std()
    return normed


def _skin_texture(person: Identity, u: Array, v: Array) -> Array:
    """Pores, blotches and freckles. They are fixed to the face and move with it."""
    return _sample(_skin_map(person.texture_seed, person.freckles), u, v)


def _strands(person: Identity, u: Array, v: Array) -> Array:
    return _sample(_strand_map(person.texture_seed), u * (1.4 + 0.4 * v), v)


@lru_cache(8)
def _skin_map(seed: int, freckles: float) -> Array:
    rng = np.random.default_rng(seed)
    side = 256
    pores = band_noise(rng, side, 2.6) + 0.8 * band_noise(rng, side, 5) + 0.5 * band_noise(rng, side, 24)
    spots = np.clip(band_noise(rng, side, 4) - 1.7, 0, None)
    return 0.6 * pores - 2.0 * freckles * spots


@lru_cache(8)
def _strand_map(seed: int) -> Array:
    rng = np.random.default_rng(seed + 1)
    streaks = ndimage.gaussian_filter(rng.normal(0, 1, (256, 256)), (9, 0.9), mode="wrap")
    normed: Array = streaks / streaks.std()
    return normed


def _sample(texture: Array, u: Array, v: Array) -> Array:
    side = texture.shape[0]
    where = np.stack([(v + 1.3) / 2.6 * side, (u + 1.3) / 2.6 * side])
    sampled: Array = ndimage.map_coordinates(texture, where, order=1, mode="grid-wrap")
    return sampled

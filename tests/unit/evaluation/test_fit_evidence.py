"""The bounds of likelihood ratios: what few groups can show, and how certain a calibration is."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from deepfake_detection.evaluation import fit_video_score as films
from deepfake_detection.evaluation.calibration import fit_platt
from deepfake_detection.evaluation.fit_evidence import bounds, fit_evidence
from deepfake_detection.evaluation.likelihood_ratios import cross_entropy, group_weights
from deepfake_detection.network.sidecar import Evidence
from deepfake_detection.params.score_sections import Calibrate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def frames(groups: int, each: int, apart: float, seed: int) -> tuple[Floats, Ints, pd.Series]:
    """Logits of ``each`` frames of each class in a group, which have half of their variance in common."""
    rng = np.random.default_rng(seed)
    common = np.sqrt(0.5) * (rng.normal(size=(groups, 2, 1)) + rng.normal(size=(groups, 2, each)))
    labels = np.broadcast_to([[0], [1]], common.shape)
    units = pd.Series(np.broadcast_to(np.arange(groups)[:, None, None], common.shape).ravel())
    return (common + apart * (labels - 0.5)).ravel(), labels.ravel().astype(np.int64), units


def evidence(logits: Floats, labels: Ints, units: pd.Series, prior: float = 0.5) -> Evidence:
    found = fit_evidence(logits, labels, units, prior)
    assert found is not None
    return found


@pytest.mark.parametrize("groups", [3, 9, 60])
def test_ratios_without_an_error_are_bounded_by_the_number_of_groups(groups: int) -> None:
    labels = np.repeat([0, 1], groups * 5)
    log10 = np.where(labels == 1, 6.0, -6.0)
    weights = group_weights(labels, np.tile(np.repeat(np.arange(groups), 5), 2))
    # one more misleading observation in each class: at the threshold t it costs (1 + t) / (groups + 1)
    assert bounds(log10, labels, weights) == pytest.approx((-np.log10(groups), np.log10(groups)))
    # a thousand frames of nine groups are still nine observations
    assert bounds(np.repeat(log10, 20), np.repeat(labels, 20), np.repeat(weights, 20) / 20) == pytest.approx(
        bounds(log10, labels, weights)
    )


@pytest.mark.parametrize("seed", range(6))
def test_bounds_are_where_acting_on_ratios_begins_to_cost_more_than_ignoring_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], (20, 35))
    log10 = rng.normal(labels - 0.4, 0.7)
    weights = rng.uniform(0.2, 1, len(labels))
    fakes, originals = weights[labels == 1].sum(), weights[labels == 0].sum()
    grid = np.linspace(-4, 4, 8001)
    cost = [
        (1 + weights[(labels == 1) & (log10 <= at)].sum()) / (1 + fakes)
        + 10**at * (1 + weights[(labels == 0) & (log10 > at)].sum()) / (1 + originals)
        for at in grid
    ]
    worse = np.array(cost) > np.minimum(1, 10**grid)
    expected = (grid[(grid <= 0) & worse].max(), grid[(grid >= 0) & worse].min())
    assert bounds(log10, labels, weights) == pytest.approx(expected, abs=2e-3)


def test_ratios_are_measured_on_groups_that_they_were_not_fitted_on() -> None:
    logits, labels, units = frames(6, 8, 1.5, seed=5)
    log10 = np.empty(len(logits))
    for unit in units.unique():
        out = (units == unit).to_numpy()
        temperature, bias = fit_platt(logits[~out], labels[~out])
        log10[out] = (logits[out] / temperature + bias) / np.log(10)
    weights = np.full(len(logits), 1 / 8)
    found = evidence(logits, labels, units)
    assert (found.lower, found.upper) == bounds(log10, labels, weights)
    assert found.cllr == pytest.approx(cross_entropy(log10.clip(found.lower, found.upper), labels, weights))
    # what tells nothing has no ratio worth naming
    useless = [evidence(*frames(6, 8, 0.0, seed)) for seed in range(8)]
    assert np.mean([each.cllr for each in useless]) == pytest.approx(1, abs=0.015)
    assert max(each.upper - each.lower for each in useless) < 0.5  # from 1/1.8 to 1.8


def test_the_prior_is_no_part_of_a_ratio() -> None:
    rows = frames(200, 2, 2.0, seed=2)
    even, rare = evidence(*rows), evidence(*rows, 0.1)
    assert rare.cllr == pytest.approx(even.cllr, abs=0.02)
    assert [rare.lower, rare.upper] == pytest.approx([even.lower, even.upper], abs=0.2)


def test_the_spread_is_that_of_calibrations_by_other_groups() -> None:
    fits, spreads = [], []
    for seed in range(60):
        rows = frames(40, 5, 2.0, seed)
        temperature, bias = fit_platt(*rows[:2])
        fits.append((1 / temperature, bias))
        spreads.append(evidence(*rows).spread)
    slope, _, of_bias = np.mean(spreads, axis=0)
    assert [slope, of_bias] == pytest.approx(np.var(fits, axis=0), rel=0.5)


def test_too_few_groups_have_no_evidence() -> None:
    logits, labels, units = frames(4, 5, 3.0, seed=0)
    assert isinstance(fit_evidence(logits, labels, units, 0.5), Evidence)
    for kept in (labels == 1, labels == 0, units < 2, (labels == 1) | (units < 2)):
        kept = np.asarray(kept)
        assert fit_evidence(logits[kept], labels[kept], units[kept].reset_index(drop=True), 0.5) is None


def test_whole_videos_have_the_evidence_of_the_people_in_their_films(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "FILMS", 40)
    logits, labels, units = frames(24, 6, 4.0, seed=3)
    names = units.map("{:03}".format)
    rows = pd.DataFrame(
        {"dataset": "own", "category": np.where(labels == 1, "Deepfakes", "Original"), "video_id": names}
    )
    rows = rows.assign(source_id="", group="own/" + names, label=labels, logit=logits)
    read = films.fit_readings(rows, Calibrate(threshold=0.5, alarms=0.1, prior=0.5, familiarity=None))
    frame, film = read.frame.evidence, read.score.reading.evidence
    assert frame is not None
    assert film is not None
    assert (frame.originals, frame.fakes) == (24, 24)
    assert (film.originals, film.fakes) == (12, 24)  # two people on average, and one is enough for a false alarm
    assert 0 < film.upper <= np.log10(13)
    assert read.video.evidence is None

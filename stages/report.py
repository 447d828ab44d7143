"""Writes the report on the trained model: one HTML page and a Markdown model card."""

import json
from pathlib import Path
from typing import Any

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.index.tables import read_predictions
from deepfake_detection.network.sidecar import read_sidecar
from deepfake_detection.params.load import load_params
from deepfake_detection.reporting.report import PLOTS, ROBUSTNESS_PLOTS, build_context, render_card, render_html
from stages import run

METRICS, RAW, REPORT = Path("metrics"), Path("data/raw"), Path("report")


def main() -> None:
    params = load_params()
    test = _read(METRICS / "test.json")
    predictions = read_predictions(Path("data/predictions.csv"))
    context = build_context(
        index=_read(METRICS / "index.json"),
        split=_read(METRICS / "split.json"),
        train=_read(METRICS / "train.json"),
        test=test,
        sidecar=read_sidecar(Path(f"models/best_model_{params.model.arch}.json")),
        predictions=predictions,
        raw=RAW,
        pictures={name: METRICS / "plots" / f"{name}.png" for name in PLOTS}
        | {name: METRICS / "robustness" / f"{name}.png" for name in ROBUSTNESS_PLOTS}
        | {"leak_audit": Path("data/leak_audit.png")},
        robustness=_read(METRICS / "robustness.json"),
        origin=_read(RAW / "source.json"),
    )
    with replacing(REPORT / "report.html", REPORT / "model_card.md") as (page, card):
        page.write_text(render_html(context), encoding="utf-8", newline="\n")
        card.write_text(render_card(context), encoding="utf-8", newline="\n")
    print(f"report: {REPORT / 'report.html'}, {REPORT / 'model_card.md'}")


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not there; run `dvc repro report`, which makes it first") from None
    except ValueError:
        raise UserError(f"{path}: not JSON; remove it and run `dvc repro report`") from None
    return content


if __name__ == "__main__":
    run(main)

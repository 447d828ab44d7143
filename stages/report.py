"""Writes the report on the trained model: a page, a model card, and test results that stay beside the checkpoint."""

import json
from pathlib import Path
from typing import Any

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.tables import read_predictions
from deepfake_detection.inference.tested import results_file, summarised, write_tested
from deepfake_detection.network.sidecar import read_sidecar
from deepfake_detection.params.load import load_params
from deepfake_detection.reporting.report import PLOTS, ROBUSTNESS_PLOTS, build_context, render_card, render_html
from stages import run

METRICS, RAW, REPORT = Path("metrics"), Path("data/raw"), Path("report")


def main() -> None:
    params = load_params()
    checkpoint = Path(f"models/best_model_{params.model.arch}.pth")
    split, test = _read(METRICS / "split.json"), _read(METRICS / "test.json")
    robustness, origin = _read(METRICS / "robustness.json"), _read(RAW / "source.json")
    predictions = read_predictions(Path("data/predictions.csv"))
    context = build_context(
        index=_read(METRICS / "index.json"),
        split=split,
        train=_read(METRICS / "train.json"),
        test=test,
        sidecar=read_sidecar(checkpoint.with_suffix(".json")),
        predictions=predictions,
        raw=RAW,
        pictures={name: METRICS / "plots" / f"{name}.png" for name in PLOTS}
        | {name: METRICS / "robustness" / f"{name}.png" for name in ROBUSTNESS_PLOTS}
        | {"leak_audit": Path("data/leak_audit.png")},
        robustness=robustness,
        origin=origin,
    )
    with replacing(REPORT / "report.html", REPORT / "model_card.md") as (page, card):
        page.write_text(render_html(context), encoding="utf-8", newline="\n")
        card.write_text(render_card(context), encoding="utf-8", newline="\n")
    write_tested(results_file(checkpoint), summarised(checkpoint, origin, split, test, robustness))
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

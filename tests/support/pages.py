"""The page of ``deepfake-detect serve`` with a result, without a server."""

from typing import Any

from deepfake_detection.network.sidecar import UNCALIBRATED, Sidecar
from deepfake_detection.reporting.html import template_environment
from deepfake_detection.serving.validation import alarms_by_kind
from deepfake_detection.serving.web.server import PACKAGE
from deepfake_detection.serving.words import is_calibrated, not_meant, unseen_words


def page_of(result: dict[str, Any], sidecar: Sidecar) -> str:
    """The page's HTML for what ``view.shown`` gave."""
    page = template_environment(PACKAGE, autoescape=True).get_template("page.html.jinja")
    about: dict[str, Any] = {
        "threshold": "50%",
        "prior": "50%",
        "max_mb": 1,
        "max_bytes": 10**6,
        "error": "",
        "case_files": True,
    }
    about |= {"unseen": unseen_words(None), "not_meant": not_meant(sidecar, None), "guessing": ""}
    about |= {"uncalibrated": UNCALIBRATED, "alarms": alarms_by_kind(None)}
    about |= {"calibrated": is_calibrated(sidecar), "checkpoint": "b0.pth", "name": "a"}
    return page.render(about, sidecar=sidecar, result={"credentials": None} | result)

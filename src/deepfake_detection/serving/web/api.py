"""What a program gets from ``deepfake-detect serve``: results as JSON, errors as problems, and a description of both.

Errors are those of RFC 9457, Problem Details for HTTP APIs.
"""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from starlette.responses import JSONResponse, Response

from deepfake_detection.serving.credentials import Anchors, Credentials, credential_fields
from deepfake_detection.serving.results import fields_of, prediction_schemas

PREFIX = "/api/"
PREDICT, OPENAPI, HEALTH = "/api/v1/predict", "/api/v1/openapi.json", "/healthz"
PROBLEM = "application/problem+json"
STATUSES = {
    400: "No file was sent, or it is not in the field named file, or the form cannot be read.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another site.",
    408: "The file did not arrive in time.",
    413: "The file is larger than the limit.",
    421: "The host is not one of this server's names.",
    422: "The file cannot be read, or judging it took too long or too much memory.",
    500: "The checkpoint cannot be used.",
    503: "Too many files are waiting. Retry-After says when to try again.",
    507: "The server has no space to keep the file while it is judged.",
}


def problem(status: int, detail: str) -> Response:
    """An error as a problem: its status, what that means in general, and what was wrong here."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(content, status, media_type=PROBLEM)


def predict(
    checkpoint: Path, path: Path, device: str | None, threshold: float | str | None, anchors: Anchors | None = None
) -> dict[str, Any]:
    """The fields of the prediction for a file, without its path, and its Content Credentials.

    Runs in the process that holds the network. Raises UnreadableImageError as ``view.values_of`` does.
    """
    from deepfake_detection.pictures.images import UnreadableImageError
    from deepfake_detection.serving.view import detector_of

    detector = detector_of(checkpoint, device, threshold)
    found = detector.predict(path)
    if found.failed:
        raise UnreadableImageError(found.reason)
    return fields_of(found) | {"path": ""} | detector.about(found) | credential_fields(path, anchors)


def openapi(version: str, max_mb: int, token: bool) -> dict[str, Any]:
    """The description of the API in OpenAPI 3.1, with the schemas of the types that the answers are made of."""
    schema, schemas = prediction_schemas("#/components/schemas/{model}")
    text, number = {"type": "string"}, {"type": "integer"}
    threshold = {"anyOf": [{"type": "number"}, {"type": "null"}]}
    found = TypeAdapter(Credentials | None)
    credentials = found.json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    schemas |= credentials.pop("$defs")
    about = {"model": text, "threshold": threshold, "version": text}  # see Detector.about
    about["credentials"] = credentials
    schema = {"allOf": [schema, {"type": "object", "properties": about, "required": list(about)}]}
    schemas["Problem"] = {
        "type": "object",
        "properties": {"type": text, "title": text, "status": number, "detail": text},
        "required": ["type", "title", "status", "detail"],
    }
    problems = {
        str(status): {
            "description": words,
            "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, words in STATUSES.items()
    }
    binary = {"type": "string", "format": "binary", "minLength": 1}
    form = {"type": "object", "properties": {"file": binary}, "required": ["file"]}
    always = {status: problems[status] for status in ("401", "403", "421")}

    def answers(description: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"200": {"description": description, "content": {"application/json": {"schema": schema}}}}

    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "deepfake-detect",
            "version": version,
            "description": f"Judges a picture or a video of at most {max_mb} MB. Nothing is kept.",
        },
        "paths": {
            PREDICT: {
                "post": {
                    "operationId": "predict",
                    "summary": "Judge a picture or a video",
                    "description": "Send it as the body, or as the field named file of a form.",
                    "requestBody": {
                        "required": True,
                        "content": {
                            "multipart/form-data": {"schema": form},
                            "application/octet-stream": {"schema": binary},
                        },
                    },
                    "responses": answers("What the network says of it.", schema) | problems,
                }
            },
            HEALTH: {
                "get": {
                    "operationId": "health",
                    "summary": "Whether the server answers",
                    "security": [],
                    "responses": answers("It does.", {"type": "object", "properties": {"status": {"const": "ok"}}})
                    | {status: problems[status] for status in ("421",)},
                }
            },
            OPENAPI: {
                "get": {
                    "operationId": "openapi",
                    "summary": "This description",
                    "responses": answers("In OpenAPI 3.1.", {"type": "object"}) | always,
                }
            },
        },
        "components": {"schemas": schemas},
    }
    if token:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
    return described

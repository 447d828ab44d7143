"""Used by both the report and the web page: the setup of their templates, and pictures inside a page."""

import base64
import io
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image


def template_environment(package: str, **options: Any) -> Environment:
    """The Jinja environment for the templates in a package's folder ``templates``. A missing value is an error."""
    return Environment(  # noqa: S701, the caller chooses the escaping
        loader=PackageLoader(package, "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        **options,
    )


def data_uri(picture: Image.Image | bytes, form: str, **options: Any) -> str:
    """A picture as a data: URI. ``form`` is JPEG or PNG, and ``options`` are passed to Pillow's save.

    Bytes must already be a file in that format.
    """
    if isinstance(picture, Image.Image):
        file = io.BytesIO()
        picture.save(file, form, **options)
        picture = file.getvalue()
    return f"data:image/{form.lower()};base64,{base64.b64encode(picture).decode()}"

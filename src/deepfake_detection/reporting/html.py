"""What the report and the detector's page share: templates that escape, and pictures within a page."""

import base64
import io
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image


def template_environment(package: str, **options: Any) -> Environment:
    """Jinja's environment for the templates of a package's folder ``templates``; a missing value is an error."""
    return Environment(  # noqa: S701, the caller says what escapes
        loader=PackageLoader(package, "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        **options,
    )


def data_uri(picture: Image.Image | bytes, form: str, **options: Any) -> str:
    """A picture as a data: URI; ``form`` is JPEG or PNG, ``options`` are those of Pillow's save.

    Bytes are taken as a file of that form.
    """
    if isinstance(picture, Image.Image):
        file = io.BytesIO()
        picture.save(file, form, **options)
        picture = file.getvalue()
    return f"data:image/{form.lower()};base64,{base64.b64encode(picture).decode()}"

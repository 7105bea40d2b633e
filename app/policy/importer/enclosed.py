"""The text of an Alertmanager configuration in a file: the file itself, or a Kubernetes object around it."""

import base64
import binascii
import io
import re
import zlib
from gzip import GzipFile
from pathlib import Path
from typing import Any

from app.files import yaml_file
from app.files.yaml_file import MAX_BYTES, BadFile, Mistake

_KEYS = ("alertmanager.yaml", "alertmanager.yml", "alertmanager.yaml.gz", "config.yml")
_KINDS = ("Secret", "ConfigMap")
# A line that begins with an action of a template, or a value without quotes that does.
_ACTION = re.compile(r"^\s*(?:- *)?(?:[\w.-]+: *)?(\{\{|\{%)", re.MULTILINE)
_HINT = (
    "render it first, with `helm template` for instance, or take what runs: `amtool config show`"
)


def read_enclosed(path: Path) -> tuple[Path, bytes]:
    """The configuration's bytes, and how to name their file in a mistake.

    Of a Secret or a ConfigMap it is what stands under a key such as `alertmanager.yaml`; lines
    count from its own first. Raises BadFile.
    """
    data = yaml_file.bytes_of(path)
    document = _mapping_or_none(path, data)
    if document is None or document.get("kind") not in _KINDS:
        return path, data
    plain, encoded = document.get("stringData"), document.get("data")
    if document["kind"] == "ConfigMap":
        plain, encoded = encoded, document.get("binaryData")
    for texts, is_encoded in ((plain, False), (encoded, True)):
        key = next((key for key in _KEYS if isinstance(texts, dict) and key in texts), None)
        if key is not None and isinstance(texts, dict):
            return Path(f"{path}({key})"), _decoded(path, key, str(texts[key]), encoded=is_encoded)
    raise _refusal(
        path,
        f"is a {document['kind']} without a configuration, must have one of {', '.join(_KEYS)}",
    )


def _mapping_or_none(path: Path, data: bytes) -> dict[str, Any] | None:
    try:
        document = yaml_file.parse_mapping(path, data, "", as_written=True).data
    except BadFile:
        return None  # whoever reads the configuration says what is wrong
    return document if isinstance(document, dict) else None


def _decoded(path: Path, key: str, text: str, *, encoded: bool) -> bytes:
    if not encoded:
        return text.encode()
    try:
        data = base64.b64decode(text, validate=True)
        if key.endswith(".gz"):
            data = GzipFile(fileobj=io.BytesIO(data)).read(MAX_BYTES + 1)
    except (binascii.Error, ValueError, OSError, EOFError, zlib.error):
        packed = "gzip in base64" if key.endswith(".gz") else "base64"
        raise _refusal(path, f"has {key}, which is not {packed}") from None
    return data


def with_template_hint(refusal: BadFile, path: Path, data: bytes) -> BadFile:
    """The refusal of a file; with a hint where the file is the template of one."""
    text = data.decode(errors="replace")
    action = _ACTION.search(text)
    if action is None:
        return refusal
    line = text.count("\n", 0, action.start(1)) + 1
    problem = f"begins an action of a template here, so it is not yet a configuration; {_HINT}"
    return BadFile([Mistake(str(path), line, 1, "", problem), *refusal.mistakes])


def _refusal(path: Path, problem: str) -> BadFile:
    return BadFile([Mistake(str(path), 0, 0, "", problem)])

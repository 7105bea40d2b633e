"""How the log is written."""

from enum import StrEnum


class LogFormat(StrEnum):
    """The values of TOCSIN_LOG_FORMAT."""

    TEXT = "text"
    JSON = "json"

"""The key that signs one-tap links (TOCSIN_LINK_KEY). The notifier and the bridge need the same."""

from app.files.file_watcher import read_text, warn_of_readers
from app.notifier.replies.one_tap import SECRET_BYTES_MIN, OneTap
from app.settings import BadSettings

SETTING = "TOCSIN_LINK_KEY"


def one_tap_of(file: str) -> OneTap | None:
    """What signs links with the key in a file; None without one. Raises BadSettings."""
    if not file:
        return None
    key = read_text(SETTING, file).strip().encode()
    if len(key) < SECRET_BYTES_MIN:
        message = f"{SETTING} is {file!r}, which has {len(key)} bytes"
        raise BadSettings(
            f"{message}, must have {SECRET_BYTES_MIN} or more, such as openssl rand -hex 32 gives"
        )
    warn_of_readers(SETTING, file)
    return OneTap(key)

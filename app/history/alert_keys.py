"""The alerts whose senders end them by a key alone, by sender and key.

A second copy of what `AlertView` has, so that a key is looked up without reading every alert.
"""

import orjson

KEY, SENDER = "dedup_key", "sender"  # labels

_HINT = f'"{KEY}":'.encode()  # in the record of any alert that has a key

Place = tuple[str, str]  # sender and key


class AlertKeys:
    """Fingerprints of alerts that fire, by sender and key."""

    def __init__(self) -> None:
        self._place_of: dict[str, Place] = {}  # by fingerprint
        self._at_place: dict[Place, dict[str, None]] = {}

    def put(self, fingerprint: str, value: bytes) -> None:
        """Note the newest record of an alert that fires."""
        if _HINT not in value or fingerprint in self._place_of:
            return  # the labels of a fingerprint never change
        labels = orjson.loads(value)["labels"]
        if KEY in labels:
            place = labels.get(SENDER, ""), labels[KEY]
            self._place_of[fingerprint] = place
            self._at_place.setdefault(place, {})[fingerprint] = None

    def drop(self, fingerprint: str) -> None:
        """Forget an alert that does not fire any more."""
        place = self._place_of.pop(fingerprint, None)
        if place is not None:
            del self._at_place[place][fingerprint]
            if not self._at_place[place]:
                del self._at_place[place]

    def find(self, sender: str, key: str) -> str | None:
        """The fingerprint of the alert with this key that has fired longest; None if none fires."""
        return next(iter(self._at_place.get((sender, key), ())), None)

"""What has to stay in order: the deliveries of one contact and incident through one receiver. Pure."""

from bisect import insort

from app.notifier.ledger.delivery import Delivery, Leg


class Lanes:
    """Deliveries by contact, incident and receiver, oldest first."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str, str], list[Delivery]] = {}

    def add(self, delivery: Delivery, leg: Leg) -> None:
        """Put a delivery where its age has it."""
        insort(
            self._lanes.setdefault(_key(delivery, leg.receiver), []),
            delivery,
            key=lambda item: item.order,
        )

    def remove(self, delivery: Delivery, leg: Leg) -> None:
        """Take a delivery out, if it is there."""
        key = _key(delivery, leg.receiver)
        lane = self._lanes.get(key, [])
        if delivery in lane:
            lane.remove(delivery)
        if not lane:
            self._lanes.pop(key, None)

    def all_of(self, delivery: Delivery, receiver: str) -> list[Delivery]:
        """Everything in the lane of a delivery."""
        return list(self._lanes.get(_key(delivery, receiver), []))

    def head(self, delivery: Delivery, receiver: str) -> Delivery | None:
        """The delivery that is next in the lane; None while one of the lane is being sent."""
        lane = self._lanes.get(_key(delivery, receiver))
        if not lane or any(item.legs[receiver].sending for item in lane):
            return None
        return lane[0]


def _key(delivery: Delivery, receiver: str) -> tuple[str, str, str]:
    return (*delivery.request.story, receiver)

"""Which deliveries a receiver gets next: pages first, then by age; within its circuit and the limits of each contact. Pure."""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from app.notifier.channel import ChannelKind
from app.notifier.ledger.circuit import Circuit
from app.notifier.ledger.delivery import Attempt, Delivery, Rules, is_page
from app.notifier.ledger.lanes import Lanes
from app.notifier.ledger.limits import Limit, free_at_ms, pruned

Make = Callable[[tuple[Delivery, ...], str, int], Attempt]


@dataclass(slots=True)
class _Queue:
    """What waits for one receiver."""

    ready: list[tuple[int, int, Delivery]] = field(default_factory=list)  # a heap
    fresh: list[Delivery] = field(
        default_factory=list
    )  # of those, the ones that came since the circuit was looked at
    was_open: bool = False


@dataclass(slots=True)
class _Held:
    """What a contact does not get through a receiver now, because of a limit."""

    free_ms: int
    deliveries: list[Delivery] = field(default_factory=list)


class Queues:
    """The queues of all receivers."""

    def __init__(self, rules: Rules, circuits: Mapping[str, Circuit], lanes: Lanes) -> None:
        self._rules = rules
        self._circuits = circuits
        self._lanes = lanes
        self._queues = {name: _Queue() for name in circuits}
        self._held: dict[tuple[str, str], _Held] = {}  # by contact and receiver
        self._sends: dict[tuple[str, ChannelKind], list[int]] = {}  # by contact and kind, when
        self._limited: list[
            tuple[Delivery, str]
        ] = []  # urgent ones that a limit has held up since the last look

    def put(self, delivery: Delivery, receiver: str) -> None:
        """Queue the head of a lane, if it is not queued yet."""
        leg, queue = delivery.legs[receiver], self._queues[receiver]
        if leg.queued or leg.held:
            return
        leg.queued = True
        heapq.heappush(
            queue.ready, (0 if is_page(delivery.notification) else 1, delivery.order, delivery)
        )
        queue.fresh.append(delivery)

    def stuck(self) -> list[tuple[Delivery, str]]:
        """Pages whose receiver counts as down, each once."""
        stuck = []
        for receiver, queue in self._queues.items():
            is_open = self._circuits[receiver].open
            candidates = queue.fresh
            if is_open and not queue.was_open:
                candidates = [delivery for _, _, delivery in queue.ready]
            queue.fresh, queue.was_open = [], is_open
            if is_open:
                stuck += [
                    (candidate, receiver)
                    for candidate in candidates
                    if is_page(candidate.notification) and not candidate.settled
                ]
        return stuck

    def begin(self, now_ms: int, make: Make) -> list[Attempt]:
        """Attempts that may begin now; they count as being sent from here on."""
        attempts = []
        for receiver, queue in self._queues.items():
            while queue.ready and self._circuits[receiver].allows(now_ms):
                delivery = heapq.heappop(queue.ready)[2]
                delivery.legs[receiver].queued = False
                if self._may_begin(delivery, receiver, now_ms) and not self._is_held(
                    delivery, receiver, now_ms
                ):
                    attempts.append(self._start((delivery,), receiver, now_ms, make))
        for contact, receiver in [
            key for key, held in self._held.items() if held.free_ms <= now_ms
        ]:
            if self._circuits[receiver].allows(now_ms):
                attempts += self._release(contact, receiver, now_ms, make)
        return attempts

    def take_limited(self) -> list[tuple[Delivery, str]]:
        """The urgent deliveries that a limit has held up since the last call, each with the receiver."""
        limited, self._limited = self._limited, []
        return [(delivery, receiver) for delivery, receiver in limited if not delivery.settled]

    def times_ms(self, now_ms: int) -> Iterator[int]:
        """When more may begin than now."""
        for (_, receiver), held in self._held.items():
            at_ms = self._circuits[receiver].next_ms(now_ms)
            if held.free_ms > now_ms or at_ms is not None:
                yield max(held.free_ms, at_ms or 0)
        for receiver, queue in self._queues.items():
            at_ms = self._circuits[receiver].next_ms(now_ms)
            if queue.ready and at_ms is not None:
                yield at_ms

    def not_sent(self, attempt: Attempt) -> None:
        """An attempt was not accepted, so it does not count for the limits."""
        sends = self._sends.get(
            (attempt.deliveries[0].request.contact, self._rules.kinds[attempt.receiver]), []
        )
        if attempt.sent_ms in sends:
            sends.remove(attempt.sent_ms)

    def has_limit(self, receiver: str) -> bool:
        """Whether what goes through a receiver is limited."""
        return bool(self._limits(receiver))

    def sends_of(self, contact: str) -> dict[str, list[int]]:
        """When a contact was sent something, by kind; only what a limit counts."""
        return {
            str(kind): list(times)
            for (name, kind), times in self._sends.items()
            if name == contact and times
        }

    def restore(self, contact: str, sends: Mapping[str, list[int]]) -> None:
        """The same from an earlier owner."""
        for kind in ChannelKind:
            if kind in sends and kind in self._rules.limits:
                self._sends[contact, kind] = list(sends[kind])

    def _may_begin(self, delivery: Delivery, receiver: str, now_ms: int) -> bool:
        leg = delivery.legs[receiver]
        if delivery.settled or leg.ended or leg.sending or leg.held or leg.next_ms > now_ms:
            return False
        return self._lanes.head(delivery, receiver) is delivery

    def _is_held(self, delivery: Delivery, receiver: str, now_ms: int) -> bool:
        """Whether a limit holds a delivery up, which is then noted."""
        limits = self._limits(receiver)
        if not limits:
            return False
        contact = delivery.request.contact
        free_ms = free_at_ms(
            limits, self._sends.get((contact, self._rules.kinds[receiver]), []), now_ms
        )
        held = self._held.get((contact, receiver))
        if held is None and free_ms <= now_ms:
            return False
        held = self._held.setdefault((contact, receiver), _Held(free_ms))
        held.free_ms = free_ms
        held.deliveries.append(delivery)
        delivery.legs[receiver].held = True
        if delivery.urgent:
            self._limited.append((delivery, receiver))
        return True

    def _release(self, contact: str, receiver: str, now_ms: int, make: Make) -> list[Attempt]:
        """Send what a limit has held up: an urgent one by itself, else all of it as one."""
        held = self._held.pop((contact, receiver))
        live = [delivery for delivery in held.deliveries if not delivery.legs[receiver].ended]
        if not live:
            return []
        urgent = [delivery for delivery in live if delivery.urgent]
        chosen = urgent[:1] or self._with_followers(live, receiver)
        for delivery in chosen:
            delivery.legs[receiver].held = False
        attempt = self._start(tuple(chosen), receiver, now_ms, make)
        rest = [delivery for delivery in live if delivery not in chosen]
        if rest:
            limits, times = (
                self._limits(receiver),
                self._sends[contact, self._rules.kinds[receiver]],
            )
            self._held[contact, receiver] = _Held(free_at_ms(limits, times, now_ms), rest)
        return [attempt]

    def _with_followers(self, heads: list[Delivery], receiver: str) -> list[Delivery]:
        lanes = {
            delivery.order: delivery
            for head in heads
            for delivery in self._lanes.all_of(head, receiver)
        }
        return [lanes[order] for order in sorted(lanes)]

    def _start(
        self, deliveries: tuple[Delivery, ...], receiver: str, now_ms: int, make: Make
    ) -> Attempt:
        self._circuits[receiver].sending += 1
        for delivery in deliveries:
            delivery.legs[receiver].sending = True
        limits = self._limits(receiver)
        if limits:
            key = (deliveries[0].request.contact, self._rules.kinds[receiver])
            self._sends[key] = [*pruned(limits, self._sends.get(key, []), now_ms), now_ms]
        return make(deliveries, receiver, now_ms)

    def _limits(self, receiver: str) -> tuple[Limit, ...]:
        return self._rules.limits.get(self._rules.kinds[receiver], ())

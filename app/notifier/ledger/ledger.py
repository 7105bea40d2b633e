"""What is to be delivered, to whom next, and what came of it. Pure: time is an argument, randomness is handed in.

The ledger is told of requests (`accept`), of what was taken (`sent`) and of what was not (`failed`); it says what is to be sent
now (`due`) and when to ask again (`next_ms`). What it changes is in `changes`, by partition, to be written.

Order is kept for each lane: a contact, an incident and a receiver. Only the head of a lane is sent.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.notifier.ledger.circuit import Circuit, backoff_ms
from app.notifier.ledger.delivery import (
    Attempt,
    Changes,
    Delivery,
    Leg,
    Progress,
    Request,
    Rules,
    Story,
    is_page,
)
from app.notifier.ledger.digest import digest_of
from app.notifier.ledger.lanes import Lanes
from app.notifier.ledger.queues import Queues
from app.notifier.ledger.superseding import ended_by, may_have_rung, receivers_for, replaced_by
from models.events import Action, DeliveryState, Receipt

RETRY_MS = 1000  # after the first failure
RETRY_MS_MAX = 60_000
RETRY_AFTER_MS_MAX = 60 * 60_000  # that a receiver can ask for
PENDING_MAX = 2000  # for one contact; then the oldest that wakes nobody is dropped
STORY_MS = 14 * 24 * 60 * 60_000  # that is remembered of an incident after its last message
TIMERS_SPARE = 1000  # timers of what is settled, kept beside the others
STORIES_MAX = 50_000
ENDS_LONGER = 7  # times as long as the rest, `acknowledge` and `resolve` are tried
DETAIL_MAX = 1000  # characters of a receipt


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something was not taken."""

    message: str
    permanent: bool = False
    retry_after_ms: int | None = None


class Ledger:
    """Everything that one notifier has to deliver."""

    def __init__(self, rules: Rules, jitter: Callable[[], float]) -> None:
        self.rules = rules
        self.circuits = {name: Circuit() for name in rules.kinds}
        self.stories: dict[tuple[str, str], Story] = {}
        self.changes: dict[int, Changes] = {}
        self._jitter = jitter
        self._pending: dict[str, Delivery] = {}  # by id
        self._waiting: dict[str, int] = {}  # by contact, how many
        self._order = 0
        self._timers: list[tuple[int, int, Delivery]] = []
        self._lanes = Lanes()
        self._queues = Queues(rules, self.circuits, self._lanes)

    # What is there.

    def __contains__(self, request: str) -> bool:
        return request in self._pending

    @property
    def pending(self) -> int:
        """How many deliveries wait or are under way."""
        return len(self._pending)

    def oldest_ms(self) -> int | None:
        """Since when the oldest of them waits."""
        return min((delivery.arrived_ms for delivery in self._pending.values()), default=None)

    def pending_of(self, partition: int) -> list[Delivery]:
        """Those of a partition."""
        return [delivery for delivery in self._pending.values() if delivery.partition == partition]

    def take_changes(self) -> dict[int, Changes]:
        """What has changed since the last call."""
        changes, self.changes = self.changes, {}
        return {partition: change for partition, change in changes.items() if change.any}

    # What comes in.

    def accept(
        self, request: Request, through: tuple[str, ...], partition: int, now_ms: int
    ) -> None:
        """Take a request. A second one of the same id changes nothing."""
        if request.id in self._pending:
            return
        story = self._story(request, partition)
        story.updated_ms = now_ms
        delivery = self._delivery(request, through, partition, now_ms)
        replaced = self._supersede(delivery, story)
        self._begin(delivery, story, now_ms)
        if replaced is not None and not delivery.settled:
            self._inherit(delivery, replaced, now_ms)
        self._bound(request.contact, now_ms)

    def restore(
        self,
        request: Request,
        through: tuple[str, ...],
        partition: int,
        progress: Progress | None,
        now_ms: int,
    ) -> None:
        """Take a request that an earlier owner had taken, and may have sent. In the order of the requests."""
        story = self._story(request, partition)
        delivery = self._delivery(
            request, through, partition, progress.arrived_ms if progress else now_ms
        )
        if progress is not None:
            delivery.failure_reported, delivery.missed = progress.failure_reported, progress.missed
            delivery.taken, delivery.absorbed = list(progress.taken), list(progress.absorbed)
        self._supersede(delivery, story)
        self._begin(delivery, story, now_ms, progress)
        if delivery.notification.action is Action.TRIGGER:
            for receiver in delivery.legs:
                story.thread(receiver).maybe = True

    def restore_sends(self, contact: str, sends: Mapping[str, list[int]]) -> None:
        """What a contact was sent lately, by kind."""
        self._queues.restore(contact, sends)

    def sends(self, contact: str) -> dict[str, list[int]]:
        """The same, to be kept."""
        return self._queues.sends_of(contact)

    def drop(self, partition: int) -> None:
        """Forget a partition: somebody else owns it now."""
        for delivery in self.pending_of(partition):
            self._remove(delivery)
        self.stories = {
            key: story for key, story in self.stories.items() if story.partition != partition
        }
        self.changes.pop(partition, None)

    # What is to be done.

    def due(self, now_ms: int) -> list[Attempt]:
        """What is to be sent now. Each has to be answered with `sent` or `failed`."""
        while self._timers and self._timers[0][0] <= now_ms:
            _, _, delivery = heapq.heappop(self._timers)
            if not delivery.settled:
                self._on_time(delivery, now_ms)
        attempts: list[Attempt] = []
        while True:
            for delivery, receiver in self._queues.stuck():
                self._advance(delivery, receiver, now_ms, "does not answer")
            attempts += self._queues.begin(now_ms, self._attempt)
            limited = self._queues.take_limited()
            if not limited:
                return attempts
            for delivery, receiver in limited:
                self._advance(delivery, receiver, now_ms, "is over its limit")

    def next_ms(self, now_ms: int) -> int | None:
        """When `due` may have something that it has not now."""
        times = [self._timers[0][0]] if self._timers else []
        times += self._queues.times_ms(now_ms)
        return min(times, default=None)

    def sent(self, attempt: Attempt, receiver_id: str, memory: str, now_ms: int) -> None:
        """A receiver has accepted an attempt."""
        self._end(attempt)
        self.circuits[attempt.receiver].answered()
        many = len(attempt.deliveries)
        for delivery in attempt.deliveries:
            leg = delivery.legs[attempt.receiver]
            known = f", {receiver_id}" if receiver_id else ""
            tries = f", try {leg.tries + 1}" if leg.tries else ""
            digest = f", in a digest of {many}" if many > 1 else ""
            self._note_sent(delivery, attempt.receiver, memory if many == 1 else "", now_ms)
            self._end_leg(delivery, leg)
            if delivery.settled:
                continue
            delivery.taken.append(f"{attempt.receiver}{known}{tries}{digest}")
            if not delivery.everywhere or not delivery.live:
                self._settle(delivery, DeliveryState.DELIVERED, "; ".join(delivery.taken))

    def failed(self, attempt: Attempt, failure: Failure, now_ms: int) -> None:
        """A receiver has not accepted an attempt."""
        self._end(attempt)
        self._queues.not_sent(attempt)
        self._count_failure(attempt.receiver, failure, now_ms)
        for delivery in attempt.deliveries:
            leg = delivery.legs[attempt.receiver]
            leg.tries += 1
            leg.error = failure.message
            if not failure.permanent and may_have_rung(delivery, attempt.receiver):
                self._changed(delivery).thread(attempt.receiver).maybe = True
            if delivery.settled:
                self._end_leg(delivery, leg)
            elif failure.permanent:
                self._on_refused(delivery, leg, now_ms)
            elif delivery.over:
                self._settle_over(delivery)
            else:
                self._retry(delivery, leg, failure, now_ms)

    def forget(self, now_ms: int) -> list[tuple[int, tuple[str, str]]]:
        """Forget stories that are long over: partition and key of each, whose record is to be removed."""
        idle = [(story.updated_ms, key) for key, story in self.stories.items() if not story.pending]
        idle.sort()
        surplus = max(len(self.stories) - STORIES_MAX, 0)
        gone = [
            key
            for number, (at_ms, key) in enumerate(idle)
            if number < surplus or at_ms < now_ms - STORY_MS
        ]
        return [(self.stories.pop(key).partition, key) for key in gone]

    # How.

    def _delivery(
        self, request: Request, through: tuple[str, ...], partition: int, arrived_ms: int
    ) -> Delivery:
        self._order += 1
        return Delivery(request, through, self._order, arrived_ms, partition)

    def _story(self, request: Request, partition: int) -> Story:
        story = self.stories.get(request.story)
        if story is None:
            story = self.stories[request.story] = Story(partition)
        return story

    def _change(self, partition: int) -> Changes:
        return self.changes.setdefault(partition, Changes())

    def _changed(self, delivery: Delivery) -> Story:
        """The delivery's story, noted as changed."""
        if delivery.request.story not in self.stories:
            return Story(delivery.partition)  # somebody else owns the partition now
        self._change(delivery.partition).stories.add(delivery.request.story)
        return self.stories[delivery.request.story]

    def _supersede(self, delivery: Delivery, story: Story) -> Delivery | None:
        """End what the new one makes needless; the delivery that it replaces, if it replaces one."""
        for earlier in ended_by(delivery.notification, story):
            for leg in earlier.live:
                if not leg.sending:
                    self._end_leg(earlier, leg)
            earlier.over = True
            if not earlier.sending:
                self._settle_over(earlier)
        replaced = replaced_by(delivery.notification, story)
        for earlier in replaced:
            delivery.absorbed += [
                *earlier.absorbed,
                (earlier.request.id, earlier.notification.incident),
            ]
            self._change(earlier.partition).settled.append(earlier.request.id)
            self._remove(earlier)
        pages = [
            item for item in replaced if item.notification.action is delivery.notification.action
        ]
        return pages[0] if pages else None

    def _begin(
        self, delivery: Delivery, story: Story, now_ms: int, progress: Progress | None = None
    ) -> None:
        wanted, delivery.everywhere = receivers_for(delivery.request, delivery.through, story)
        receivers = [
            name for name in wanted if name in self.circuits
        ]  # receivers.yaml may have changed
        if progress is not None and delivery.everywhere:
            receivers = [name for name in progress.receivers if name in self.circuits]
        elif progress is not None:
            receivers = list(delivery.through[: progress.step + 1])
        self._pending[delivery.request.id] = delivery
        self._waiting[delivery.request.contact] = self._waiting.get(delivery.request.contact, 0) + 1
        story.pending.append(delivery)
        delivery.step = (
            delivery.through.index(receivers[-1]) if receivers and not delivery.everywhere else 0
        )
        delivery.step_ms = progress.step_ms if progress else now_ms
        if delivery.absorbed:
            self._changed(delivery)
        if not receivers:
            self._settle_nobody(delivery)
            return
        for receiver in receivers:
            self._add_leg(delivery, Leg(receiver))
        self._set_timers(delivery)

    def _inherit(self, delivery: Delivery, replaced: Delivery, now_ms: int) -> None:
        """Go on where a delivery was that is replaced: its receivers, failures and deadlines."""
        delivery.failure_reported, delivery.missed = replaced.failure_reported, replaced.missed
        delivery.arrived_ms, delivery.step_ms = replaced.arrived_ms, replaced.step_ms
        for leg in replaced.legs.values():
            known = delivery.legs.get(leg.receiver)
            if known is None:
                known = Leg(leg.receiver)
                self._add_leg(delivery, known)
            known.tries, known.next_ms, known.error = leg.tries, leg.next_ms, leg.error
            if leg.next_ms > now_ms:
                self._at(leg.next_ms, delivery)
        delivery.step = max(delivery.step, replaced.step)
        self._changed(delivery)
        self._set_timers(delivery)

    def _add_leg(self, delivery: Delivery, leg: Leg) -> None:
        delivery.legs[leg.receiver] = leg
        self._lanes.add(delivery, leg)
        self._look_at_lane(delivery, leg.receiver)

    def _look_at_lane(self, delivery: Delivery, receiver: str) -> None:
        """Queue the head of a lane, if it is not queued and its time has come."""
        head = self._lanes.head(delivery, receiver)
        if head is not None:
            self._queues.put(head, receiver)

    def _set_timers(self, delivery: Delivery) -> None:
        self._at(delivery.arrived_ms + self._lifetime_ms(delivery), delivery)
        if not delivery.everywhere:
            self._at(delivery.step_ms + self._patience_ms(delivery), delivery)

    def _patience_ms(self, delivery: Delivery) -> int:
        page = is_page(delivery.notification)
        return self.rules.page_deadline_ms if page else self.rules.message_deadline_ms

    def _lifetime_ms(self, delivery: Delivery) -> int:
        """How long a delivery is tried. What ends a page somewhere is worth it for longer."""
        return self.rules.give_up_ms * (ENDS_LONGER if delivery.everywhere else 1)

    def _at(self, at_ms: int, delivery: Delivery) -> None:
        self._order += 1
        heapq.heappush(self._timers, (at_ms, self._order, delivery))
        if len(self._timers) > TIMERS_SPARE + 8 * len(self._pending):
            self._timers = [timer for timer in self._timers if not timer[2].settled]
            heapq.heapify(self._timers)

    def _on_time(self, delivery: Delivery, now_ms: int) -> None:
        """A time has come that may mean something to a delivery."""
        for leg in delivery.live:
            if leg.next_ms <= now_ms:
                self._look_at_lane(delivery, leg.receiver)
        if now_ms >= delivery.arrived_ms + self._lifetime_ms(delivery) and not delivery.sending:
            self._settle(delivery, DeliveryState.FAILED, f"gave up: {_errors(delivery)}")
        elif not delivery.everywhere and now_ms >= delivery.step_ms + self._patience_ms(delivery):
            receiver = delivery.through[delivery.step]
            if not delivery.legs[receiver].held:
                self._advance(delivery, receiver, now_ms, "did not take it in time")

    def _advance(self, delivery: Delivery, receiver: str, now_ms: int, why: str) -> None:
        """Hand a delivery to the contact's next receiver too; say so when there is none."""
        if (
            delivery.everywhere
            or delivery.settled
            or delivery.over
            or receiver != delivery.through[delivery.step]
        ):
            return
        leg = delivery.legs[receiver]
        reason = f"{receiver} {why}{f' ({leg.error})' if leg.error else ''}"
        if delivery.step + 1 < len(delivery.through):
            delivery.step += 1
            delivery.step_ms = now_ms
            following = delivery.through[delivery.step]
            if not leg.held:
                self._report(delivery, DeliveryState.FAILED, f"fallback to {following}: {reason}")
            self._add_leg(delivery, Leg(following))
            self._at(now_ms + self._patience_ms(delivery), delivery)
            self._changed(delivery)
        elif not delivery.missed and not leg.held:
            delivery.missed = True
            self._report(
                delivery, DeliveryState.FAILED, f"no receiver took it in time, tried on: {reason}"
            )
            self._changed(delivery)

    def _attempt(self, deliveries: tuple[Delivery, ...], receiver: str, now_ms: int) -> Attempt:
        first = deliveries[0]
        story = self.stories[first.request.story]
        thread = story.threads.get(receiver)
        notifications = [delivery.notification for delivery in deliveries]
        notification = digest_of(notifications) if len(deliveries) > 1 else notifications[0]
        memory = thread.memory if thread is not None and len(deliveries) == 1 else ""
        return Attempt(receiver, deliveries, notification, memory, now_ms)

    def _end(self, attempt: Attempt) -> None:
        self.circuits[attempt.receiver].sending -= 1
        for delivery in attempt.deliveries:
            delivery.legs[attempt.receiver].sending = False
        first = attempt.deliveries[0]
        if self._queues.has_limit(attempt.receiver):
            self._change(first.partition).sends.add(
                (first.request.contact, self.rules.kinds[attempt.receiver])
            )

    def _note_sent(self, delivery: Delivery, receiver: str, memory: str, now_ms: int) -> None:
        story = self._changed(delivery)
        story.updated_ms = now_ms
        thread = story.thread(receiver)
        thread.memory = memory or thread.memory
        thread.maybe = False
        match delivery.notification.action:
            case Action.TRIGGER:
                thread.open = True
            case Action.RESOLVE:
                thread.open = False

    def _count_failure(self, receiver: str, failure: Failure, now_ms: int) -> None:
        circuit = self.circuits[receiver]
        if failure.retry_after_ms is not None:
            circuit.pause(now_ms + min(failure.retry_after_ms, RETRY_AFTER_MS_MAX))
        elif failure.permanent:
            circuit.answered()
        else:
            circuit.failed(now_ms, self._jitter())

    def _on_refused(self, delivery: Delivery, leg: Leg, now_ms: int) -> None:
        self._end_leg(delivery, leg)
        if delivery.everywhere:
            if not delivery.live:
                state = DeliveryState.DELIVERED if delivery.taken else DeliveryState.FAILED
                self._settle(
                    delivery, state, "; ".join([*delivery.taken, f"refused: {_errors(delivery)}"])
                )
            return
        more = delivery.step + 1 < len(delivery.through)
        if more:
            self._advance(delivery, leg.receiver, now_ms, "refused it")
        if not delivery.live:
            self._settle(delivery, DeliveryState.FAILED, f"refused: {_errors(delivery)}")

    def _retry(self, delivery: Delivery, leg: Leg, failure: Failure, now_ms: int) -> None:
        wait_ms = backoff_ms(leg.tries - 1, self._jitter(), RETRY_MS, RETRY_MS_MAX)
        if failure.retry_after_ms is not None:
            wait_ms = max(wait_ms, min(failure.retry_after_ms, RETRY_AFTER_MS_MAX))
        leg.next_ms = now_ms + wait_ms
        self._at(leg.next_ms, delivery)
        if not delivery.failure_reported:
            self._report(
                delivery, DeliveryState.FAILED, f"tried again: {leg.receiver}: {leg.error}"
            )
            self._changed(delivery)

    def _bound(self, contact: str, now_ms: int) -> None:
        if self._waiting.get(contact, 0) <= PENDING_MAX:
            return
        waiting = [
            item
            for item in self._pending.values()
            if item.request.contact == contact and not item.sending and not item.over
        ]
        if not waiting:
            return  # all of them are being sent
        delivery = min(waiting, key=lambda item: (is_page(item.notification), item.order))
        text = f"dropped after {(now_ms - delivery.arrived_ms) // 1000} s: more than {PENDING_MAX} messages wait"
        self._settle(delivery, DeliveryState.FAILED, f"{text} for {contact}")

    # How it ends.

    def _settle_over(self, delivery: Delivery) -> None:
        if delivery.taken:
            self._settle(delivery, DeliveryState.DELIVERED, "; ".join(delivery.taken))
        else:
            self._settle(
                delivery, DeliveryState.FAILED, "not sent: it was over before it could be sent"
            )

    def _settle_nobody(self, delivery: Delivery) -> None:
        if delivery.taken:
            self._settle(delivery, DeliveryState.DELIVERED, "; ".join(delivery.taken))
        elif not delivery.through:
            self._settle(
                delivery,
                DeliveryState.FAILED,
                f"receivers.yaml names no receiver for {delivery.request.contact}",
            )
        else:
            self._settle(
                delivery, DeliveryState.FAILED, "not sent: no receiver has heard of the incident"
            )

    def _settle(self, delivery: Delivery, state: DeliveryState, detail: str) -> None:
        """A delivery has its outcome."""
        self._report(delivery, state, detail)
        change = self._change(delivery.partition)
        change.settled.append(delivery.request.id)
        change.receipts += [
            Receipt(request, incident, state, f"in {delivery.request.id}: {detail}"[:DETAIL_MAX])
            for request, incident in delivery.absorbed
        ]
        self._changed(delivery)
        self._remove(delivery)

    def _report(self, delivery: Delivery, state: DeliveryState, detail: str) -> None:
        delivery.failure_reported = True
        notification = delivery.notification
        receipt = Receipt(notification.id, notification.incident, state, detail[:DETAIL_MAX])
        self._change(delivery.partition).receipts.append(receipt)

    def _remove(self, delivery: Delivery) -> None:
        """Take a delivery out of everything but the attempts that are under way."""
        delivery.settled = True
        del self._pending[delivery.request.id]
        left = self._waiting[delivery.request.contact] = self._waiting[delivery.request.contact] - 1
        if not left:
            del self._waiting[delivery.request.contact]
        self.stories[delivery.request.story].pending.remove(delivery)
        for leg in delivery.live:
            if not leg.sending:
                self._end_leg(delivery, leg)

    def _end_leg(self, delivery: Delivery, leg: Leg) -> None:
        leg.ended = True
        self._lanes.remove(delivery, leg)
        self._look_at_lane(delivery, leg.receiver)


def _errors(delivery: Delivery) -> str:
    errors = [f"{leg.receiver}: {leg.error}" for leg in delivery.legs.values() if leg.error]
    return "; ".join(errors) or "no receiver was free"

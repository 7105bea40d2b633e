"""What a newer notification of the same incident makes needless, and which receivers have to hear it. Pure.

What is over before it could be sent is not sent. `resolve` and `acknowledge` for what was sent always are.
"""

from collections.abc import Sequence

from app.notifier.ledger.delivery import Delivery, Request, Story, is_page
from models.events import Action, Notification

PAGER = "pager"  # the policy's channel for what rings


def ended_by(notification: Notification, story: Story) -> list[Delivery]:
    """The pending deliveries that are over with this notification."""
    match notification.action:
        case Action.RESOLVE:
            heard = bool(_who_knows(story, coming=False))
            return [
                delivery
                for delivery in story.pending
                if not (heard and delivery.notification.action is Action.INFORM)
            ]
        case Action.ACKNOWLEDGE if notification.channel == PAGER:
            return [
                delivery
                for delivery in story.pending
                if delivery.notification.action in (Action.TRIGGER, Action.UPDATE)
            ]
        case _:
            return []


def replaced_by(notification: Notification, story: Story) -> list[Delivery]:
    """The pending deliveries that this notification says again, and newer. None of them is being sent."""
    action, episode = notification.action, notification.episode
    if action not in (Action.TRIGGER, Action.UPDATE):
        return []
    replaced = []
    for delivery in reversed(story.pending):
        pending = delivery.notification
        if pending.action is Action.INFORM or delivery.sending or delivery.over:
            continue
        if pending.action in (Action.RESOLVE, Action.ACKNOWLEDGE):
            break  # what is older is of an earlier part of the incident
        same_page = (
            pending.action is Action.TRIGGER
            and action is Action.TRIGGER
            and pending.episode == episode
        )
        if pending.action is Action.UPDATE or same_page:
            replaced.append(delivery)
    return replaced[::-1]


def receivers_for(request: Request, through: Sequence[str], story: Story) -> tuple[list[str], bool]:
    """The receivers that have to get it, and whether each of them has to (else one is enough)."""
    match request.notification.action:
        case Action.TRIGGER:
            return list(through[:1]), False
        case Action.INFORM:
            known = [
                receiver
                for receiver in through
                if receiver in story.threads and story.threads[receiver].open
            ]
            return known[:1] or list(through[:1]), False
        case Action.ACKNOWLEDGE | Action.RESOLVE:
            return _who_knows(story), True
        case Action.UPDATE:
            known = _who_knows(story)
            return (known, True) if known else (list(through[:1]), False)


def _who_knows(story: Story, *, coming: bool = True) -> list[str]:
    """The receivers that have an open trigger or may have, and those that are about to get one."""
    known = [name for name, thread in story.threads.items() if thread.open or thread.maybe]
    triggers = [
        delivery for delivery in story.pending if delivery.notification.action is Action.TRIGGER
    ]
    legs = [
        (trigger, leg)
        for trigger in triggers
        for leg in trigger.legs.values()
        if leg.sending or (coming and not leg.ended)
    ]
    return list(
        dict.fromkeys(
            [*known, *(leg.receiver for delivery, leg in legs if leg.sending or not delivery.over)]
        )
    )


def may_have_rung(delivery: Delivery, receiver: str) -> bool:
    """Whether a page that a receiver did not confirm may have rung all the same."""
    return is_page(delivery.notification) and delivery.legs[receiver].tries > 0

"""What is delivered, through whom, in which order, and what is not delivered any more."""

from app.notifier.channel import ChannelKind
from app.notifier.ledger.delivery import Request
from app.notifier.ledger.ledger import PENDING_MAX, Failure
from models.effect import Position
from tests.support.ledger_world import INCIDENT, World, notification

DOWN = Failure("503")
REFUSED = Failure("404: no such key", permanent=True)


def test_a_page_goes_to_the_first_receiver_and_no_other() -> None:
    """A receiver that takes it at once is the only one that is told."""
    world = World()
    world.tell(1)
    world.run(3600)

    assert world.told == [("pd", "trigger", "0-1-0")]
    assert world.receipts == [("0-1-0", "delivered", "pd, their-id")]
    assert world.settled == ["0-1-0"]


def test_order_is_kept_while_a_receiver_is_down() -> None:
    """What belongs to one incident arrives in its order, however often the first of it has to be tried."""
    world = World({"pd": ChannelKind.PAGERDUTY})
    world.answers["pd"] = DOWN
    world.tell(1, ("pd",))
    world.tell(2, ("pd",), episode=2, kind="escalated")
    world.run(30)
    world.answers["pd"] = None
    world.run(120)

    assert world.told == [("pd", "trigger", "0-1-0"), ("pd", "trigger", "0-2-0")]


def test_a_receiver_that_hangs_holds_up_nobody_else() -> None:
    """Another contact's page is taken at once."""
    world = World()
    world.answers["pd"] = "hang"
    world.tell(1, ("pd",))
    world.tell(2, ("ntfy",), address="other")

    assert world.told == [("ntfy", "trigger", "0-2-0")]


def test_a_page_that_hangs_goes_through_the_next_receiver_by_its_deadline() -> None:
    """After a minute the contact's next receiver gets the page too, and the journal hears why."""
    world = World()
    world.answers["pd"] = "hang"
    world.tell(1, ("pd", "ntfy"))
    world.run(59)
    before = list(world.told)
    world.run(2)

    assert (before, world.told) == ([], [("ntfy", "trigger", "0-1-0")])
    assert world.receipts == [
        ("0-1-0", "failed", "fallback to ntfy: pd did not take it in time"),
        ("0-1-0", "delivered", "ntfy, their-id"),
    ]


def test_a_page_does_not_wait_for_a_receiver_that_is_known_to_be_down() -> None:
    """Once its circuit is open, the next page goes through the next receiver at once."""
    world = World()
    world.answers["pd"] = DOWN
    world.tell(1, ("pd",))
    world.run(30)
    world.tell(2, ("pd", "ntfy"), address="other")

    assert world.told == [("ntfy", "trigger", "0-2-0")]


def test_a_refusal_is_final_and_the_next_receiver_gets_it_at_once() -> None:
    """What a receiver will never take is not tried again."""
    world = World()
    world.answers["pd"] = REFUSED
    world.tell(1, ("pd", "ntfy"))
    world.run(3600)

    assert world.told == [("ntfy", "trigger", "0-1-0")]
    assert world.receipts[0][2] == "fallback to ntfy: pd refused it (404: no such key)"


def test_a_page_that_every_receiver_refuses_has_failed() -> None:
    """The outcome names each refusal."""
    world = World()
    world.answers |= {"pd": REFUSED, "ntfy": REFUSED}
    world.tell(1, ("pd", "ntfy"))

    assert world.receipts[-1] == (
        "0-1-0",
        "failed",
        "refused: pd: 404: no such key; ntfy: 404: no such key",
    )
    assert world.settled == ["0-1-0"]


def test_what_is_over_before_it_could_be_sent_is_not_sent() -> None:
    """Trigger and resolve both come while the receiver is paused: it hears neither."""
    world = World()
    world.answers["pd"] = Failure("429", retry_after_ms=30_000)
    world.tell(1, ("pd",), address="other", incident="INC-20260412T031502Z-00K3G")
    world.answers["pd"] = None
    world.tell(2, ("pd",))
    world.tell(3, ("pd",), action="resolve", kind="resolved")
    world.run(600)

    assert [told for told in world.told if told[2] != "0-1-0"] == []
    assert [receipt for receipt in world.receipts if receipt[0] != "0-1-0"] == [
        ("0-2-0", "failed", "not sent: it was over before it could be sent"),
        ("0-3-0", "failed", "not sent: no receiver has heard of the incident"),
    ]


def test_resolve_for_what_was_sent_is_always_sent() -> None:
    """A receiver that is down when the incident ends hears it when it is back."""
    world = World()
    world.tell(1, ("pd",))
    world.answers["pd"] = DOWN
    world.tell(2, ("pd",), action="resolve", kind="resolved")
    world.run(3600)
    world.answers["pd"] = None
    world.run(3600)

    assert world.told == [("pd", "trigger", "0-1-0"), ("pd", "resolve", "0-2-0")]


def test_resolve_goes_to_a_receiver_that_may_have_rung() -> None:
    """A page that was not confirmed may have rung, so its receiver is told of the end."""
    world = World()
    world.answers["pd"] = Failure("no answer within 10 s")
    world.tell(1, ("pd", "ntfy"))
    world.run(70)
    world.answers["pd"] = None
    world.tell(2, ("pd", "ntfy"), action="resolve", kind="resolved")
    world.run(600)

    assert sorted(world.told[1:]) == [("ntfy", "resolve", "0-2-0"), ("pd", "resolve", "0-2-0")]


def test_acknowledge_stops_a_page_that_is_still_tried() -> None:
    """Nobody is woken for what somebody has taken; a receiver that was asked is told of it."""
    world = World()
    world.answers["pd"] = DOWN
    world.tell(1, ("pd",))
    world.tell(2, ("pd",), action="acknowledge", kind="acknowledged")
    world.answers["pd"] = None
    world.run(600)

    assert world.told == [("pd", "acknowledge", "0-2-0")]


def test_a_page_again_while_the_first_one_waits_is_one_page() -> None:
    """A repeat of the same episode takes the place of the one that waits, and both get a receipt."""
    world = World()
    world.answers["pd"] = DOWN
    world.tell(1, ("pd",))
    world.tell(2, ("pd",), kind="repeated")
    world.answers["pd"] = None
    world.run(600)

    assert world.told == [("pd", "trigger", "0-2-0")]
    assert {receipt[:2] for receipt in world.receipts} >= {
        ("0-1-0", "delivered"),
        ("0-2-0", "delivered"),
    }


def test_a_new_episode_rings_beside_the_one_that_waits() -> None:
    """A second ring is not swallowed by the first."""
    world = World()
    world.answers["pd"] = DOWN
    world.tell(1, ("pd",))
    world.tell(2, ("pd",), episode=2)
    world.answers["pd"] = None
    world.run(600)

    assert [told[2] for told in world.told] == ["0-1-0", "0-2-0"]


def test_over_the_limit_an_urgent_page_goes_through_the_next_receiver() -> None:
    """The second page within a minute is not an SMS, but it is not late."""
    world = World()
    for number in (1, 2):
        world.tell(number, ("sms", "ntfy"), incident=f"INC-20260412T031502Z-00K3{number}")

    assert world.told == [("sms", "trigger", "0-1-0"), ("ntfy", "trigger", "0-2-0")]


def test_over_the_limit_the_rest_is_one_digest() -> None:
    """Five more within a minute are one message when the minute is over."""
    world = World()
    for number in range(6):
        incident = f"INC-20260412T031502Z-00K3{number}"
        world.tell(number, ("sms",), incident=incident, severity="P2")
    world.run(61)

    assert world.titles == ["OllamaDown: ollama", "5 messages that a limit held back"]
    assert world.told == [("sms", "trigger", "0-0-0"), ("sms", "inform", "0-5-0")]
    assert len(world.settled) == 6


def test_a_storm_cannot_ring_a_phone_to_death() -> None:
    """However many pages come in three hours, a phone gets at most 21 messages."""
    world = World()
    for number in range(180):
        incident = f"INC-20260412T031502Z-{number:05}"
        world.tell(number, ("sms",), incident=incident)
        world.run(59)

    assert len(world.told) == 21
    assert world.ledger.pending == 180 - 21


def test_a_pause_that_a_receiver_asks_for_is_kept() -> None:
    """After 429 with Retry-After nothing at all is sent to it before its time."""
    world = World()
    world.answers["pd"] = Failure("429", retry_after_ms=20_000)
    world.tell(1, ("pd",))
    world.answers["pd"] = None
    world.tell(2, ("pd",), address="other")
    world.run(19)
    before = list(world.told)
    world.run(2)

    assert (before, len(world.told)) == ([], 2)


def test_first_failure_and_outcome_are_said_and_tries_are_not() -> None:
    """However often it is tried, the journal has a few receipts."""
    world = World()
    world.answers["pd"] = DOWN
    world.tell(1, ("pd",))
    world.run(3600)
    world.answers["pd"] = None
    world.run(3600)

    assert [(state, detail.split(":")[0]) for _, state, detail in world.receipts] == [
        ("failed", "tried again"),
        ("failed", "no receiver took it in time, tried on"),
        ("delivered", world.receipts[-1][2]),
    ]


def test_after_a_day_a_page_is_given_up() -> None:
    """Nothing is tried for ever."""
    world = World()
    world.answers["pd"] = DOWN
    world.tell(1, ("pd",))
    world.run(25 * 3600)

    assert world.receipts[-1] == ("0-1-0", "failed", "gave up: pd: 503")
    assert world.ledger.pending == 0


def test_too_many_for_one_contact_drops_the_oldest_that_wakes_nobody() -> None:
    """What waits has a bound, and what is dropped is said."""
    world = World()
    world.answers["pd"] = "hang"
    for number in range(PENDING_MAX + 5):
        incident = f"INC-20260412T031502Z-{number:05}"
        world.tell(
            number, ("pd",), incident=incident, action="inform" if number > 10 else "trigger"
        )

    assert world.ledger.pending == PENDING_MAX
    assert {receipt[0] for receipt in world.receipts} == {
        f"0-{11 + number}-0" for number in range(5)
    }


def test_a_contact_without_a_receiver_is_said() -> None:
    """The journal hears that nobody can be told."""
    world = World()
    world.tell(1, ())

    assert world.receipts == [
        ("0-1-0", "failed", "receivers.yaml names no receiver for pager/ops-primary")
    ]


def test_what_a_killed_owner_may_have_sent_is_resolved() -> None:
    """A page that was under way in a kill, and over afterwards: its receiver is told of the end."""
    world = World()
    for number, action in ((1, "trigger"), (2, "resolve")):
        note = notification(number, action=action)
        request = Request("pager/ops-primary", 0, Position(number, 0), note)
        world.ledger.restore(request, ("pd", "ntfy"), 0, None, world.now_ms)
    world.run()

    assert world.told == [("pd", "resolve", "0-2-0")]


def test_memory_is_handed_back_with_the_next_message() -> None:
    """A channel gets what it gave with the last message of the incident, receiver and address."""
    world = World()
    world.tell(1, ("pd",))
    world.answers["pd"] = "hang"
    world.tell(2, ("pd",), action="update", kind="updated")

    assert world.hanging[0].memory == "remember"
    assert world.ledger.stories["pager/ops-primary", INCIDENT].threads["pd"].open

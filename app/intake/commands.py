"""Operators' words and notifiers' receipts: from a request to journal records."""

from collections.abc import Callable, Collection
from typing import Any

from app.transport.log import NewRecord
from models.command import Command
from models.effect import EFFECT_ID
from models.incident import partition_from_id
from models.journal import encode_command, encode_receipt, encode_resubmitted
from models.reason import BadInput, Reason
from models.wire import COMMAND_REQUESTS, RECEIPTS_MAX, CommandRequest, ReceiptRequest, kind_of


def partition_of_incident(incident: str, partitions: int) -> int:
    """The partition that an incident lives in. Raises BadInput."""
    try:
        partition = partition_from_id(incident)
    except ValueError as error:
        raise BadInput(Reason.UNKNOWN_INCIDENT, str(error)) from None
    if partition >= partitions:
        raise BadInput(
            Reason.UNKNOWN_INCIDENT,
            f"{incident!r} is of partition {partition}, there are {partitions}",
        )
    return partition


def command_of(name: str) -> Command:
    """The command of that name. Raises BadInput."""
    if name not in list(Command):
        raise BadInput(
            Reason.UNKNOWN_KIND, f"the command is {name!r:.60}, must be one of {', '.join(Command)}"
        )
    return Command(name)


def command_value(
    incident: str,
    command: Command,
    document: Any,
    now_ms: int,
    teams: Collection[str],
    signed: Callable[[str], str],
) -> bytes:
    """The journal value of a command. Raises BadInput.

    `now_ms` is what an ETA such as 30m counts from, `signed` what makes of a name one that says by
    whose token.
    """
    body = COMMAND_REQUESTS[command].of(document)
    details = body.details(incident, now_ms)
    team = details.get("team")
    if team and team not in teams:
        message = f"team: is {team!r:.60}, must be one of the policy's teams ({', '.join(teams)})"
        raise BadInput(Reason.MALFORMED, message)
    return encode_command(command, incident, signed(body.by), **details)


def receipts_of(document: Any, partitions: int) -> list[tuple[int, str, bytes]]:
    """(partition, incident, journal value) of each receipt in a body.

    Raises BadInput; then nothing is to be kept.
    """
    if not isinstance(document, list):
        raise BadInput(
            Reason.MALFORMED, f"the body is {kind_of(document)}, must be a list of receipts"
        )
    if len(document) > RECEIPTS_MAX:
        raise BadInput(
            Reason.TOO_LARGE,
            f"the body has {len(document)} receipts, must have at most {RECEIPTS_MAX}",
        )
    receipts = []
    for number, item in enumerate(document):
        try:
            receipts.append(_receipt_record(item, partitions))
        except BadInput as refusal:
            raise BadInput(
                refusal.reason, f"[{number}]: {refusal.message}; no receipt was kept"
            ) from None
    return receipts


def resubmitted_record(
    letter: str, document: Any, partitions: int, signed: Callable[[str], str]
) -> tuple[int, NewRecord]:
    """Partition and journal record of the word that a dead letter was sent again, and taken.

    Raises BadInput.
    """
    partition = int(letter.split("-", maxsplit=1)[0]) if EFFECT_ID.fullmatch(letter) else partitions
    if partition >= partitions:
        message = f"the dead letter is {letter!r:.80}, must be its id, such as 0-15-0, of a partition below {partitions}"
        raise BadInput(Reason.MALFORMED, message)
    value = encode_resubmitted(letter, signed(CommandRequest.of(document).by))
    return partition, NewRecord(letter.encode(), value)


def _receipt_record(document: Any, partitions: int) -> tuple[int, str, bytes]:
    receipt = ReceiptRequest.of(document)
    incident = (
        receipt.incident or ""
    )  # a digest is about none; its receipt stays where the digest came from
    partition = (
        partition_of_incident(incident, partitions)
        if incident
        else int(receipt.notification.split("-")[0])
    )
    value = encode_receipt(receipt.notification, incident, receipt.state, receipt.detail)
    return min(partition, partitions - 1), incident, value

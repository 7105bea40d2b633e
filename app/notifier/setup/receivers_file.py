"""The receivers file (TOCSIN_RECEIVERS): how contacts of the policy are reached.

It is no part of the policy. The policy says whom to tell, and a change of it is a record in the journal. This file says how to
reach them; it must change neither the policy's fingerprint nor a replay (docs/decisions/0010-notifier.md).
"""

from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    create_model,
    model_validator,
)

from app.files import yaml_file
from app.files.bounded_yaml import Document
from app.files.yaml_file import Mistake
from app.notifier.channel import ChannelKind
from app.notifier.channels.registry_types import Registry
from app.notifier.ledger import limits
from app.notifier.ledger.contacts import ContactRoute, Contacts
from app.notifier.ledger.delivery import Rules
from app.notifier.ledger.limits import Limit
from app.notifier.outcome import TryAgain
from models.policy.types import DurationMs, Part, Problem, refuse_problems
from models.text.suggest import did_you_mean

RECEIVERS_MAX = 500


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value))
    except ValueError:
        raise ValueError(f"is {value!r:.60}, must be a network such as 10.0.0.0/8") from None


ReceiverName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class LimitPart(Part):
    """At most so many messages within any time that is so long."""

    sends: Annotated[int, Field(ge=1, le=1000)]  # how many
    within: DurationMs  # how long: 1m, 15m, 1h


Network = Annotated[
    IPv4Network | IPv6Network,
    PlainValidator(_network),
    WithJsonSchema(
        {"type": "string", "description": "A network: 10.0.0.0/8, 127.0.0.1/32, fd00::/8."}
    ),
]
Networks = Annotated[list[Network], Field(default_factory=list)]
LimitsByKind = Annotated[dict[ChannelKind, list[LimitPart]], Field(default_factory=dict)]


class HopPart(Part):
    """A receiver, and the contact's address there."""

    receiver: ReceiverName  # one of the receivers
    address: Annotated[str, Field(min_length=1)]  # there: a phone number, a Slack channel


class ContactPart(Part):
    """How contacts are reached through one channel of the policy."""

    channel: Literal["pager", "email", "chat"]  # of the policy
    address: str = ""  # as the policy has it; without address and name: all contacts
    name: str = ""  # of the contact, such as "On-call SRE", instead of an address
    through: Annotated[
        list[ReceiverName | HopPart], Field(min_length=1, max_length=10)
    ]  # in order, the next is the fallback: a receiver, or one with the contact's address there

    @property
    def receivers(self) -> list[str]:
        """The names of the receivers, in order."""
        return [hop.receiver if isinstance(hop, HopPart) else hop for hop in self.through]

    @property
    def addresses(self) -> dict[str, str]:
        """The contact's addresses at receivers that have one of their own."""
        return {hop.receiver: hop.address for hop in self.through if isinstance(hop, HopPart)}


class DeliveryPart(Part):
    """How long receivers are waited for."""

    timeout: DurationMs = 10_000  # for one try
    page_deadline: DurationMs = 60_000  # for a page to be taken; then the next receiver gets it too
    message_deadline: DurationMs = 15 * 60_000  # the same for what wakes nobody
    give_up_after: DurationMs = 24 * 60 * 60_000  # then nothing is tried any more


class ReceiversPart(Part):
    """The file. `receivers` has a model that the registry of channels makes (`model_of`)."""

    version: Literal[1]  # of this format
    receivers: Annotated[
        dict[ReceiverName, Any], Field(min_length=1, max_length=RECEIVERS_MAX)
    ]  # name: {kind: settings}
    contacts: Annotated[
        list[ContactPart], Field(min_length=1)
    ]  # how contacts of the policy are reached
    allow_private_addresses: Networks  # what is private else is refused
    public_url: str = ""  # how people reach Tocsin, for links: https://tocsin.example.org
    templates: str = ""  # a folder with templates of your own
    limits: LimitsByKind  # for a contact, by kind of receiver; [] is none
    delivery: DeliveryPart = DeliveryPart()  # how long receivers are waited for

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        refuse_problems(
            "receivers", [*self._unknown_receivers(), *self._repeated_contacts(), *self._bad_url()]
        )
        return self

    def _unknown_receivers(self) -> list[Problem]:
        return [
            (("contacts", number, "through", place), _unknown(name, self.receivers))
            for number, contact in enumerate(self.contacts)
            for place, name in enumerate(contact.receivers)
            if name not in self.receivers
        ]

    def _repeated_contacts(self) -> list[Problem]:
        problems: list[Problem] = []
        known: set[tuple[str, str, str]] = set()
        for number, contact in enumerate(self.contacts):
            key = (contact.channel, contact.address, contact.name)
            if key in known:
                problems.append(
                    (
                        ("contacts", number),
                        "stands twice for one channel and contact, must stand once",
                    )
                )
            if contact.address and contact.name:
                problems.append(
                    (
                        ("contacts", number),
                        "has an address and a name, must have one of them or none",
                    )
                )
            if len(set(contact.receivers)) < len(contact.through):
                problems.append(
                    (("contacts", number, "through"), "names a receiver twice, must name each once")
                )
            known.add(key)
        return problems

    def _bad_url(self) -> list[Problem]:
        if not self.public_url or self.public_url.startswith(("https://", "http://")):
            return []
        return [
            (("public_url",), f"is {self.public_url!r:.60}, must begin with https:// or http://")
        ]


class Receiver(NamedTuple):
    """A named destination: its kind, and its settings, an instance of the kind's model."""

    kind: ChannelKind
    config: BaseModel


class Receivers(NamedTuple):
    """A receivers file that is good."""

    path: Path
    document: Document
    part: ReceiversPart
    receivers: Mapping[str, Receiver]

    @property
    def contacts(self) -> Contacts:
        """Whom to reach through what."""
        routes = [
            ContactRoute(
                contact.channel,
                contact.address,
                contact.name,
                tuple(contact.receivers),
                contact.addresses,
            )
            for contact in self.part.contacts
        ]
        return Contacts(routes)

    @property
    def rules(self) -> Rules:
        """How the ledger is to treat them."""
        own = {
            kind: tuple(
                Limit(item.sends, item.within)
                for item in sorted(parts, key=lambda part: part.within)
            )
            for kind, parts in self.part.limits.items()
        }
        delivery = self.part.delivery
        return Rules(
            kinds={name: receiver.kind for name, receiver in self.receivers.items()},
            limits={kind: tuple(parts) for kind, parts in limits.DEFAULT.items()} | own,
            page_deadline_ms=delivery.page_deadline,
            message_deadline_ms=delivery.message_deadline,
            give_up_ms=delivery.give_up_after,
        )


def read(path: str | Path, registry: Registry) -> Receivers:
    """The file. Raises BadFile with every mistake in it."""
    file = Path(path)
    document = yaml_file.parse_mapping(
        file, yaml_file.bytes_of(file), "receivers (docs/NOTIFIER.md)"
    )
    model = model_of(frozenset(registry.items()))
    try:
        part = model.model_validate(document.data)
    except ValidationError as error:
        raise yaml_file.validation_refusal(file, document, error, model) from None
    return Receivers(
        file, document, part, {name: _receiver(item) for name, item in part.receivers.items()}
    )


@cache
def model_of(registry: frozenset[tuple[ChannelKind, Any]]) -> type[ReceiversPart]:
    """The model of the file, with a key for each kind of channel that there is."""
    kinds = sorted(registry, key=lambda item: list(ChannelKind).index(item[0]))
    fields: dict[str, Any] = {str(kind): (channel.config | None, None) for kind, channel in kinds}
    receiver = create_model("Receiver", __base__=_OneKind, **fields)
    named = Annotated[dict[ReceiverName, receiver], Field(min_length=1, max_length=RECEIVERS_MAX)]  # type: ignore[valid-type]  # made above
    return create_model("Receivers", __base__=ReceiversPart, receivers=(named, ...))


class _OneKind(Part):
    @model_validator(mode="after")
    def _has_one_kind(self) -> Self:
        if len(self.model_fields_set) != 1 or _receiver(self).config is None:
            known = ", ".join(type(self).model_fields)
            raise ValueError(
                f"has {len(self.model_fields_set)} kinds, must have exactly one of {known}"
            )
        return self


def _receiver(part: Any) -> Receiver:
    (kind,) = part.model_fields_set
    return Receiver(ChannelKind(kind), getattr(part, kind))


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    names = list(known)
    hint = did_you_mean(name, names) or f", must be one of {', '.join(names[:20])}"
    return f"is {name!r}, which is no receiver{hint}"


def missing_secrets(receivers: Receivers) -> list[Mistake]:
    """Secrets that cannot be read here and now, as warnings."""
    mistakes = []
    for name, (kind, config) in receivers.receivers.items():
        for secret in (*getattr(config, "secrets", ()), *getattr(config, "optional_secrets", ())):
            try:
                config.secret(secret)  # type: ignore[attr-defined]  # `app.notifier.channels.config.ChannelConfig` has it
            except TryAgain as error:
                where = ("receivers", name, str(kind))
                mistakes.append(
                    yaml_file.mistake_at(
                        receivers.path, receivers.document, where, f"warning: {error}"
                    )
                )
    return mistakes

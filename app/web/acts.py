"""What somebody does with an incident by a form: the same commands, and the same answers, as the API has."""

from aiohttp import web

from app.bridge.access.authorization import asker_of
from app.bridge.commands.answers import NOT_ANSWERED, Outcome, status_of
from app.bridge.commands.merges import refusal_of_merge
from app.bridge.parts import BridgeParts
from app.intake.commands import command_of, command_value, partition_of_incident
from app.web.forms import FORM_OF, ActForm, document_of, fill
from app.web.incident_page import IncidentPages, Said
from app.web.renderer import caller_of
from app.web.security import Form, give_name, read_form, take_name
from models.reason import BadInput, Reason

_NOT_ANSWERED = f"{NOT_ANSWERED[:1].upper()}{NOT_ANSWERED[1:]}. Load the page again to see."


class ActPages:
    """Takes the forms of an incident."""

    def __init__(self, parts: BridgeParts, incidents: IncidentPages) -> None:
        self._parts, self._incidents = parts, incidents

    async def post(self, request: web.Request) -> web.Response:
        """Carry out a command, and answer with the incident and what came of it."""
        incident, values = request.match_info["incident"], await read_form(request)
        form = FORM_OF.get(command_of(request.match_info["command"]))
        if form is None:
            raise BadInput(Reason.UNKNOWN_KIND, "this command has no form")
        given = take_name(request, values)
        by = given or caller_of(request).name
        try:
            answer = await self._carry_out(request, incident, form, values, by)
        except BadInput as refusal:
            return await self._again(request, incident, form, values, refusal)
        response = await self._incidents.page(request, incident, answer)
        give_name(request, response, given)
        return response

    async def _carry_out(
        self, request: web.Request, incident: str, form: ActForm, values: Form, by: str
    ) -> Said:
        """What came of it. Raises BadInput when a field is wrong, and LogUnavailable."""
        if not by:
            raise BadInput(Reason.MALFORMED, "by: is missing, must be your name")
        settings, policy = self._parts.settings, self._parts.policy()
        partition = partition_of_incident(incident, settings.partitions)
        document = document_of(form, values, by)
        value = command_value(
            incident,
            form.command,
            document,
            self._parts.log.now_ms(),
            policy.policy.teams,
            asker_of(request).signature_of,
        )
        view = self._parts.board.view.incidents
        refusal = await refusal_of_merge(view, form.command, document, settings.partitions)
        if refusal is not None:
            return _said(form, Outcome(refusal=refusal))
        outcome = await self._parts.answers.send(incident, partition, value)
        return _said(form, outcome)

    async def _again(
        self, request: web.Request, incident: str, form: ActForm, values: Form, refusal: BadInput
    ) -> web.Response:
        report = await self._incidents.report(incident)
        snapshot, policy = report["incident"], self._parts.policy()
        filled = fill(form, snapshot, policy, report["tasks"], values, refusal.message)
        answer = Said(400, good=False, heading=f"{form.verb}: not sent", texts=(refusal.message,))
        return await self._incidents.page(request, incident, answer, filled)


def _said(form: ActForm, outcome: Outcome | None) -> Said:
    if outcome is None:
        return Said(202, good=True, heading=f"{form.verb}: accepted", texts=(_NOT_ANSWERED,))
    if outcome.refusal is not None:
        reason, message = outcome.refusal
        return Said(
            status_of(reason), good=False, heading=f"{form.verb}: refused", texts=(message,)
        )
    return Said(200, good=True, heading=f"{form.verb}: done", texts=tuple(outcome.texts))

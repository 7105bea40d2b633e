"""`POST /api/v1/incidents`: a person opens an incident."""

from aiohttp import web

from app.bridge.access.authorization import asker_of
from app.bridge.access.request_bodies import Bodies
from app.bridge.commands.answers import CommandAnswers
from app.bridge.commands.openings import Openings
from app.bridge.connections.responses import json_response
from app.intake.commands import partition_of_incident
from models.command import Command
from models.journal import encode_command
from models.wire import OpenRequest

PATH = "/api/v1/incidents"
NOT_OPENED_YET = "no worker has answered yet; the incident will be opened"


class OpeningRoutes:
    """The resource."""

    def __init__(
        self, openings: Openings, answers: CommandAnswers, bodies: Bodies, partitions: int
    ) -> None:
        self._openings, self._answers, self._bodies = openings, answers, bodies
        self._partitions = partitions

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [web.post(PATH, self._post)]

    async def _post(self, request: web.Request) -> web.Response:
        body = OpenRequest.of(await self._bodies.read_json(request))
        by = asker_of(request).signature_of(body.by)
        snapshot = await self._openings.open(body, by)
        if snapshot is None:
            return json_response({"status": "accepted", "text": NOT_OPENED_YET}, 202)
        if body.team and snapshot["owner"] != body.team:
            # No label of the policy means this team, or it joined an incident of another one.
            incident = snapshot["incident"]
            partition = partition_of_incident(incident, self._partitions)
            value = encode_command(Command.ASSIGN, incident, by, text=body.text, team=body.team)
            outcome = await self._answers.send(incident, partition, value)
            snapshot = (outcome and outcome.snapshot) or snapshot
        names = ("incident", "state", "severity", "owner")
        answer = {"status": "success", **{name: snapshot[name] for name in names}}
        return json_response(answer | {"snapshot": snapshot}, 201)

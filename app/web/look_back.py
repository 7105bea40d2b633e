"""Looking back: what came in and went out, targets and availability of the month, and what woke people."""

from aiohttp import web
from markupsafe import Markup

from app.bridge.board.activity import night_zone
from app.bridge.parts import BridgeParts
from app.render.activity_svg import NARROW, WIDE, activity_svg
from app.report.activity import HOUR_MS, NIGHT
from app.report.availability import availability_rows, month_of
from app.web.renderer import Renderer

PERIODS = {"24 hours": 24, "7 days": 7 * 24, "31 days": 31 * 24}
NOISE_SHOWN = 50


class LookBackPages:
    """The page of one bridge."""

    def __init__(self, parts: BridgeParts, renderer: Renderer) -> None:
        self._parts, self._renderer = parts, renderer

    async def get(self, request: web.Request) -> web.Response:
        """The page, for the period that is asked for."""
        period = request.query.get("period", "")
        period = period if period in PERIODS else "24 hours"
        board, policy = self._parts.board, self._parts.policy().policy
        now_ms = self._parts.log.now_ms()
        month, zone = month_of("", now_ms), night_zone(policy)
        ledger = await board.activity.ledger()
        hours = ledger.hours(PERIODS[period], now_ms)
        noise = ledger.noise(now_ms - PERIODS[period] * HOUR_MS, zone)
        outages = await board.outages.ledger()
        return await self._renderer.page(
            request,
            "look_back.html",
            period=period,
            periods=list(PERIODS),
            # The drawing escapes each text that it has.
            wide=Markup(activity_svg(hours, WIDE)),  # noqa: S704
            narrow=Markup(activity_svg(hours, NARROW)),  # noqa: S704
            totals={
                "alerts": sum(hour.alerts for _, hour in hours),
                "incidents": sum(hour.incidents for _, hour in hours),
                "messages": sum(hour.messages for _, hour in hours),
                "pages": sum(hour.pages for _, hour in hours),
            },
            noise=noise[:NOISE_SHOWN],
            noise_more=len(noise) - len(noise[:NOISE_SHOWN]),
            night=NIGHT,
            zone=str(zone),
            targets=ledger.targets(month),
            services=availability_rows(policy.targets.availability, outages, month, now_ms),
        )

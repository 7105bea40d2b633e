"""What another policy would have done: a form, and the page that the replay makes."""

import base64
import hashlib
import re
from pathlib import Path

from aiohttp import web

from app.bridge.parts import BridgeParts
from app.files.policy_file import default_path
from app.web.renderer import Renderer, guarded
from app.web.security import HEADERS, read_form
from app.web.what_if_process import RunFailed, Span, WhatIfRuns
from models.text.instant import format_instant

POLICY_CHARACTERS_MAX = 200_000
USUAL_MS = 12 * 3_600_000  # the last night

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_MINUTE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?")


class WhatIfPages:
    """The form, and what came of it."""

    def __init__(self, parts: BridgeParts, renderer: Renderer) -> None:
        self._log, self._renderer = parts.log, renderer
        self._policy_file = parts.settings.policy_file
        self._runs = WhatIfRuns(parts.settings)

    async def get(self, request: web.Request) -> web.Response:
        """The form, with the last hours and the policy as it is now."""
        now_ms = self._log.now_ms()
        try:
            policy = _policy_text(self._policy_file)
        except (OSError, UnicodeDecodeError) as error:
            policy = f"# {self._policy_file} cannot be read here: {error}\n"
        return await self._form(
            request, _minute(now_ms - USUAL_MS), _minute(now_ms + 60_000), policy
        )

    async def post(self, request: web.Request) -> web.Response:
        """The page that says what the policy would have done."""
        form = await read_form(request)
        begin, end = form.get("from", "").strip(), form.get("to", "").strip()
        policy = form.get("policy", "").replace("\r\n", "\n")
        problem = _problem_of(begin, end, policy)
        if problem:
            return await self._form(request, begin, end, policy, 400, problem)
        try:
            text = await self._runs.page_of(Span(_instant(begin), _instant(end)), policy)
        except RunFailed as failure:
            return await self._form(request, begin, end, policy, 400, str(failure))
        response = guarded(web.Response(text=text, content_type="text/html"))
        response.headers["Content-Security-Policy"] = styles_policy(text)
        return response

    async def _form(
        self,
        request: web.Request,
        begin: str,
        end: str,
        policy: str,
        status: int = 200,
        problem: str = "",
    ) -> web.Response:
        values = {"begin": begin, "end": end, "policy": policy, "problem": problem}
        return await self._renderer.page(request, "what_if.html", status, **values)


def _policy_text(path: str) -> str:
    file = Path(path) if path else default_path()
    return file.read_text(encoding="utf-8")[:POLICY_CHARACTERS_MAX]


def _problem_of(begin: str, end: str, policy: str) -> str:
    """What is wrong with the form; empty when nothing is."""
    for name, text in (("from", begin), ("to", end)):
        if not _MINUTE.fullmatch(text):
            return f"{name}: is {text!r:.60}, must be a time such as 2026-11-30T03:00"
    if begin >= end:
        return f"to: is {end}, must be after {begin}"
    if not policy.strip():
        return "policy: is empty"
    if len(policy) > POLICY_CHARACTERS_MAX:
        return f"policy: has {len(policy)} characters, must have at most {POLICY_CHARACTERS_MAX}"
    return ""


def _minute(at_ms: int) -> str:
    """A time as a browser's field has it, in UTC."""
    return format_instant(at_ms)[:16]


def _instant(text: str) -> str:
    return f"{text}Z" if len(text) > len("2026-11-30T03:00") else f"{text}:00Z"


def styles_policy(text: str) -> str:
    """What a browser may do with the page: its own style sheets, told by their hashes, and no more."""
    digests = [
        base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        for style in _STYLE.findall(text)
    ]
    styles = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    ours = HEADERS["Content-Security-Policy"]
    return ours.replace("style-src 'self'", f"style-src {styles}")

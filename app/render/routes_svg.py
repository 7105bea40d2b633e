"""The ways of a policy as one SVG picture that needs nothing else, and as a page with it."""

from collections.abc import Iterator, Sequence

from app.core.rules.compiled_policy import CompiledPolicy
from app.policy.route_tree import SeverityRoute, StepRoute, TeamRoute, severity_routes, team_routes
from app.render.page import SECURITY_POLICY, escaped, shortened

MARGIN, GAP = 20, 16
LINE = 17  # from a line of text to the next
CHARACTER = 7.0  # the width of one, of the wider ones: what is too long is cut rather than run over
LEADS_SHOWN = 7
LEADS_WIDTH, TEAM_WIDTH, STEP_WIDTH, ARROW = 420, 200, 150, 24
STEPS_LEAST = 4  # of a chain, for which there is room in any case
COLOURS = {"P0": "#b3261e", "P1": "#b25e02", "P2": "#5f6b1e", "P3": "#3d5a80"}

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1d1d1f }
.name { font-weight: 600; font-size: 13px }
.head { font-weight: 600; font-size: 15px }
.faint { fill: #5c5c66; font-size: 11px }
.card { fill: #fff; stroke: #c9c9d1 }
.team { fill: #eef2fb; stroke: #8aa0d0 }
.arrow { stroke: #5c5c66; fill: none; marker-end: url(#end) }
"""


def routes_svg(rules: CompiledPolicy, title: str) -> str:
    """The picture. Everything in it that is not ours is escaped."""
    body: list[str] = []
    y = MARGIN + 14
    body.append(_text_element(MARGIN, y, title, "head"))
    routes = team_routes(rules)
    width = _cards_width(routes)
    y = _draw_severities(body, severity_routes(rules), width, y + GAP)
    for team in routes:
        y = _draw_team(body, team, y + GAP)
    height = y + MARGIN
    end = '<marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    end += '<path d="M0 0 L8 4 L0 8 z" fill="#5c5c66"/></marker>'
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    ground = f'<rect width="{width}" height="{height}" fill="#fafafb"/>'
    named = f"<title>{escaped(title)}</title>"
    return "\n".join(
        [head, named, f"<style>{_STYLE}</style><defs>{end}</defs>", ground, *body, "</svg>\n"]
    )


def routes_page(rules: CompiledPolicy, title: str) -> str:
    """A page with the picture, in one file."""
    head = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{SECURITY_POLICY}<title>{escaped(title)}</title>'
    style = "<style>body { margin: 0; background: #fafafb } svg { display: block; max-width: 100%; height: auto }</style>"
    return f"{head}\n{style}</head>\n<body>\n{routes_svg(rules, title)}</body></html>\n"


def _cards_width(routes: Sequence[TeamRoute]) -> int:
    longest = max([STEPS_LEAST, *(len(route.steps) for route in routes)])
    return 2 * MARGIN + LEADS_WIDTH + ARROW + TEAM_WIDTH + longest * (STEP_WIDTH + ARROW)


def _draw_severities(body: list[str], routes: Sequence[SeverityRoute], whole: int, y: int) -> int:
    """Draw four cards side by side; return where they end."""
    width = (whole - 2 * MARGIN - 3 * GAP) // 4
    cards = [
        [
            f"by {', '.join(item.channels) or 'nothing'}",
            *([f"also {', '.join(item.besides)}"] if item.besides else []),
            *item.lines,
        ]
        for item in routes
    ]
    height = (max(map(len, cards)) + 1) * LINE + GAP
    for number, (route, lines) in enumerate(zip(routes, cards, strict=True)):
        x = MARGIN + number * (width + GAP)
        colour = COLOURS[route.severity]
        body.append(_box_element(x, y, width, height, "card"))
        body.append(f'<rect x="{x}" y="{y}" width="5" height="{height}" fill="{colour}"/>')
        body.append(_text_element(x + 16, y + 20, route.severity, "name"))
        body += _text_lines(x + 16, y + 20 + LINE, lines, width - 24)
    return y + height


def _draw_team(body: list[str], team: TeamRoute, y: int) -> int:
    """Draw what leads to a team, the team, and its chain; return where the row ends."""
    leads = team.leads[:LEADS_SHOWN]
    if len(team.leads) > LEADS_SHOWN:
        leads.append(f"and {len(team.leads) - LEADS_SHOWN} more")
    lines = [3 + len(step.waits) for step in team.steps]
    height = max([len(leads), 5, *lines]) * LINE + GAP
    body.append(_box_element(MARGIN, y, LEADS_WIDTH, height, "card"))
    body += _text_lines(MARGIN + 10, y + 20, leads or ["nothing leads here"], LEADS_WIDTH - 16)
    x, middle = MARGIN + LEADS_WIDTH, y + height // 2
    body.append(_arrow_element(x, middle))
    x += ARROW
    body.append(_box_element(x, y, TEAM_WIDTH, height, "team"))
    body.append(_text_element(x + 10, y + 20, _cut_text(team.name, TEAM_WIDTH - 16), "name"))
    details = [
        team.team,
        *team.address.split(", "),
        *([f"hours: {team.hours}"] if team.hours else []),
    ]
    body += _text_lines(
        x + 10, y + 20 + LINE, [detail for detail in details if detail], TEAM_WIDTH - 16, "faint"
    )
    x += TEAM_WIDTH
    for step in team.steps:
        body.append(_arrow_element(x, middle))
        x += ARROW
        body += _draw_step(step, x, y, height)
        x += STEP_WIDTH
    return y + height


def _draw_step(step: StepRoute, x: int, y: int, height: int) -> Iterator[str]:
    yield _box_element(x, y, STEP_WIDTH, height, "card")
    first, second = _split_text(step.name, STEP_WIDTH - 16)
    yield _text_element(x + 8, y + 20, first, "name")
    if second:
        yield _text_element(x + 8, y + 20 + LINE - 2, second, "name")
    top = y + 20 + (2 if second else 1) * LINE
    lines = [f"{name} after {wait}" for name, wait in step.waits.items()]
    yield from _text_lines(
        x + 8, top, [*lines, step.address.partition(",")[0]], STEP_WIDTH - 12, "faint"
    )


def _split_text(text: str, width: int) -> tuple[str, str]:
    """A text in one line, or in two where it is too long for one."""
    if len(text) * CHARACTER * 1.1 <= width:
        return text, ""
    words = text.split(" ")
    half = next(
        (
            n
            for n in range(len(words) - 1, 0, -1)
            if len(" ".join(words[:n])) * CHARACTER * 1.1 <= width
        ),
        1,
    )
    return _cut_text(" ".join(words[:half]), width), _cut_text(" ".join(words[half:]), width)


def _text_lines(x: int, y: int, lines: Sequence[str], width: int, name: str = "") -> Iterator[str]:
    for number, line in enumerate(lines):
        whole = f"<title>{escaped(line)}</title>" if _cut_text(line, width) != line else ""
        yield _text_element(x, y + number * LINE, _cut_text(line, width), name, whole)


def _cut_text(text: str, width: int) -> str:
    return shortened(text, int(width / CHARACTER))


def _text_element(x: int, y: int, text: str, name: str = "", more: str = "") -> str:
    kind = f' class="{name}"' if name else ""
    return f'<text x="{x}" y="{y}"{kind}>{escaped(text)}{more}</text>'


def _box_element(x: int, y: int, width: int, height: int, name: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="{name}"/>'


def _arrow_element(x: int, y: int) -> str:
    return f'<path d="M{x + 2} {y} H{x + ARROW - 2}" class="arrow"/>'

"""The page of a comparison: one file that needs nothing else, for a pull request or a review."""

from collections.abc import Callable, Sequence

from app.render.page import SECURITY_POLICY, escaped
from app.render.style import STYLE
from app.render.whatif_svg import comparison_timeline
from app.render.whatif_text import difference_lists
from app.whatif.compare import (
    ADDED,
    AFTER,
    BEFORE,
    CHANGED,
    GONE,
    KINDS,
    Comparison,
    Fact,
    severity_of,
    tally_pairs,
    team_of,
)
from models.text.duration import format_ms

LINES_MAX = 500  # of each list

_LEGEND = (
    (
        '<rect class="bar before" x="0" y="3" width="18" height="9" rx="2"/>',
        "an incident as it was",
    ),
    ('<rect class="bar after" x="0" y="3" width="18" height="9" rx="2"/>', "as it would be"),
    ('<circle class="mark" cx="9" cy="8" r="6"/>', "page"),
    ('<rect class="mark" x="7" y="2" width="3" height="11"/>', "message"),
    ('<polygon class="mark" points="9,2 15,8 9,14 3,8"/>', "escalation"),
    ('<circle class="mark gone" cx="9" cy="8" r="6"/>', "gone"),
    ('<circle class="mark added" cx="9" cy="8" r="6"/>', "added"),
    ('<circle class="mark changed" cx="9" cy="8" r="6"/>', "changed"),
)


def comparison_page(comparison: Comparison, heading: Sequence[str], notes: Sequence[str]) -> str:
    """The page. `heading` is what is compared; `notes` are what else a reader has to know."""
    question, *facts = heading
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        SECURITY_POLICY,
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escaped(question)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escaped(question)}</h1>",
        *(f'<p class="dim">{escaped(fact)}</p>' for fact in facts),
        f'<p class="answer">{_summary_sentence(comparison)}</p>',
        f'<p class="legend">{"".join(_legend_item(*item) for item in _LEGEND)}</p>',
        f'<div class="scroll">{comparison_timeline(comparison)}</div>',
        _counts_table("In all", "", comparison, lambda _: "all"),
        _counts_table("By team", "team", comparison, team_of),
        _counts_table("By severity", "severity", comparison, severity_of),
        _times_table(comparison),
        *(_difference_list(title, lines) for title, lines in difference_lists(comparison)),
        _difference_list("What was left out", [("", note) for note in notes]),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _legend_item(shape: str, text: str) -> str:
    return f'<span><svg viewBox="0 0 18 16" aria-hidden="true">{shape}</svg> {text}</span>'


def _summary_sentence(comparison: Comparison) -> str:
    """The whole comparison in one sentence."""
    if comparison.same:
        return "Nothing would have been different."
    counts = {kind: tally_pairs(comparison.pairs(kind), lambda _: "").get("", {}) for kind in KINDS}
    pages, messages = counts["pages"], counts["messages"]

    def numbers(item: dict[str, int], name: str) -> str:
        total = f"{item.get(BEFORE, 0)} → {item.get(AFTER, 0)} {name}"
        return f'{total} (<span class="gone">-{item.get(GONE, 0)}</span>, <span class="added">+{item.get(ADDED, 0)}</span>)'

    lost = (
        (comparison.missed, "nobody would have been told of"),
        (comparison.unpaged, "nobody would have been called for"),
    )
    rest = "".join(
        f"; {change} {len(ones)} incident{'s' * (len(ones) > 1)}" for ones, change in lost if ones
    )
    return f"{numbers(pages, 'pages')}, {numbers(messages, 'messages')}{rest}."


def _counts_table(title: str, name: str, comparison: Comparison, by: Callable[[Fact], str]) -> str:
    tallies = {kind: tally_pairs(comparison.pairs(kind), by) for kind in KINDS}
    head = "".join(f"<th>{kind}</th>" for kind in KINDS)
    rows = []
    for item in sorted({count for counts in tallies.values() for count in counts}):
        cells = "".join(f"<td>{_counts_cell(tallies[kind].get(item, {}))}</td>" for kind in KINDS)
        rows.append(f"<tr><td>{escaped(item)}</td>{cells}</tr>")
    return f"<h2>{title}</h2><table><tr><th>{name}</th>{head}</tr>{''.join(rows)}</table>"


def _counts_cell(counts: dict[str, int]) -> str:
    signs = {ADDED: "+", GONE: "-", CHANGED: "~"}
    more = "".join(
        f' <span class="{verdict}">{sign}{counts[verdict]}</span>'
        for verdict, sign in signs.items()
        if counts.get(verdict)
    )
    return f"{counts.get(BEFORE, 0)} → {counts.get(AFTER, 0)}{more}"


def _times_table(comparison: Comparison) -> str:
    rows = [
        f"<tr><td>to the {label}</td>"
        f"<td>{_duration_text(before.median_ms)} → {_duration_text(after.median_ms)}</td>"
        f"<td>{_duration_text(before.max_ms)} → {_duration_text(after.max_ms)}</td>"
        f"<td>{before.number} → {after.number}</td></tr>"
        for label, (before, after) in comparison.times.items()
    ]
    head = "<tr><th>from an incident's opening</th><th>median</th><th>longest</th><th>incidents</th></tr>"
    return f"<h2>How soon</h2><table>{head}{''.join(rows)}</table>"


def _duration_text(time_ms: int | None) -> str:
    return "-" if time_ms is None else format_ms(time_ms)


def _difference_list(title: str, lines: Sequence[tuple[str, str]]) -> str:
    if not lines:
        return ""
    shown = [f'<li class="{verdict}">{escaped(text)}</li>' for verdict, text in lines[:LINES_MAX]]
    more = (
        f"<li>and {len(lines) - LINES_MAX} more: tocsin replay --verbose</li>"
        if len(lines) > LINES_MAX
        else ""
    )
    return f"<h2>{title}</h2><ul>{''.join(shown)}{more}</ul>"

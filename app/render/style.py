"""How the pages look: in the reader's colours, light or dark, on a screen and on paper."""

STYLE = """
:root {
  --back: #fff; --text: #1b1f24; --dim: #68707a; --line: #e3e6ea; --cut: #f3f4f6;
  --before: #b4bac3; --after: #7aa7e0; --mark: #4a525c;
  --added: #c8321f; --gone: #11804a; --changed: #b07300;
  --p0: #c8321f; --p1: #b07300; --p2: #1773a8; --p3: #68707a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14171b; --text: #e6e8eb; --dim: #98a1ac; --line: #2b3138; --cut: #1d2126;
    --before: #59616c; --after: #3f6ea8; --mark: #cdd3da;
    --added: #ff7a66; --gone: #4cc88a; --changed: #f0b340;
    --p0: #ff7a66; --p1: #f0b340; --p2: #6cbcf0; --p3: #98a1ac;
  }
}
body {
  background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
  margin: 24px auto; max-width: 1280px; padding: 0 16px;
}
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere }
h2 { font-size: 17px; margin: 28px 0 6px }
p { margin: 4px 0 }
.dim { color: var(--dim) }
.answer { font-size: 17px; margin: 12px 0 }
.added { color: var(--added) }
.gone { color: var(--gone) }
.changed { color: var(--changed) }
table { border-collapse: collapse; margin: 8px 0 }
th, td { padding: 3px 18px 3px 0; text-align: right }
th:first-child, td:first-child { text-align: left }
th { color: var(--dim); font-weight: 600 }
tr { border-bottom: 1px solid var(--line) }
ul { list-style: none; margin: 4px 0; padding: 0 }
li { font: 13px/1.6 ui-monospace, monospace; overflow-wrap: anywhere }
.legend span { margin-right: 18px; white-space: nowrap }
.scroll { overflow-x: auto }
.scroll svg { display: block; min-width: 900px; width: 100% }
.legend svg { vertical-align: -3px; width: 18px }
svg text { fill: var(--text); font: 12px system-ui, sans-serif }
svg .team { font-size: 14px; font-weight: 700 }
svg .id, svg .tick, svg .day { fill: var(--dim); font-size: 10.5px }
svg .tick, svg .day { text-anchor: middle }
svg .sev { font-weight: 700 }
svg .p0 { fill: var(--p0) }
svg .p1 { fill: var(--p1) }
svg .p2 { fill: var(--p2) }
svg .p3 { fill: var(--p3) }
svg .grid, svg .rule { stroke: var(--line) }
svg .thread { stroke: var(--line); stroke-width: 2 }
svg .cut { fill: var(--cut) }
svg .bar.before { fill: var(--before) }
svg .bar.after { fill: var(--after) }
svg .bar.untold { opacity: .45 }
svg .bar.gone { stroke: var(--gone) }
svg .bar.added { stroke: var(--added) }
svg .mark { fill: var(--mark); stroke: var(--back); stroke-width: 1 }
svg .mark.gone { fill: var(--back); stroke: var(--gone); stroke-width: 2 }
svg .mark.added { fill: var(--added) }
svg .mark.changed { fill: var(--changed) }
@media print { body { margin: 0; max-width: none } }
"""

"""Files of policy tests."""

FAILING = """\
tests:
  - name: The wrong order
    do:
      - {at: 0s, fire: {alertname: ServiceDown, component: shop}}
      - {at: 16m}
    expect:
      pages: 3
      escalations:
        - {at: 2m, to: Lead SRE, step: 2}
        - {at: 7m, to: CTO, step: 4}
      incidents: [{component: shop, severity: P1, notified: null}, {component: web}]
      notifications:
        contains: [{at: 0s, to: {contains: hands}}, {at: 2m, incident: shop, kind: opened, channel: pager}, {kind: nothing}]
        lacks: [{at: [1m, 3m], channel: pager, to: {matches: "Lead.*"}}]
      tasks: {none: true}
      refused: {count: 1}
  - name: It passes
    do:
      - {at: 0s, fire: {alertname: ServiceDown, component: shop}}
    expect: {pages: 1}
"""

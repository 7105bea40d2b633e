"""Where something is: the component that an alert is about, and its scope. Together they are one key.

The component is for people. The scope (cluster, namespace, environment) tells a component from its
namesake elsewhere. The key is the journal key of the component's actor, so alerts of one place meet
in one actor.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import orjson

_LIST = '["'  # how the key of a component with a scope begins
_OWN = re.compile("(.+)/[0-9a-f]{16}", re.DOTALL)  # what no label names: alertname and fingerprint


def component_name(component: str) -> str:
    """A component as people say it: without a fingerprint."""
    own = _OWN.fullmatch(component)
    return own[1] if own else component


class Place(NamedTuple):
    """A component and its scope, for example `api` and `cluster eu, namespace shop`."""

    component: str
    scope: str = ""  # empty where no label says one

    @property
    def key(self) -> str:
        """The component, or a JSON list of both where there is a scope."""
        return _key_of(self.component, self.scope)

    @property
    def group(self) -> str:
        """Both, in the name of a rule's group: it tells each place from all others."""
        return f"{self.component} ({self.scope})" if self.scope else self.component

    @property
    def title(self) -> str:
        """Both, for people."""
        name = component_name(self.component)
        return f"{name} ({self.scope})" if self.scope else name


@lru_cache(maxsize=4096)  # asked several times for each alert that is news
def _key_of(component: str, scope: str) -> str:
    if scope or component.startswith(_LIST):
        return orjson.dumps([component, scope]).decode()
    return component


def place_from(key: str) -> Place:
    """The place of a key. Any text is one: what is not such a list is a component without a scope."""
    if key.startswith(_LIST):
        try:
            parts = orjson.loads(key)
        except orjson.JSONDecodeError:
            return Place(key)
        if len(parts) == 2 and all(isinstance(part, str) for part in parts):
            return Place(*parts)
    return Place(key)

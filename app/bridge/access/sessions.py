"""A login of a browser: a cookie that proves that somebody had a token, and not the token itself.

The cookie is `NAME~EXPIRES~MAC`. The MAC's key is the token's digest, which only bridges know. So
no bridge has to remember a login, a restart ends none, and a token that is taken back ends all of
its logins.
"""

import hashlib
import hmac
import re

from app.bridge.access.tokens import TokenHolder, Tokens

COOKIE = "tocsin_session"
LASTS_SECONDS = 12 * 3600  # one turn of duty; then the token is asked for again

_COOKIE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})~([0-9]{1,12})~([0-9a-f]{64})", re.ASCII)


def new_session(holder: TokenHolder, now_s: int) -> str:
    """The cookie's value for whoever proved to have the holder's token. `now_s`: since 1970."""
    expires_s = now_s + LASTS_SECONDS
    return f"{holder.name}~{expires_s}~{_mac(holder, expires_s)}"


def session_holder(tokens: Tokens, cookie: str, now_s: int) -> TokenHolder | None:
    """Whose login a cookie is; None for one that is over, or that no bridge gave."""
    parts = _COOKIE.fullmatch(cookie)
    if parts is None or int(parts[2]) <= now_s:
        return None
    valid = [
        holder
        for holder in tokens.named(parts[1])
        if hmac.compare_digest(_mac(holder, int(parts[2])), parts[3])
    ]
    return valid[0] if valid else None


def _mac(holder: TokenHolder, expires_s: int) -> str:
    text = f"tocsin session {holder.name} {expires_s}"
    return hmac.new(holder.digest, text.encode(), hashlib.sha256).hexdigest()

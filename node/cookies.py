"""Cookies, for the clients of a process that runs for years: none are taken.

What a server leaves with us would stay in memory and come back with every request, so a hostile one could grow both.
"""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy


def no_cookies() -> CookieJar:
    """A jar that stays empty."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))

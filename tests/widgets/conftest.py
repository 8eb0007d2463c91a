"""Widgets in small apps, which are waited for no longer than they need."""

from tests import idle

idle.install()

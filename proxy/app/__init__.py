"""Composition root: configuration → objects → a running server. The only place that wires."""

from proxy.app.pages import login_link as login_link
from proxy.app.settings import Settings as Settings
from proxy.app.worker import App as App

"""Talking to a provider over HTTP: connections, and the way of a request that all protocols share."""

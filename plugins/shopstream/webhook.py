"""Alerts to whoever wants them: an HTTP POST of one JSON object."""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from shopstream.config import ConfigError, alert_webhook

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10


def post(alert: Mapping[str, Any]) -> bool:
    """Send an alert to SHOPSTREAM_ALERT_WEBHOOK.

    Whatever goes wrong is logged and no more: an alert that cannot be sent must not hide what it is about.

    Args:
        alert: What is sent as JSON.

    Returns:
        Whether it was sent and accepted; false also where no webhook is configured.
    """
    try:
        url = alert_webhook()
    except ConfigError as error:
        log.error("no alert is sent: %s", error)
        return False
    if not url:
        return False
    body = json.dumps(alert, default=str).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            log.info("alert sent to %s: %d", urlsplit(url).hostname, answer.status)
    except (OSError, ValueError, HTTPException) as error:
        # The address may carry a secret in its path: only its host is named, and no message that may quote it.
        reason = type(error).__name__ if isinstance(error, HTTPException) else error
        log.error("the alert webhook at %s did not accept the alert: %s", urlsplit(url).hostname, reason)
        return False
    return True

"""Channels: broadcast to the tasks of one process, of one machine or of many."""

from __future__ import annotations

from framework.channels.backends import Backend
from framework.channels.channels import Channels, ChannelsStatistics
from framework.channels.event_streams import stream_events
from framework.channels.events import Event
from framework.channels.subscriptions import Overflow, Subscription
from framework.exceptions import ChannelsUnavailable

__all__ = [
    "Backend",
    "Channels",
    "ChannelsStatistics",
    "ChannelsUnavailable",
    "Event",
    "Overflow",
    "Subscription",
    "stream_events",
]

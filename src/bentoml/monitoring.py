"""What a monitor is made of: `bentoml.monitoring.MonitorBase` is what a class of your own inherits from."""

from __future__ import annotations

from .sdk.monitoring.monitor import DataType, MonitorBase, NoOpMonitor, Record, Role, monitor

__all__ = ["DataType", "MonitorBase", "NoOpMonitor", "Record", "Role", "monitor"]

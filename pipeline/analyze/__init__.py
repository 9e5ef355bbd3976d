"""From frames to distributions, cross tables, findings and figures: functions that take and return values."""

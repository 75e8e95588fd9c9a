"""Measurements of the streaming application against real servers: speed and latency (`streaming`), growth (`soak`)."""

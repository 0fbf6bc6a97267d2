"""Messages between processes: topics, wire format, lock-step, transports, the broker process."""

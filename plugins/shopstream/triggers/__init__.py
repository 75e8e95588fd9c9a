"""What the triggerer does while a task is deferred."""

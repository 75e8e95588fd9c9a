"""The two house operators: one for batch jobs, one for the streaming application."""

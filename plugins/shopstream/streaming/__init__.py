"""Judging and keeping up the streaming application: facts, judgement, decision, action, each its own module."""

"""Faults on purpose: processes that die, targets that misbehave."""

"""Damage to a migrated target: what can happen to it, and what verify must find of that."""

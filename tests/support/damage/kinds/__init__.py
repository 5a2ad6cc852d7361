"""The kinds of damage, by what they do to a target; and what is none."""

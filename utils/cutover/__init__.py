"""The switch from S9 to the Sale Module: a runbook that is a state machine in one file."""

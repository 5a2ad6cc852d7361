"""In what S9 and the target differ, record by record: who has changed what since."""

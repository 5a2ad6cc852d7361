"""Reports for people and for programs: what they hold is declared here."""

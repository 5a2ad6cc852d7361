"""Layout s9: its rows are what the transforms know. Columns without a place in the target stay in
data/extracted, and the reports list them."""

from transform.layout import Layout

LAYOUT = Layout(id_scope="", carries=False)

"""Layout s9: all parties in msg_anag, sales in msg, their lines in msg_line."""

from extract.extract_buyers import BUYERS
from extract.extract_producers import PRODUCERS
from extract.extract_sales import SALES_WITH_LINES

ENTITIES = (BUYERS, PRODUCERS, SALES_WITH_LINES)

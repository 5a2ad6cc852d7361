"""How a sentence looks in which a figure and its noun do not agree: "1 items"."""

from __future__ import annotations

import re

# What the tool counts, wherever it speaks of it.
NOUNS = (
    "addresses|attributes|backups|batches|buyers|bytes|characters|columns|copies|days|differences"
    "|digits|elements|entries|errors|files|findings|hours|indexes|items|keys|levels|lines|minutes"
    "|mistakes|pages|parts|places|processes|producers|reasons|records|references|requests|rows"
    "|sales|seconds|sums|tables|tries|units|values|warnings"
)
_LIKE = "(?:(?:conditional|different|further|more|other|significant|write) )?"
# Whatever may be between, but for what makes it another's noun.
_BETWEEN = "(?:(?!has |have |lacks |in |is |of )[a-z]+ ){0,2}?"
ONE_OF_MANY = re.compile(rf"(?<![\w.,:/#~+-])1 {_LIKE}(?:{NOUNS})\b(?!\.)")
AFTER_A_FIGURE = re.compile(rf"^ {_BETWEEN}(?:{NOUNS})\b")

"""The documents say what the program does."""

from __future__ import annotations

import re

from tests.support.documents.readme_blocks import README, inserted
from tests.support.places import ROOT


def test_the_readme_shows_the_help_texts_and_settings_of_this_version() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == inserted(text), "run: python -m tests.support.documents.readme_blocks"


def test_every_make_target_that_the_readme_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", README.read_text(encoding="utf-8"), re.M))
    assert named >= {"demo", "test", "lint"}
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target

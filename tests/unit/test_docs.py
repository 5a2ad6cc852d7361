"""The documents say what the program does, and lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from migrate import cli
from tests.support.documents.doc_blocks import BLOCKS, inserted
from tests.support.places import ROOT
from utils.cli.choice import Choice
from utils.settings.config_file import load_config
from utils.version import VERSION

PACKAGES = ("extract", "transform", "validate", "load", "utils")
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
]
# What is planned, or was once: it may name files that are not there.
_OTHER_TIMES = {"CHANGELOG.md"}
# The files of the worked examples, which tests make from the pages.
_EXAMPLES = ("corner_shop", "payments", "NAME")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")
_FILE = re.compile(rf"(?:{'|'.join((*PACKAGES, 'tests', 'docs', '.ci'))})/[\w./-]*\w")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors_of(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", BLOCKS)
def test_generated_parts_are_those_of_this_version(page: str) -> None:
    assert text_of(page) == inserted(page, text_of(page)), (
        "run: python -m tests.support.documents.doc_blocks"
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: str) -> None:
    for target in _LINK.findall(_FENCE.sub("", text_of(page))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors_of(path.relative_to(ROOT).as_posix()), target


@pytest.mark.parametrize("page", [page for page in PAGES if page not in _OTHER_TIMES])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    text = text_of(page)
    shown = [*_CODE.findall(_FENCE.sub("", text)), *(code for _, code in _FENCE.findall(text))]
    for name in {name for code in shown for name in _FILE.findall(code)}:
        planned = any(word in name for word in _EXAMPLES)
        assert planned or (ROOT / name).exists(), name


def test_every_file_that_the_code_names_is_there() -> None:
    """In docstrings and comments, where it says where something is."""
    for path in [ROOT / "migrate.py", *(p for top in PACKAGES for p in (ROOT / top).rglob("*.py"))]:
        for name in _FILE.findall(path.read_text(encoding="utf-8")):
            there = (ROOT / name).exists() or (ROOT / f"{name}.py").exists()
            assert there, f"{path.relative_to(ROOT)} names {name}"


def test_every_room_is_in_the_picture() -> None:
    rooms = {
        f"`{path.parent.relative_to(ROOT).as_posix()}/`"
        for top in PACKAGES
        for path in (ROOT / top).rglob("__init__.py")
    }
    text = text_of("docs/architecture.md")
    assert {room for room in rooms if room not in text} == set()


def commands_in(text: str) -> Iterator[list[str]]:
    """The words after `migrate.py` of every command that a page shows."""
    fenced = [code for language, code in _FENCE.findall(text) if language == "sh"]
    inline = [code.replace("\n", " ") for code in _CODE.findall(_FENCE.sub("", text))]
    for line in [*"\n".join(fenced).splitlines(), *inline]:
        if match := re.match(r"(?:\.venv/bin/)?(?:python )?migrate\.py (?!…)(.+)", line):
            yield shlex.split(match[1], comments=True)


def test_every_command_that_a_page_shows_can_be_typed() -> None:
    shown = [words for page in PAGES for words in commands_in(text_of(page))]
    assert len(shown) > 20
    for words in shown:
        if {"--help", "--version"} & {*words}:
            continue
        with cli.make_context("migrate.py", list(words)) as context:
            typed = [*context._protected_args, *context.args]
            if typed:
                name, command, rest = cli.resolve_command(context, typed)
                assert command, words
                # A bare `restore` stands for the command as such.
                if rest or not any(each.required for each in command.params):
                    command.make_context(name, rest, parent=context)
            else:
                Choice(**{name: context.params[name] for name in Choice.__annotations__}).check()


def test_every_command_is_shown() -> None:
    with click.Context(cli) as context:
        for name in cli.list_commands(context):
            assert f"`{name}`" in text_of("README.md")


def test_every_make_target_that_a_page_names_exists() -> None:
    makefile = text_of("Makefile")
    for page in PAGES:
        text = text_of(page)
        for target in set(re.findall(r"(?:`|^)(?:\w+=\w+ )?make ([a-z]+)", text, re.MULTILINE)):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page}: {target}"


def test_every_configuration_that_is_shown_is_one(tmp_path: Path) -> None:
    text = text_of("docs/configuration.md")
    examples = re.findall(r"<!-- config: (\w+) -->\n```json\n(.*?)```", text, re.DOTALL)
    assert len(examples) == text.count("```json")
    for name, example in examples:
        path = tmp_path / f"{name}.json"
        path.write_text(example, encoding="utf-8")
        assert json.loads(example).keys() <= {"source", "target"}
        load_config(path, {"S9_PASSWORD": "planted"})


def test_the_version_has_its_section_in_the_changelog() -> None:
    headings = re.findall(r"^## (.*)$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(VERSION)}\] - \d{{4}}-\d\d-\d\d", headings[1])

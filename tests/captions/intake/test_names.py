"""Names from outside: valid on every system, visible, not too long, and never two the same."""

from __future__ import annotations

import unicodedata

import pytest

from lib_lora_train.captions.intake.names import FreeNames, UnsafePathError, parts_of, safe_name, split_ending


@pytest.mark.parametrize(("name", "safe"), [
    ("penny", "penny"), ("CON", "_CON"), ("com1", "_com1"), ("lpt9.old", "_lpt9.old"), ("COM²", "_COM²"),
    ("a<b>:c|d?*", "a_b__c_d__"), ('q"q\\/q', "q_q__q"), ("line\nbreak\ttab\0nul", "linebreaktabnul"),
    ("..hidden", "hidden"), ("ends. . ", "ends"), ("...", "image"), ("", "image"), ("   ", "image"),
    ("evil\u202egnp", "evilgnp"), ("zero\u200bwidth", "zerowidth"), ("half\ud83d", "half"),
    ("e\u0301te\u0301", "\u00e9t\u00e9"), ("猫の写真", "猫の写真"), ("a (2)", "a (2)"),
])
def test_a_name_becomes_one_that_every_system_takes(name: str, safe: str):
    assert safe_name(name) == safe
    assert safe_name(safe) == safe


@pytest.mark.parametrize("name", ["x" * 5000, "猫" * 300, "e\u0301" * 400, "." * 300 + "a" * 300, "a" * 179 + "é" * 9])
def test_a_long_name_is_cut_at_a_character(name: str):
    found = safe_name(name)
    assert 0 < len(found.encode()) <= 181 and unicodedata.is_normalized("NFC", found)
    assert not found.endswith((".", " ")) and "\ufffd" not in found


@pytest.mark.parametrize("path", ["/etc/passwd", "C:/x.png", "c:\\x.png", "\\\\server\\share\\x.png", "../x.png",
                                  "a/../../x.png", "a\\..\\x.png", "", ".", "//", "/".join("a" * 40) + "/x.png"])
def test_a_path_that_leads_elsewhere_is_refused_in_words(path: str):
    with pytest.raises(UnsafePathError) as refused:
        parts_of(path)
    assert refused.value.reason


@pytest.mark.parametrize(("path", "parts"), [("a/b/c.png", ("a", "b", "c.png")), ("./a//b.png", ("a", "b.png")),
                                             ("a\\b.png", ("a", "b.png")), ("...", ("...",)),
                                             ("a..b/c", ("a..b", "c"))])
def test_the_folders_of_a_path(path: str, parts: tuple[str, ...]):
    assert parts_of(path) == parts


@pytest.mark.parametrize(("name", "stem", "ending"), [
    ("A.PNG", "A", ".png"), ("b.jfif", "b", ".jpg"), ("c.JPE", "c", ".jpg"), ("x.tar.gz", "x.tar", ".gz"),
    ("none", "none", ""), (".png", ".png", ""), ("d.png ", "d", ".png")])
def test_the_extension_is_lower_case_and_usual(name: str, stem: str, ending: str):
    assert split_ending(name) == (stem, ending)


def test_names_that_differ_in_case_or_composition_only_get_a_number():
    names = FreeNames({"Penny.txt", "e\u0301.png"})
    assert names.free("penny", (".png", ".txt")) == "penny-2"
    assert names.free("PENNY", (".png", ".txt")) == "PENNY-3"
    assert names.free("\u00e9", (".png",)) == "\u00e9-2"
    assert names.free("STRASSE", (".png",)) == "STRASSE"
    assert names.free("straße", (".png",)) == "straße-2"

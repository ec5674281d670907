"""The library of test prompts: named sets, for any LoRA, never lost."""

from __future__ import annotations

import errno
import itertools

import pytest

from lib_lora_train.errors import ConfigError
from lib_lora_train.ui.runs.prompts import with_trigger
from lib_lora_train.ui.testing.prompt_sets import RECOMMENDED, PromptSets
from tests.crashes import killed_at, refused_in_turn
from tests.standin.lora_file import write_lora
from tests.ui.test_nonsense import NONSENSE


@pytest.fixture
def sets(tmp_path):
    return PromptSets(tmp_path / "sets")


def own(sets):
    return {one["name"]: one["prompts"] for one in sets.all() if not one["fixed"]}


def texts(folder):
    """What the files of sets hold, in use or removed."""
    return sorted(path.read_text() for path in folder.rglob("*.txt"))


def test_a_set_is_saved_renamed_replaced_and_removed_and_nothing_is_lost(sets, tmp_path):
    assert own(sets) == {} and sets.all()[0]["name"] == RECOMMENDED
    sets.save("Portraits", "{trigger}, close-up\n\n  from   side \n", replace=False)
    assert own(sets) == {"Portraits": ["{trigger}, close-up", "from side"]}
    with pytest.raises(ConfigError, match="There is a set 'Portraits' already"):
        sets.save("portraits", "x", replace=False)
    sets.save("portraits", "x", replace=True)
    sets.rename("Portraits", "Faces")
    sets.rename("Faces", "faces")
    assert own(sets) == {"faces": ["x"]}
    sets.remove("Faces")
    assert own(sets) == {} and texts(tmp_path) == ["x\n", "{trigger}, close-up\nfrom side\n"]


def test_sets_as_text_come_back_the_same(sets, tmp_path):
    sets.save("One", "# not a heading\n(a:1.2), [b], <lora:x:1>\n{trigger}", replace=False)
    sets.save("Zwei ü", "日本語", replace=False)
    other = PromptSets(tmp_path / "other")
    assert other.take("\ufeff" + sets.text().replace("\n", "\r\n"), "") == ["One", "Zwei ü"]
    assert own(other) == own(sets)
    assert other.take(sets.text("One"), "") == ["One 2"] and own(other)["One 2"] == own(sets)["One"]
    assert other.take("a\nb", "my file") == ["my file"] and other.take("a", "") == ["Imported"]


@pytest.mark.parametrize("text", ["", " \n\n", "# Only a heading\n", "# ../x\na", "# CON\na", "# Recommended\na",
                                  "# Fine\na\n# a/b\nb", "a\n" * 201, "x" * 2001, "\ud800"])
def test_text_that_cannot_be_taken_saves_nothing(sets, text, tmp_path):
    with pytest.raises(ConfigError):
        sets.take(text, "")
    assert own(sets) == {} and texts(tmp_path) == []


def test_a_set_that_cannot_be_read_is_said_and_left(sets, tmp_path):
    sets.save("a", "x", replace=False)
    file = tmp_path / "sets" / "a.txt"
    file.unlink()
    file.mkdir()
    assert "cannot be read" in next(one["problem"] for one in sets.all() if one["name"] == "a")
    assert sets.all()[0]["prompts"]


@pytest.mark.parametrize("act", ["replace", "rename", "remove", "import"])
def test_no_prompt_is_lost_whatever_the_disk_refuses(tmp_path, act):
    folders = (tmp_path / str(number) for number in itertools.count())
    now: list[PromptSets] = []
    acts = {"replace": lambda: now[-1].save("a", "new", replace=True), "rename": lambda: now[-1].rename("a", "b"),
            "remove": lambda: now[-1].remove("a"), "import": lambda: now[-1].take("# c\nnew\n# d\nnew", "")}

    def prepare():
        folder = next(folders)
        now.append(PromptSets(folder))
        now[-1].save("a", "old one\nold two", replace=False)

    def check(sentence, at):
        assert "old one\nold two\n" in texts(now[-1]._folder), at
        assert sentence is None or str(tmp_path) in sentence

    assert refused_in_turn(acts[act], prepare, check, [errno.ENOSPC, errno.EACCES, errno.EROFS])
    for number in itertools.count(1):
        prepare()
        ended = killed_at(number, acts[act])
        check(None, number)
        if not ended:
            break


def test_the_trigger_word_is_put_in_its_place():
    prompts = ["{trigger}", "{trigger}, hat", "a photo of {trigger}, hat", "plain {other}"]
    assert with_trigger(prompts, "pen, girl") == ["pen, girl", "pen, girl, hat", "a photo of pen, girl, hat",
                                                  "plain {other}"]
    assert with_trigger(prompts, " ") == ["hat", "a photo of hat", "plain {other}"]


def test_the_routes(tab):
    assert [one["fixed"] for one in tab.get("prompt-sets").json()["sets"]] == [True]
    answer = tab.post("prompt-sets", {"name": "Portraits", "text": "{trigger}, close-up"})
    assert answer.status_code == 200 and len(answer.json()["sets"]) == 2
    assert "Replace" not in tab.post("prompt-sets", {"name": "Portraits", "text": "x"}).json()["error"]
    assert tab.post("prompt-sets/import", {"text": "# Portraits\nx"}).json()["added"] == ["Portraits 2"]
    assert tab.post("prompt-sets/rename", {"name": "Portraits 2", "new_name": "More"}).status_code == 200
    assert tab.post("prompt-sets/remove", {"name": "More"}).status_code == 200
    exported = tab.get("prompt-sets/file", name="Portraits").json()
    assert exported == {"text": "# Portraits\n{trigger}, close-up\n", "file_name": "Portraits.txt"}
    assert "no set" in tab.get("prompt-sets/file", name="nowhere").json()["error"]
    assert "comes with Train LoRA" in tab.post("prompt-sets", {"name": RECOMMENDED, "text": "x"}).json()["error"]


def test_a_plot_of_any_lora_has_its_trigger_word(tab, webui_scripts):
    for name, tag in (("a", "penny"), ("b", "")):
        write_lora(tab.services.host.lora_dir / f"{name}.safetensors", {"modelspec.trigger_phrase": tag})
    for name, drawn in (("a", "penny, hat"), ("b", "hat")):
        run = tab.post("lora/test", {"name": name}).json()["id"]
        plot = tab.post(f"runs/{run}/plots", {"kind": "epochs", "prompts": ["{trigger}, hat"], "files": [name],
                                              "width": 64, "height": 64, "steps": 1})
        assert plot.status_code == 200, plot.text
        assert plot.json()["prompts"] == [drawn]
        assert tab.get(f"runs/{run}/test").json()["tag"] == ("penny" if name == "a" else "")


def test_a_lora_that_a_tool_has_made_has_the_trigger_word_of_its_card(tab):
    write_lora(tab.services.host.lora_dir / "a.safetensors", {})
    job = {"lora": "a", "network_dim": 2, "output_name": "new"}
    run = tab.post("tools", {"command": "resize", "job": job}).json()["id"]
    tab.wait_for(run, "finished")
    write_lora(tab.services.host.lora_dir / "new.safetensors", {})  # the scripted worker writes no tensors
    assert tab.post("tools/card", {"name": "new", "changes": {"activation_text": "penny"}}).status_code == 200
    opened = tab.post("lora/test", {"name": "new"}).json()["id"]
    facts = tab.get(f"runs/{opened}/test").json()
    assert (facts["tag"], facts["prompts"]) == ("penny", ["penny"])


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_is_no_server_error(tab, value):
    for route, body in (("", {"name": value, "text": "x"}), ("", {"name": "x", "text": value}),
                        ("/rename", {"name": value, "new_name": value}), ("/remove", {"name": value}),
                        ("/import", {"text": value, "name": value}), ("/import", {"text": "x", "name": value})):
        assert tab.post(f"prompt-sets{route}", body).status_code < 500, (route, body)

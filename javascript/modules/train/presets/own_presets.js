/** User presets: saved from the form, renamed, deleted, and exported as files. */

import {dialog} from "../../core/dialog.js";
import {api, failureOf, fill, h, setText} from "../../core/dom.js";
import {button, toast} from "../../core/parts.js";
import {saveText} from "./export_settings.js";
import {form} from "../form.js";

/** @typedef {import("../answers").OwnPreset} OwnPreset */

/** @param {(presets: OwnPreset[]) => void} changed called with the new list */
export function openSavePreset(changed) {
    const problem = h("p", {class: "tl-field-problem", role: "alert"});
    const name = h("input", {type: "text", class: "tl-input", id: "tl_preset_name", autocomplete: "off",
        maxlength: "80", on: {keydown: (event) => {
            if (event.key === "Enter") save(false);
        }, input: () => {
            replace.hidden = true;
        }}});
    const replace = button("Replace it", {kind: "danger", hidden: true, click: () => save(true)});
    const window = dialog("Save as a preset", [h("label", {for: "tl_preset_name"}, "Name"), name,
        h("p", {class: "tl-note"}, "Saves every setting that differs from its default, except folders, the model, the " +
            "LoRA's name and its trigger word."), problem],
    [replace, button("Save", {kind: "primary", id: "tl_preset_save", click: () => save(false)})]);
    name.focus();

    /** @param {boolean} replaced */
    async function save(replaced) {
        setText(problem, "");
        try {
            const body = {name: name.value, values: form.job(), replace: replaced};
            const {presets, note} = await api("own-presets", {body, quiet: true});
            window.close();
            changed(presets);
            if (note) toast("info", form.inWords(note));
        } catch (error) {
            const {message} = failureOf(error);
            setText(problem, form.inWords(message));
            replace.hidden = !message.startsWith("There is a preset");
        }
    }
}

/** @param {OwnPreset[]} presets @param {(presets: OwnPreset[]) => void} changed called with the new list */
export function openPresets(presets, changed) {
    const list = h("ul", {class: "tl-preset-list"});
    const problem = h("p", {class: "tl-field-problem", role: "alert"});
    const window = dialog("Your presets", [list, problem], [button("Close", {click: () => window.close()})]);
    window.id = "tl_presets_own";

    /** @param {"rename"|"remove"} what @param {object} body */
    async function ask(what, body) {
        setText(problem, "");
        try {
            const answer = await api(`own-presets/${what}`, {body, quiet: true});
            show(answer.presets);
            changed(answer.presets);
        } catch (error) {
            setText(problem, failureOf(error).message);
        }
    }

    /** @param {string} name */
    async function download(name) {
        try {
            const {text, file_name: file} = await api("own-presets/file", {body: {name}, quiet: true});
            saveText(file, text);
        } catch (error) {
            setText(problem, failureOf(error).message);
        }
    }

    /** @param {OwnPreset[]} shown */
    function show(shown) {
        fill(list, shown.length ? shown.map(({name}) => row(name)) : h("li", {}, "No presets yet."));
    }

    /** @param {string} name */
    function row(name) {
        const box = h("input", {type: "text", class: "tl-input", value: name, maxlength: "80", "aria-label": `Name of ${name}`,
            on: {input: () => {
                rename.hidden = box.value.trim() === name || !box.value.trim();
            }}});
        const rename = button("Rename", {small: true, hidden: true, click: () => ask("rename",
            {name, new_name: box.value})});
        const sure = button("Delete permanently", {small: true, kind: "danger", hidden: true, click: () => ask("remove", {name})});
        const remove = button("Delete", {small: true, kind: "quiet", click: () => {
            sure.hidden = false;
            remove.hidden = true;
        }});
        return h("li", {class: "tl-row"}, box, rename, button("Save as a file", {small: true, icon: "file",
            click: () => download(name)}), remove, sure);
    }

    show(presets);
}

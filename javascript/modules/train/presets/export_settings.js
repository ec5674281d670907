/** Exports the form as settings for other programs, to copy or save. */

import {dialog} from "../../core/dialog.js";
import {api, fill, h} from "../../core/dom.js";
import {button, toast} from "../../core/parts.js";
import {form} from "../form.js";

const FORMATS = {"sd-scripts": "Command line of sd-scripts (bash)", powershell: "Command line of sd-scripts (PowerShell)",
    toml: "Configuration file of sd-scripts (TOML)", yaml: "Job of Train LoRA (YAML)"};

export function openExport() {
    const wanted = h("select", {class: "tl-input tl-select", id: "tl_export_format", "aria-label": "Format",
        on: {change: () => ask()}}, Object.entries(FORMATS).map(([value, words]) => h("option", {value}, words)));
    const text = h("textarea", {class: "tl-input tl-textarea", rows: "14", readonly: true, spellcheck: "false",
        id: "tl_export_text", "aria-label": "Settings as text"});
    const files = h("div", {id: "tl_export_files"});
    const notes = h("div", {});
    let fileName = "";
    const save = button("Save as a file", {icon: "file", click: () => saveText(fileName, text.value)});
    const copy = button("Copy", {kind: "primary", click: () => copyText(text)});
    const window = dialog("Export settings", [wanted, text, files, notes], [save, copy]);
    window.id = "tl_export";

    async function ask() {
        save.disabled = copy.disabled = true;
        try {
            const answer = await api("export", {body: {job: form.job(), wanted: wanted.value}});
            text.value = answer.text;
            fileName = answer.file_name;
            fill(files, Object.entries(answer.files).flatMap(([name, content]) => fileBlock(name, content)));
            fill(notes, answer.notes.length ? [h("p", {}, "Some settings cannot be exported to sd-scripts:"),
                h("ul", {class: "tl-paths"}, answer.notes.map((note) => h("li", {}, form.inWords(note))))] : null);
            save.disabled = copy.disabled = false;
        } catch {
            window.close();  // already reported by a toast
        }
    }

    ask();
}

/** A second file, which the exported text names. @param {string} name @param {string} content */
function fileBlock(name, content) {
    const text = h("textarea", {class: "tl-input tl-textarea", rows: "8", readonly: true, spellcheck: "false",
        "aria-label": name});
    text.value = content;
    return [h("p", {}, `${name} is needed too. Save it in the folder that you start sd-scripts in.`), text,
        h("div", {class: "tl-row"}, [button(`Save ${name}`, {icon: "file", click: () => saveText(name, content)}),
            button(`Copy ${name}`, {click: () => copyText(text)})])];
}

/** @param {string} name @param {string} text offered as a download */
export function saveText(name, text) {
    const url = URL.createObjectURL(new Blob([text], {type: "text/plain"}));
    const link = h("a", {href: url, download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** @param {HTMLTextAreaElement} text */
export async function copyText(text) {
    try {
        await navigator.clipboard.writeText(text.value);
        toast("good", "Copied.");
    } catch {
        text.select();  // without https a page may not write to the clipboard
        toast("info", "The text is selected. Press Ctrl C to copy it.");
    }
}

/** Another name for a saved LoRA file of a run. */

import {dialog as openDialog} from "../../core/dialog.js";
import {api, h, uniqueId} from "../../core/dom.js";
import {button, toast} from "../../core/parts.js";
import {runs} from "../watch.js";

/** @param {import("../model.js").RunModel} run @param {import("../../core/types").SavedEvent} file */
export function askForFileName(run, file) {
    const id = uniqueId("file-name");
    const name = h("input", {type: "text", class: "tl-input", id, maxlength: 180, value: file.name, autocomplete: "off"});
    const save = button("Rename", {kind: "primary", click: async () => {
        save.disabled = true;
        try {
            const {name: given, note} = await api(`runs/${encodeURIComponent(run.id)}/rename-file`,
                {body: {path: file.path, name: name.value}});
            dialog.close();
            toast(note ? "warning" : "good", `${file.name} is now ${given}. ${note}`.trim());
            runs.again(run.id);
            runs.refresh();
        } catch {
            save.disabled = false;  // already reported by a toast
        }
    }});
    const dialog = openDialog(`Rename ${file.name}`, [h("div", {class: "tl-field"},
        h("label", {class: "tl-label", for: id}, "New name"), name,
        h("p", {class: "tl-note"}, "Its card, preview and notes are renamed too, and the name inside the file. Prompts that " +
            `use <lora:${file.name}:1> need the new name.`))],
    [button("Cancel", {click: () => dialog.close()}), save]);
    dialog.classList.add("tl-small-dialog");
    name.select();
}

/** The metadata of a LoRA file: title, author, tags, trigger phrase and every other entry, edited in the file. */

import {api, failureOf, fill, h, setText, uniqueId} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, card, findings, fold, toast} from "../core/parts.js";
import {showFor} from "./card.js";

/** @typedef {import("./answers").FileMetadata} FileMetadata */
/** @typedef {import("./answers").MetadataName} MetadataName */
/** @typedef {HTMLInputElement|HTMLTextAreaElement} Box */

/** @type {[MetadataName, string, string][]} name, label and note */
const FIELDS = [["title", "Title", ""], ["author", "Author", ""], ["trigger_phrase", "Trigger phrase", "what to write in a prompt"],
    ["tags", "Tags", "separated by commas"], ["description", "Description", ""], ["training_comment", "Training comment", ""]];
const TALL = ["description", "training_comment"];

export class FileMetadataCard {
    constructor() {
        this.path = "";
        /** @type {FileMetadata|null} */
        this.metadata = null;
        /** @type {Map<string, {box: Box, before: string, label: string}>} by the server's name */
        this.boxes = new Map();
        this.fields = h("div", {class: "tl-fields"});
        this.entries = h("ul", {class: "tl-entries"});
        this.count = h("span", {});
        this.more = fold(this.count, this.entries, this.addRow());
        this.said = h("div", {"aria-live": "polite"});
        this.save = button("Save into the file", {kind: "primary", small: true, id: "tl_metadata_save", click: () => this.keep()});
        this.undo = button("Undo", {small: true, id: "tl_metadata_undo", hidden: true, click: () => this.takeBack()});
        /** @type {Record<string, string|null>} */
        this.earlier = {};
        this.element = card("In the file itself", {id: "tl_metadata"}, h("p", {class: "tl-note"},
            "These texts go wherever the file goes. Only they are rewritten: the weights are copied bit for bit into a new " +
            "file, which is verified and then replaces the old one."),
        this.fields, this.more, this.said, h("div", {class: "tl-row"}, this.save, this.undo));
        this.element.hidden = true;
    }

    addRow() {
        const name = h("input", {type: "text", class: "tl-input", autocomplete: "off", spellcheck: "false",
            placeholder: "Name, such as modelspec.license", "aria-label": "Name of a new entry", id: "tl_metadata_name"});
        const add = () => {
            const key = name.value.trim();
            if (!key) return;
            if (this.boxes.has(key)) toast("info", `There is an entry ${key} already.`);
            else {
                this.entry({key, value: "", fixed: ""}, true);
                name.value = "";
            }
        };
        return h("div", {class: "tl-row"}, name, button("Add an entry", {icon: "plus", small: true, id: "tl_metadata_add", click: add}));
    }

    /** @param {string} path of the LoRA, empty for none */
    show(path) {
        this.undo.hidden = true;
        return showFor(this, path, async () =>
            this.fillIn(await api(`tools/metadata?name=${encodeURIComponent(path)}`)));
    }

    /** @param {FileMetadata} metadata */
    fillIn(metadata) {
        this.metadata = metadata;
        this.boxes.clear();
        fill(this.fields, FIELDS.map(([name, label, note]) => this.field(name, label, note, metadata.values[name])));
        fill(this.entries);
        for (const entry of metadata.entries) this.entry(entry, false);
        setText(this.count, `All other entries (${metadata.entries.length})`);
        fill(this.said, metadata.problem ? findings([{level: "error", text: metadata.problem}]) : null);
        this.fields.hidden = this.more.hidden = metadata.problem !== "";
        this.save.disabled = metadata.problem !== "";
    }

    /** @param {MetadataName} name @param {string} label @param {string} note @param {string} value */
    field(name, label, note, value) {
        const tall = TALL.includes(name);
        const box = tall ? h("textarea", {class: "tl-input tl-textarea", rows: "2"}) :
            h("input", {type: "text", class: "tl-input", autocomplete: "off", placeholder: note});
        box.id = uniqueId("metadata");
        box.value = value;
        this.boxes.set(name, {box, before: value, label});
        return h("div", {class: `tl-field${tall ? " tl-wide" : ""}`, data: {metadata: name}}, h("div", {class: "tl-field-head"},
            h("label", {class: "tl-label", for: box.id}, label)), h("div", {class: "tl-control"}, box));
    }

    /** @param {{key: string, value: string, fixed: string}} entry @param {boolean} focus */
    entry({key, value, fixed}, focus) {
        const long = value.includes("\n") || value.length > 80;
        const box = long ? h("textarea", {class: "tl-input tl-textarea", rows: "2"}) :
            h("input", {type: "text", class: "tl-input", autocomplete: "off", spellcheck: "false"});
        box.id = uniqueId("entry");
        box.value = value;
        box.readOnly = fixed !== "";
        box.title = fixed && `This cannot be changed: it is ${fixed}.`;
        if (!fixed) this.boxes.set(key, {box, before: value, label: key});
        const remove = button(`Remove ${key}`, {kind: "quiet", icon: "close", iconOnly: true, small: true, disabled: fixed !== "",
            click: () => {
                box.value = "";
                row.hidden = true;
            }});
        const row = h("li", {data: {entry: key}}, h("label", {for: box.id}, key), box, remove);
        this.entries.append(row);
        if (focus) box.focus();
    }

    async keep() {
        const changed = [...this.boxes].filter(([, {box, before}]) => box.value !== before);
        if (!changed.length) {
            toast("info", "Nothing was changed.");
            return;
        }
        const earlier = Object.fromEntries(changed.map(([name, {before}]) => [name, before || null]));
        await this.write(Object.fromEntries(changed.map(([name, {box}]) => [name, box.value || null])), earlier,
            `${format.plural(changed.length, "entry", "entries")} changed. The weights are the same as before.`);
    }

    async takeBack() {
        await this.write(this.earlier, null, "The entries are restored.");
    }

    /** @param {Record<string, string|null>} changes @param {Record<string, string|null>|null} earlier @param {string} words */
    async write(changes, earlier, words) {
        this.save.disabled = this.undo.disabled = true;
        try {
            this.fillIn(await api("tools/metadata", {body: {name: this.path, changes}, quiet: true}));
            this.earlier = earlier || {};
            this.undo.hidden = !earlier;
            toast("good", words);
        } catch (error) {
            const {message, problems} = failureOf(error);
            fill(this.said, findings((problems.length ? problems : [message]).map((text) =>
                ({level: "error", text: this.inWords(text)}))));
        }
        this.save.disabled = this.undo.disabled = false;
    }

    /** @param {string} sentence @returns {string} with the form's labels */
    inWords(sentence) {
        const field = FIELDS.find(([name]) => sentence.startsWith(`${name} `));
        return field ? field[1] + sentence.slice(field[0].length) : sentence;
    }
}

/** The card of a LoRA in the webui: trigger word, weight, notes and preview, keeps other programs' entries. */

import {api, failureOf, fill, h, setText, uniqueId, url} from "../core/dom.js";
import {button, card, findings, toast} from "../core/parts.js";
import {openPublish} from "./publish/window.js";

/** @typedef {import("./answers").Card} Card */
/** @typedef {import("./answers").CardName} CardName */

/** @type {[CardName, string, string][]} name, label and note */
const FIELDS = [["activation_text", "Activation text", "the trigger words, put into the prompt with the LoRA"],
    ["preferred_weight", "Preferred weight", "empty: the webui's default"],
    ["negative_text", "Negative prompt", ""], ["notes", "Notes", ""], ["description", "Description", ""]];
const MOST_BYTES = 5_500_000;

export class LoraCard {
    /** @param {string[]} versions that the webui knows */
    constructor(versions) {
        this.path = "";
        /** @type {Card|null} */
        this.card = null;
        /** @type {Map<CardName, HTMLInputElement|HTMLTextAreaElement|HTMLSelectElement>} */
        this.boxes = new Map();
        /** @type {Map<string, HTMLElement>} */
        this.problems = new Map();
        this.kept = h("p", {class: "tl-note"});
        this.said = h("div", {"aria-live": "polite"});
        this.picture = h("img", {class: "tl-tool-preview", alt: "Preview of the LoRA", hidden: true});
        this.file = h("input", {type: "file", hidden: true, accept: "image/png,image/jpeg,image/webp", id: "tl_card_file",
            on: {change: () => this.takePicture()}});
        this.change = button("Choose a preview", {small: true, id: "tl_card_picture", click: () => this.file.click()});
        this.save = button("Save", {kind: "primary", small: true, id: "tl_card_save", click: () => this.keep()});
        const version = h("select", {class: "tl-input tl-select"}, ["", ...versions].map((name) =>
            h("option", {value: name}, name || "not set")));
        this.element = card("Card in the webui", {id: "tl_card"},
            h("div", {class: "tl-tool-card"}, h("div", {class: "tl-tool-picture"}, this.picture, this.change, this.file),
                h("div", {class: "tl-fields"}, FIELDS.map(([name, label, note]) => this.field(name, label, note)),
                    this.labelled("sd_version", "SD version", version))),
            this.said, this.kept, h("div", {class: "tl-row"}, this.save,
                button("Publish", {small: true, id: "tl_card_publish",
                    title: "A card with settings, license and credits, and a folder ready for upload",
                    click: () => openPublish(this.path, () => this.read())})));
        this.element.hidden = true;
    }

    /** @param {CardName} name @param {string} label @param {string} note */
    field(name, label, note) {
        const box = name === "notes" || name === "description" ? h("textarea", {class: "tl-input tl-textarea", rows: "2"})
            : h("input", {type: "text", class: "tl-input", autocomplete: "off", placeholder: note});
        return this.labelled(name, label, box);
    }

    /** @param {CardName} name @param {string} label @param {HTMLInputElement|HTMLTextAreaElement|HTMLSelectElement} box */
    labelled(name, label, box) {
        box.id = uniqueId("card");
        this.boxes.set(name, box);
        const problem = h("p", {class: "tl-field-problem", "aria-live": "polite"});
        this.problems.set(name, problem);
        const wide = !["preferred_weight", "sd_version"].includes(name);
        return h("div", {class: `tl-field${wide ? " tl-wide" : ""}`, data: {card: name}}, h("div", {class: "tl-field-head"},
            h("label", {class: "tl-label", for: box.id}, label)), h("div", {class: "tl-control"}, box), problem);
    }

    /** @param {string} path of the LoRA whose card is shown, empty for none */
    show(path) {
        return showFor(this, path, () => this.read());
    }

    async read() {
        this.fillIn(await api(`tools/card?name=${encodeURIComponent(this.path)}`));
    }

    /** @param {Card} card */
    fillIn(card) {
        this.card = card;
        for (const [name, box] of this.boxes) {
            if (box instanceof HTMLSelectElement && ![...box.options].some(({value}) => value === card.values[name])) {
                box.append(h("option", {value: card.values[name]}, card.values[name]));
            }
            box.value = card.values[name];
        }
        for (const problem of this.problems.values()) setText(problem, "");
        fill(this.said, card.problem ? findings([{level: "error", text: card.problem}]) : null);
        setText(this.kept, card.kept.length ? `Other programs have written ${card.kept.join(", ")} there, which stays.` : "");
        this.save.disabled = card.problem !== "";
        this.picture.hidden = !card.preview;
        if (card.preview) this.picture.src = url(`tools/preview?name=${encodeURIComponent(this.path)}&at=${Date.now()}`);
        const label = this.change.querySelector(".tl-button-label");
        if (label) setText(label, card.preview ? "Choose another" : "Choose a preview");
    }

    async keep() {
        const {card: before} = this;
        if (!before) return;
        const changes = Object.fromEntries([...this.boxes].filter(([name, box]) => box.value !== before.values[name])
            .map(([name, box]) => [name, name === "preferred_weight" ? numberOrText(box.value) : box.value]));
        if (!Object.keys(changes).length) {
            toast("info", "Nothing was changed.");
            return;
        }
        try {
            this.fillIn(await api("tools/card", {body: {name: this.path, changes}, quiet: true}));
            toast("good", "The card is saved.");
        } catch (error) {
            this.showProblems(failureOf(error));
        }
    }

    /** @param {{message: string, problems: string[]}} failure */
    showProblems({message, problems}) {
        const others = [];
        for (const element of this.problems.values()) setText(element, "");
        for (const text of problems.length ? problems : [message]) {
            const name = [...this.problems.keys()].find((one) => text.startsWith(one));
            const label = FIELDS.find(([known]) => known === name);
            if (name) setText(/** @type {HTMLElement} */ (this.problems.get(name)), label ? text.replace(name, label[1]) : text);
            else others.push({level: "error", text: text.replace(/^preview: t/, "T")});
        }
        fill(this.said, others.length ? findings(others) : null);
    }

    async takePicture() {
        const file = this.file.files && this.file.files[0];
        this.file.value = "";
        if (!file) return;
        try {
            if (file.size > MOST_BYTES) throw new Error(`${file.name} is larger than 5.5 MB. Choose a smaller image.`);
            const {kept} = await api("tools/preview", {body: {name: this.path, picture: await asText(file)}, quiet: true});
            toast("good", kept.length ? `The preview is saved; the earlier one is kept as ${kept.join(", ")}.` :
                "The preview is saved.");
            await this.read();
        } catch (error) {
            this.showProblems(failureOf(error));
        }
    }
}

/** @param {string} text @returns {string|number} */
function numberOrText(text) {
    const value = Number(text.trim().replace(",", "."));
    return text.trim() === "" || Number.isNaN(value) ? text.trim() : value;
}

/** @param {File} file @returns {Promise<string>} as a data: address */
function asText(file) {
    return new Promise((resolve, reject) => {
        const reader = new FileReader();
        reader.addEventListener("load", () => resolve(String(reader.result)));
        reader.addEventListener("error", () => reject(new Error(`${file.name} cannot be read.`)));
        reader.readAsDataURL(file);
    });
}

/**
 * Shows a card about the LoRA at `path`; it is hidden without one, or if `read` fails.
 * @param {{path: string, element: HTMLElement}} part @param {string} path @param {() => Promise<void>} read
 */
export async function showFor(part, path, read) {
    part.path = path;
    part.element.hidden = !path;
    if (!path) return;
    try {
        await read();
    } catch {
        part.element.hidden = true;  // already reported by a toast
    }
}

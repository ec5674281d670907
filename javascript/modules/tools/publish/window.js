/** "Publish": the card of a LoRA as text, as the webui's sidecar, and as a folder ready for upload. */

import {dialog} from "../../core/dialog.js";
import {api, failureOf, fill, h, later, uniqueId} from "../../core/dom.js";
import {button, findings, fold, toast} from "../../core/parts.js";
import {ON_THIS_MACHINE} from "../../runs/manage.js";
import {copyText} from "../../train/presets/export_settings.js";
import {Differences} from "./differences.js";
import {CardImages} from "./images.js";
import {LONG_TEXTS, TEXTS, folderWords, leftOutWords, startValues} from "./words.js";

/** @typedef {import("../records").PublishPlan} PublishPlan */

/** @param {string} name a LoRA in the webui's folder, or a file that a run has saved @param {() => unknown} [written] */
export async function openPublish(name, written) {
    const plan = await api(`tools/publish?name=${encodeURIComponent(name)}`).catch(() => null);
    if (plan) new PublishWindow(plan, written || (() => {}));
}

class PublishWindow {
    /** @param {PublishPlan} plan @param {() => unknown} written */
    constructor(plan, written) {
        this.plan = plan;
        this.written = written;
        /** @type {Map<string, HTMLInputElement|HTMLTextAreaElement|HTMLSelectElement>} */
        this.boxes = new Map();
        this.changed = later(() => this.show(), 300);
        this.images = new CardImages(plan, this.changed);
        this.differences = new Differences(plan.preview);
        this.withoutDataset = h("input", {type: "checkbox", checked: true, id: "tl_publish_private",
            on: {change: this.changed}});
        this.text = h("textarea", {class: "tl-input tl-textarea", rows: "14", readonly: true, spellcheck: "false",
            id: "tl_publish_text", "aria-label": "Card as Markdown"});
        this.leftOut = h("div", {id: "tl_publish_left_out"});
        this.said = h("div", {id: "tl_publish_said", "aria-live": "polite"});
        this.copy = button("Copy the card", {click: () => copyText(this.text)});
        this.sidecar = button("Write into the webui's card", {id: "tl_publish_sidecar", click: () => this.writeSidecar()});
        this.folder = button("Make a folder for upload", {kind: "primary", icon: "folder", id: "tl_publish_folder",
            click: () => this.makeFolder()});
        this.window = dialog(`Publish ${plan.file}`, [h("div", {class: "tl-publish"}, this.form(), this.right()), this.said],
            [this.copy, this.sidecar, this.folder]);
        this.window.id = "tl_publish";
        this.showLicense();
        this.show();
    }

    form() {
        const start = startValues(this.plan);
        const license = h("select", {class: "tl-input tl-select", on: {change: () => this.showLicense()}},
            this.plan.licenses.map(([value, words]) => h("option", {value}, words)));
        const {credits} = this.plan;
        const element = h("div", {class: "tl-fields"},
            TEXTS.map(([name, label, placeholder]) => this.field(name, label, h("input", {type: "text", class: "tl-input",
                placeholder, autocomplete: "off"}))),
            this.field("license", "License", license),
            this.field("license_text", "Name of the license", h("input", {type: "text", class: "tl-input", autocomplete: "off"})),
            this.field("license_link", "Address of the license", h("input", {type: "text", class: "tl-input",
                placeholder: "https://…, or empty", autocomplete: "off"})),
            LONG_TEXTS.map(([name, label, placeholder]) => this.field(name, label, h("textarea", {class: "tl-input tl-textarea",
                rows: "3", placeholder}), true)),
            credits.length ? h("div", {class: "tl-field tl-wide"}, h("p", {class: "tl-note"}, "Credits from the file:"),
                h("ul", {class: "tl-paths"}, credits.map((line) => h("li", {}, line)))) : null,
            h("label", {class: "tl-tick tl-wide"}, this.withoutDataset,
                "Leave the names of dataset folders and the tag counts out of the copy"));
        for (const [name, box] of this.boxes) box.value = start[name];
        return element;
    }

    /** @param {string} name @param {string} label @param {HTMLInputElement|HTMLTextAreaElement|HTMLSelectElement} box @param {boolean} [wide] */
    field(name, label, box, wide) {
        box.id = uniqueId("publish");
        box.dataset.publish = name;
        box.addEventListener("input", this.changed);
        this.boxes.set(name, box);
        return h("div", {class: `tl-field${wide ? " tl-wide" : ""}`}, h("div", {class: "tl-field-head"},
            h("label", {class: "tl-label", for: box.id}, label)), h("div", {class: "tl-control"}, box));
    }

    right() {
        const {notes, tested} = this.plan;
        const text = fold("Card as text (Markdown)", this.text);
        const differences = fold("Changes to the webui's card", this.differences.element);
        differences.open = true;
        return h("div", {class: "tl-publish-right"}, findings([...tested.best.map((said) => ({level: "good", text: said})),
            ...notes.map((said) => ({level: "note", text: said}))]), this.images.element, differences,
        h("p", {class: "tl-subtitle"}, "Folder for upload"), this.leftOut, text);
    }

    showLicense() {
        const {value} = /** @type {HTMLSelectElement} */ (this.boxes.get("license"));
        for (const name of ["license_text", "license_link"]) {
            const field = /** @type {HTMLElement} */ (this.boxes.get(name)?.closest(".tl-field"));
            field.hidden = value !== "other";
        }
    }

    choices() {
        const values = Object.fromEntries([...this.boxes].map(([name, box]) => [name, box.value.trim()]));
        if (values.license !== "other") values.license_text = values.license_link = "";
        return {...values, ...this.images.values(), name: this.plan.name, without_dataset: this.withoutDataset.checked};
    }

    async show() {
        const choices = this.choices();
        try {
            const answer = await api("tools/publish/card", {body: choices, quiet: true});
            this.text.value = answer.markdown;
            this.differences.show(answer, choices.cover !== "");
            fill(this.leftOut, findings(leftOutWords(answer.left_out)));
            this.enable(true);
            fill(this.said);
        } catch (error) {
            this.fail(error);
            this.enable(false);
        }
    }

    /** @param {boolean} possible */
    enable(possible) {
        this.copy.disabled = this.sidecar.disabled = this.folder.disabled = !possible;
    }

    async writeSidecar() {
        const chosen = this.differences.values();
        if (!Object.keys(chosen.before).length && !chosen.preview) {
            toast("info", "Tick what to write into the webui's card.");
            return;
        }
        this.enable(false);
        try {
            const {kept} = await api("tools/publish/sidecar", {body: {...this.choices(), ...chosen}, quiet: true});
            if (chosen.preview) {
                this.differences.hasPreview = true;
                this.differences.ticked.set("preview", false);
            }
            await this.show();
            fill(this.said, findings([{level: "good", text: "The webui's card is written." +
                (kept.length ? ` The earlier preview is kept as ${kept.join(", ")}.` : "")}]));
            this.written();
        } catch (error) {
            await this.show();
            this.fail(error);
        }
    }

    async makeFolder() {
        this.enable(false);
        try {
            const made = await api("tools/publish/folder", {body: this.choices(), quiet: true});
            fill(this.said, findings(folderWords(made)), ON_THIS_MACHINE ? h("div", {class: "tl-row"}, button("Open folder",
                {small: true, icon: "folder", click: () => {
                    api("tools/publish/open", {body: {name: this.plan.name, folder: made.name}}).catch(() => {});
                }})) : null);
            this.said.scrollIntoView({block: "nearest"});
        } catch (error) {
            this.fail(error);
        }
        this.enable(true);
    }

    /** @param {unknown} error */
    fail(error) {
        const {message, problems} = failureOf(error);
        fill(this.said, findings((problems.length ? problems : [message]).map((text) => ({level: "error",
            text: this.inWords(text)}))));
        this.said.scrollIntoView({block: "nearest"});
    }

    /** @param {string} sentence @returns {string} with the label of the field that it begins with */
    inWords(sentence) {
        const [name] = sentence.split(/[ :]/, 1);
        const label = this.boxes.get(name)?.closest(".tl-field")?.querySelector("label")?.textContent;
        return label ? label + sentence.slice(name.length) : sentence;
    }
}

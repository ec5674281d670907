/** The dialog that imports captions from file names or from sd-scripts' metadata JSON, with a preview. */

import {dialog as openDialog} from "../../core/dialog.js";
import {failureOf, fill, h, later, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, fold, setLabel} from "../../core/parts.js";
import {previewRows} from "../dialogs.js";

const SEPARATORS = ", ; + __";
const UPLOAD = "\u0000upload";
const PARTS = {both: "caption and tags", caption: "caption only", tags: "tags only"};
const MODES = {empty: "Only images without a caption", replace: "Replace existing captions", append: "Add at the end",
    prepend: "Add at the beginning"};

/** @param {import("../set.js").CaptionSet} set */
export function importCaptions(set) {
    return new ImportWindow(set);
}

class ImportWindow {
    /** @param {import("../set.js").CaptionSet} set */
    constructor(set) {
        this.set = set;
        this.source = "names";
        /** Text and name of a local file. */
        this.text = this.fileName = "";
        this.question = 0;
        const changed = () => this.previewSoon();
        this.separators = h("input", {type: "text", class: "tl-input tl-code", id: "tl_import_separators", spellcheck: "false",
            value: SEPARATORS, on: {input: changed}});
        this.counters = tick("strip numbers, hashes and camera names", true, changed);
        this.underscores = tick("underscores are spaces", true, changed);
        this.part = select("tl_import_part", PARTS, changed);
        this.file = h("select", {class: "tl-input tl-select", id: "tl_import_json", "aria-label": "JSON file",
            on: {change: () => this.choose()}}, h("option", {value: ""}, "Choose a file"));
        this.upload = h("input", {type: "file", hidden: true, accept: ".json,application/json", id: "tl_import_upload",
            on: {change: () => this.read()}});
        this.mode = select("tl_import_mode", MODES, changed);
        this.onSelected = set.selected.size > 0;
        this.sources = radios("From", {names: "File names", metadata: "Metadata JSON of sd-scripts"}, "names", (source) => {
            this.source = source;
            this.show();
        });
        this.whom = radios("For", {selected: `${format.number(set.selected.size)} selected`,
            shown: `all ${format.number(set.numbers.length)} shown`}, this.onSelected ? "selected" : "shown", (whom) => {
            this.onSelected = whom === "selected";
            this.previewSoon();
        });
        const choice = this.whom.querySelector('[data-choice="selected"]');
        if (choice instanceof HTMLButtonElement) choice.disabled = !set.selected.size;
        this.ofNames = h("div", {class: "tl-import-rule"}, field("Separators", this.separators,
            "Separators between tags, with spaces between them. A dash with spaces around it always counts."),
        this.counters.element, this.underscores.element);
        this.ofMetadata = h("div", {class: "tl-import-rule", hidden: true},
            field("JSON file", h("div", {class: "tl-row"}, this.file, this.upload, button("Choose a file …", {icon: "file", small: true,
                click: () => this.upload.click()})), "Entries are matched by full path, by path in the dataset, then by name."),
            field("Take", this.part, ""));
        this.words = h("p", {"aria-live": "polite", id: "tl_import_words"}, "");
        this.problem = h("p", {class: "tl-field-problem", role: "alert"}, "");
        this.found = h("div", {class: "tl-import-found"});
        this.goButton = button("Write captions", {kind: "primary", id: "tl_import_go", disabled: true, click: () => this.go()});
        this.window = openDialog("Import captions", [this.sources, this.whom, this.ofNames, this.ofMetadata,
            field("Existing captions", this.mode, ""), this.problem, this.words, this.found],
        [button("Cancel", {click: () => this.window.close()}), this.goButton]);
        this.window.id = "tl_import_captions";
        this.previewSoon = later(() => this.preview(), 150);
        this.listFiles();
        this.preview();
    }

    show() {
        this.ofNames.hidden = this.source !== "names";
        this.ofMetadata.hidden = this.source !== "metadata";
        this.previewSoon();
    }

    async listFiles() {
        const answer = await this.set.ask("incoming/files").catch(() => null);
        if (!answer) return;
        this.file.append(...answer.files.map((name) => h("option", {value: name}, name)));
        if (answer.files.length && !this.file.value) this.file.value = answer.files[0];
        if (this.source === "metadata") this.previewSoon();
    }

    choose() {
        if (this.file.value !== UPLOAD) this.text = "";
        this.previewSoon();
    }

    async read() {
        const file = this.upload.files && this.upload.files[0];
        if (!file) return;
        this.text = await file.text();
        this.upload.value = "";
        this.file.querySelector(`option[value="${UPLOAD}"]`)?.remove();
        this.file.append(h("option", {value: UPLOAD}, file.name));
        this.file.value = UPLOAD;
        this.preview();
    }

    request() {
        const {source, mode} = this;
        const rule = {separators: this.separators.value, counters: this.counters.box.checked, underscores: this.underscores.box.checked};
        const metadata = this.file.value === UPLOAD ? {text: this.text} : {file: this.file.value};
        return {...this.set.target(this.onSelected), source, mode: mode.value,
            ...(source === "names" ? {rule} : {...metadata, part: this.part.value})};
    }

    async preview() {
        const mine = this.question += 1;
        setText(this.problem, "");
        this.goButton.disabled = true;
        if (this.source === "metadata" && !this.file.value) {
            setText(this.words, "Choose the JSON file that merge_captions_to_metadata.py or merge_dd_tags_to_metadata.py has written.");
            fill(this.found);
            return;
        }
        try {
            const plan = await this.set.ask("incoming/plan", this.request(), {quiet: true});
            if (mine === this.question) this.draw(plan);
        } catch (error) {
            if (mine !== this.question) return;
            setText(this.problem, failureOf(error).message);
            setText(this.words, "");
            fill(this.found);
        }
    }

    /** @param {import("../records").IncomingPlan} plan */
    draw(plan) {
        const said = [`${format.plural(plan.captions, "caption")} would be written`,
            plan.kept ? `${format.number(plan.kept)} have a caption and stay` : "",
            plan.same ? `${format.number(plan.same)} need no change` : "",
            plan.without ? `nothing found for ${format.plural(plan.without, "image")}` : "",
            plan.unreadable ? `${format.number(plan.unreadable)} that cannot be read are left alone` : "",
            plan.outside ? `${format.number(plan.outside)} are for other images` : ""].filter(Boolean);
        setText(this.words, `${said.join(", ")}.`);
        const more = plan.captions - plan.previews.length;
        const hidden = plan.unmatched_total - plan.unmatched.length;
        fill(this.found, plan.unmatched.length ? fold(`${format.plural(plan.unmatched_total, "entry", "entries")} not used`,
            h("ul", {class: "tl-paths"}, plan.unmatched.map(([name, why]) => h("li", {}, `${name}: ${why}`)),
                hidden > 0 ? h("li", {}, `and ${format.number(hidden)} more`) : null)) : null,
        h("ul", {class: "tl-previews"}, previewRows(this.set, plan.previews)),
        more > 0 ? h("p", {class: "tl-note"}, `and ${format.number(more)} more`) : null);
        setLabel(this.goButton, plan.captions ? `Write ${format.plural(plan.captions, "caption")}` : "Nothing to write");
        this.goButton.disabled = !plan.captions;
    }

    go() {
        const request = this.request();
        this.window.close();
        this.set.edit("incoming", request);
    }
}

/** @param {string} label @param {boolean} checked @param {() => void} change */
function tick(label, checked, change) {
    const box = h("input", {type: "checkbox", checked, on: {change}});
    return {element: h("label", {class: "tl-tick"}, box, label), box};
}

/** @param {string} id @param {Record<string, string>} choices @param {() => void} change */
function select(id, choices, change) {
    return h("select", {class: "tl-input tl-select", id, on: {change}},
        Object.entries(choices).map(([value, words]) => h("option", {value}, words)));
}

/** @param {string} label @param {HTMLElement} control @param {string} note */
function field(label, control, note) {
    const id = control.id || control.querySelector("select")?.id;
    return h("div", {class: "tl-field"}, h("label", {class: "tl-label", for: id}, label), control,
        note ? h("p", {class: "tl-note"}, note) : null);
}

/** @param {string} label @param {Record<string, string>} choices @param {string} chosen @param {(choice: string) => void} change */
function radios(label, choices, chosen, change) {
    const buttons = Object.entries(choices).map(([choice, words]) => h("button", {type: "button", role: "radio", data: {choice},
        "aria-checked": String(choice === chosen), on: {click: () => {
            for (const one of buttons) one.setAttribute("aria-checked", String(one.dataset.choice === choice));
            change(choice);
        }}}, words));
    return h("div", {class: "tl-action-line"}, h("span", {class: "tl-action-word"}, label),
        h("div", {class: "tl-verbs", role: "radiogroup", "aria-label": label}, buttons));
}

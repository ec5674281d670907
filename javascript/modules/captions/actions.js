/** The bar of caption actions: an operation, its tags, and the images to apply it to. */

import {fill, h, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {button as makeButton, setLabel} from "../core/parts.js";
import {goWords, PICTURES} from "./actions/words.js";
import {tagInput} from "./complete.js";
import {captionPreview} from "./dialogs.js";
import {BATCHES, cropMany} from "./image/crop_batch.js";
import {upscaleImages} from "./intake/upscale.js";

const PLACES = {last: "at the end", first: "at the beginning", after: "after the tag"};
const ORDERS = {activation: "trigger word first", count: "most frequent first", confidence: "by confidence",
    alphabet: "alphabetically"};
const WITHIN = {regex_tag: "in each tag", regex_caption: "in the whole caption"};

/** @param {string} label @param {Record<string, string>} choices @param {() => void} [changed] */
function select(label, choices, changed = () => {}) {
    return h("select", {class: "tl-input tl-select", "aria-label": label, on: {change: changed}},
        Object.entries(choices).map(([value, words]) => h("option", {value}, words)));
}

/** @typedef {import("./actions/words.js").Verb} Verb */

/** @type {Verb[]} */
const VERBS = ["add", "remove", "replace", "pattern", "sort", "dedupe", "crop", "pictures"];

/** @param {string} text */
function word(text) {
    return h("span", {class: "tl-action-word"}, text);
}

/** @param {string} label @returns {{element: HTMLElement, box: HTMLInputElement}} */
function tick(label) {
    const box = h("input", {type: "checkbox"});
    return {element: h("label", {class: "tl-tick"}, box, label), box};
}

/** @param {Record<string, string>} attributes @param {() => void} enter */
function textBox(attributes, enter) {
    return h("input", {type: "text", spellcheck: "false", ...attributes, on: {keydown: (event) => {
        if (event.key === "Enter") enter();
    }}});
}

/** @param {string} text */
const split = (text) => text.split(",").map((tag) => tag.trim()).filter(Boolean);

export class CaptionActions {
    /** @param {import("./set.js").CaptionSet} set */
    constructor(set) {
        this.set = set;
        /** @type {AbortController|null} the last preview request */
        this.previewing = null;
        /** Whether the user chose "all shown" despite a selection; reset when the selection changes. */
        this.onAll = false;
        this.selection = "";
        /** @type {Verb} */
        this.verb = "add";
        const go = () => this.go();
        const refresh = () => this.refresh();
        this.tags = tagInput(set, {label: "Tags", placeholder: "tags, separated by commas", several: true, enter: go,
            id: "tl_action_tags"});
        this.after = tagInput(set, {label: "After which tag", placeholder: "tag", enter: go});
        this.replacement = tagInput(set, {label: "With which tags", placeholder: "replacement tag",
            several: true, enter: go});
        this.place = select("Where", PLACES, refresh);
        this.pattern = textBox({class: "tl-input tl-code", placeholder: "regular expression",
            "aria-label": "Regular expression"}, go);
        this.becomes = textBox({class: "tl-input tl-code", placeholder: "nothing, or \\1 …",
            "aria-label": "Replacement"}, go);
        this.within = select("Where to match", WITHIN);
        this.ignoreCase = tick("ignore case");
        this.order = select("Order", ORDERS);
        this.what = select("What to do with the images", PICTURES, refresh);
        this.crops = select("What to crop", BATCHES, refresh);
        this.plain = tick("also plain backgrounds");
        this.folder = textBox({class: "tl-input", placeholder: "folder of the dataset, such as 5_penny",
            "aria-label": "Folder", list: "tl_caption_folders"}, go);
        /** @type {Record<Verb, [string, HTMLElement[]]>} label and fields of each operation */
        this.verbs = {add: ["Add", [this.tags.element, this.place, this.after.element]],
            remove: ["Remove", [this.tags.element]],
            replace: ["Replace or merge", [this.tags.element, word("with"), this.replacement.element]],
            pattern: ["Regex", [this.pattern, word("becomes"), this.becomes, this.within, this.ignoreCase.element]],
            sort: ["Sort", [this.order]], dedupe: ["Remove duplicates", []],
            crop: ["Crop", [this.crops, this.plain.element]], pictures: ["Files", [this.what, this.folder]]};
        this.tabs = VERBS.map((verb) => h("button", {type: "button", role: "radio", data: {verb},
            "aria-checked": "false", on: {click: () => this.choose(verb)}}, this.verbs[verb][0]));
        this.fields = h("div", {class: "tl-action-fields"});
        this.prose = tick("include sentences");
        this.whom = /** @type {const} */ (["shown", "selected"]).map((who) => h("button", {type: "button",
            role: "radio", data: {who}, "aria-checked": "false", on: {click: () => {
                this.onAll = who === "shown";
                this.refresh();
            }}}, ""));
        this.previewButton = makeButton("Preview", {click: () => this.preview()});
        this.goButton = makeButton("Add", {kind: "primary", id: "tl_caption_go", click: go});
        this.folders = h("datalist", {id: "tl_caption_folders"});
        this.element = h("section", {class: "tl-capactions", "aria-label": "Actions"},
            h("div", {class: "tl-action-line tl-action-top"},
                h("div", {class: "tl-verbs", role: "radiogroup", "aria-label": "What to do"}, this.tabs),
                h("span", {class: "tl-action-word"}, "on"), h("div", {class: "tl-whom", role: "radiogroup", "aria-label": "On which images"}, this.whom)),
            h("div", {class: "tl-action-line"}, this.fields, this.prose.element,
                h("div", {class: "tl-row"}, this.previewButton, this.goButton)), this.folders);
        for (const name of /** @type {const} */ (["view", "selection", "opened"])) set.when(name, refresh);
        set.when("busy", (busy) => this.element.classList.toggle("tl-busy", busy));
        this.choose("add");
    }

    /** @param {Verb} verb */
    choose(verb) {
        this.verb = verb;
        for (const button of this.tabs) button.setAttribute("aria-checked", String(button.dataset.verb === verb));
        fill(this.fields, this.verbs[verb][1]);
        this.refresh();
    }

    /** Whether to act on the selection, the default if there is one, instead of all images shown. */
    get selectedOnly() {
        return this.verb === "pictures" || (this.set.selected.size > 0 && !this.onAll);
    }

    get count() {
        return this.selectedOnly ? this.set.selected.size : this.set.numbers.length;
    }

    refresh() {
        const {set} = this;
        const pictures = this.verb === "pictures";
        const selection = [...set.selected].join();
        if (selection !== this.selection) this.onAll = false;
        this.selection = selection;
        const hidden = set.selected.size - set.selectedShown.length;
        this.after.element.hidden = this.place.value !== "after";
        this.folder.hidden = ["delete", "upscale"].includes(this.what.value);
        this.prose.element.hidden = !["add", "remove", "replace", "pattern"].includes(this.verb)
            || (this.verb === "pattern" && this.within.value === "regex_caption");
        this.plain.element.hidden = this.crops.value !== "borders";
        this.previewButton.hidden = pictures || this.verb === "crop";
        for (const button of this.whom) {
            const selected = button.dataset.who === "selected";
            const size = selected ? set.selected.size : set.numbers.length;
            setText(button, selected ? `${format.number(size)} selected${hidden ? `, ${format.number(hidden)} not shown` : ""}` : `all ${format.number(size)} shown`);
            button.disabled = selected ? !size : pictures;
            button.setAttribute("aria-checked", String(selected === this.selectedOnly));
        }
        setLabel(this.goButton, this.goWords());
        this.goButton.disabled = !set.isOpen || !this.count;
        this.previewButton.disabled = this.goButton.disabled;
        if (set.about && set.about.folders) {
            fill(this.folders, set.about.folders.map(({path}) => h("option", {value: path})));
        }
    }

    goWords(count = this.count) {
        return goWords(this.verb, this.what.value, count);
    }

    operation() {
        const include_prose = this.prose.box.checked;
        const tags = split(this.tags.input.value);
        switch (this.verb) {
        case "add": return {kind: "add", tags, place: this.place.value, after: this.after.input.value, include_prose};
        case "remove": return {kind: "remove", tags, include_prose};
        case "replace": return {kind: "replace", tags, replacement: this.replacement.input.value, include_prose};
        case "pattern": return {kind: this.within.value, pattern: this.pattern.value, replacement: this.becomes.value,
            ignore_case: this.ignoreCase.box.checked, include_prose};
        case "sort": return {kind: "sort", order: this.order.value};
        default: return {kind: "dedupe"};
        }
    }

    request() {
        return {...this.set.target(this.selectedOnly), operation: this.operation(), activation_tag: this.set.activationTag};
    }

    async go() {
        if (this.goButton.disabled) return;
        if (this.verb === "crop") {
            cropMany(this.set, this.crops.value, this.plain.box.checked, this.set.target(this.selectedOnly), this.goButton);
            return;
        }
        if (this.verb === "pictures") {
            await this.goPictures();
            return;
        }
        const outcome = await this.set.edit("apply", this.request());
        if (outcome && ["add", "remove", "replace"].includes(this.verb) && outcome.changed.length) {
            this.tags.input.value = "";
            this.replacement.input.value = "";
        }
    }

    async goPictures() {
        const numbers = [...this.set.selected];
        if (this.what.value === "upscale") {
            upscaleImages(this.set, numbers);
            return;
        }
        const body = this.what.value === "delete" ? {numbers} : {numbers, target: this.folder.value};
        await this.set.edit(/** @type {"move"|"copy"|"delete"} */ (this.what.value), body);
    }

    async preview() {
        this.previewing?.abort();
        this.previewing = new AbortController();
        const {signal} = this.previewing;
        const answer = await this.set.ask("preview", this.request(), {signal}).catch(() => null);
        if (answer) captionPreview(this.set, answer, this.goWords(answer.captions), () => this.go());
    }
}

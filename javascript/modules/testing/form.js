/** The form of the Test tab: kind of plot, files, prompts and strengths. */

import {fill, h, later, setText, store, uniqueId} from "../core/dom.js";
import {button, card, fold} from "../core/parts.js";
import {blockPresets} from "./block_sliders.js";
import {estimateText} from "./estimate.js";
import {PromptSetBar} from "./prompt_sets.js";

/** @typedef {import("./answers").PlotKind} PlotKind */
/** @typedef {import("./answers").RowKind} RowKind */
/** @typedef {import("./answers").TestFacts} TestFacts */

/** @type {Record<PlotKind, [string, string]>} its name and description */
const KINDS = {
    epochs: ["Epochs", "Each saved epoch beside the image without the LoRA. The likeness should grow from left " +
        "to right; keep the epoch before it turns stiff."],
    strengths: ["Strengths", "One file at every pair of strengths. Mark the best image to get settings for the next " +
        "run."],
    blocks: ["Blocks", "One file with one block left out at a time, and how much each changes the image."],
    prompts: ["Prompts", "One file, each prompt over fresh seeds: a single image may be good or bad by chance."],
};
const ROWS = {prompts: "the prompts", strengths: "strengths", checkpoints: "checkpoints", seeds: "seeds",
    presets: "block presets"};
const WITHOUT = "None";

/** @template {string} K @template V @param {Record<K, V>} record */
const typedEntries = (record) => /** @type {[K, V][]} */ (Object.entries(record));

/** @param {string} text @returns {string[]} */
const listed = (text) => text.split(/[,\n]/).map((part) => part.trim()).filter(Boolean);

/** @param {string} label @param {HTMLElement} control @param {{wide?: boolean, note?: string}} [options] */
function labelled(label, control, options = {}) {
    control.id = control.id || uniqueId("test");
    return h("div", {class: `tl-field${options.wide ? " tl-wide" : ""}`},
        h("div", {class: "tl-field-head"}, h("label", {class: "tl-label", for: control.id}, label)),
        h("div", {class: "tl-control"}, control),
        options.note ? h("p", {class: "tl-note"}, options.note) : null);
}

/** @param {string} value @param {import("../core/elements").Attributes<HTMLInputElement>} [attributes] */
function input(value, attributes = {}) {
    return h("input", {type: "text", class: "tl-input", autocomplete: "off", spellcheck: "false", value,
        ...attributes});
}

/** @param {[string, string][]} choices value and label @param {string} value @param {() => void} change */
function select(choices, value, change) {
    return h("select", {class: "tl-input tl-select", on: {change}, value}, choices.map(([name, words]) =>
        h("option", {value: name}, words)));
}

/**
 * A row of toggle buttons, of which several or one can be pressed.
 * @template {string} N
 */
export class Chips {
    /** @param {string} label @param {(names: Set<N>) => void} changed @param {boolean} [single] */
    constructor(label, changed, single = false) {
        /** @type {Set<N>} */
        this.chosen = new Set();
        /** @type {Map<N, HTMLElement>} */
        this.chips = new Map();
        this.changed = changed;
        this.single = single;
        this.element = h("div", {class: "tl-chips", role: "group", "aria-label": label});
    }

    /** @param {[N, string][]} choices value and label @param {N[]} chosen */
    show(choices, chosen) {
        this.chosen = new Set(chosen.filter((name) => choices.some(([known]) => known === name)));
        this.chips = new Map(choices.map(([name, words]) => [name, h("button", {type: "button",
            class: "tl-button tl-small tl-choice", data: {name}, "aria-pressed": String(this.chosen.has(name)),
            on: {click: () => this.press(name)}}, words)]));
        fill(this.element, [...this.chips.values()]);
    }

    /** @param {N} name */
    press(name) {
        if (this.single) this.chosen = new Set([name]);
        else if (this.chosen.has(name)) this.chosen.delete(name);
        else this.chosen.add(name);
        for (const [other, chip] of this.chips) chip.setAttribute("aria-pressed", String(this.chosen.has(other)));
        this.changed(this.chosen);
    }
}

/** @param {import("./answers").TestFile} file @returns {string} */
function fileWords(file) {
    const step = /-step0*(\d+)$/.exec(file.name);
    return step ? `Step ${step[1]}` : /-\d{6}$/.test(file.name) ? `Epoch ${file.epoch}` : "Last";
}

export class TestForm {
    /** @param {{draw: (request: import("./answers").PlotRequest) => Promise<void>, keepPrompts: (text: string) => void,
     *     fileChosen: () => void}} actions */
    constructor(actions) {
        this.actions = actions;
        /** @type {{kind: PlotKind, rows: RowKind}} */
        this.kept = store.get("test", {kind: "epochs", rows: "prompts"});
        /** @type {TestFacts|null} the test options of the run */
        this.facts = null;
        /** @type {import("./answers").Pace|null} the time per image in an earlier plot */
        this.pace = null;
        /** @type {Chips<PlotKind>} */
        this.kinds = new Chips("What to generate", (names) => this.keep({kind: [...names][0]}), true);
        this.kinds.show(typedEntries(KINDS).map(([name, [words]]) => [name, words]), [this.kept.kind]);
        this.about = h("p", {class: "tl-note"});
        this.files = new Chips("Columns: which files", () => this.refresh());
        this.file = select([], "", () => {
            this.refresh();
            this.actions.fileChosen();
        });
        this.rows = select(Object.entries(ROWS), this.kept.rows, () =>
            this.keep({rows: /** @type {RowKind} */ (this.rows.value)}));
        this.rowText = input("", {on: {input: () => this.refresh()}});
        this.rowChips = new Chips("Rows", () => this.refresh());
        this.columns = input("0.25, 0.5, 1, 1.5, 2", {id: "tl_test_columns", on: {input: () => this.refresh()}});
        this.texts = input("0.25, 0.5, 1, 1.5, 2", {id: "tl_test_rows", on: {input: () => this.refresh()}});
        this.seeds = input("5", {inputmode: "numeric", on: {input: () => this.refresh()}});
        this.prompts = h("textarea", {class: "tl-input tl-textarea", rows: 4, spellcheck: "false",
            id: "tl_test_prompts", placeholder: "One prompt a line: other poses, clothes, expressions",
            on: {input: () => this.promptsChanged()}});
        this.sets = new PromptSetBar({read: () => this.prompts.value, write: (text) => {
            this.prompts.value = text;
            this.promptsChanged();
        }});
        this.trigger = h("p", {class: "tl-note"});
        this.keepLater = later(() => this.actions.keepPrompts(this.prompts.value), 600);
        const number = () => input("", {inputmode: "decimal", on: {input: () => this.refresh()}});
        this.numbers = {width: number(), height: number(), steps: number(), cfg_scale: number(), seed: number()};
        this.sampler = select([], "", () => {});
        this.negative = input("");
        this.count = h("p", {class: "tl-note", role: "status"});
        this.button = button("Generate", {kind: "primary", icon: "play", id: "tl_test_draw",
            click: () => this.draw()});
        this.rowTextField = labelled("Values of the rows", this.rowText);
        this.ofEpochs = h("div", {class: "tl-group"}, h("p", {class: "tl-label"}, "Columns"), this.files.element,
            h("div", {class: "tl-fields"}, labelled("Rows", this.rows), this.rowTextField), this.rowChips.element);
        this.ofFile = labelled("LoRA file", this.file, {wide: true});
        this.ofStrengths = h("div", {class: "tl-fields"}, labelled("UNet strengths", this.columns),
            labelled("Text encoder strengths", this.texts));
        this.ofSeeds = labelled("How many seeds", this.seeds);
        const {width, height, steps, cfg_scale: scale, seed} = this.numbers;
        const rest = [labelled("Width", width), labelled("Height", height), labelled("Steps", steps),
            labelled("CFG scale", scale), labelled("Seed (-1: random)", seed)];
        this.element = card("What to generate", {}, this.kinds.element, this.about,
            labelled("Test prompts", this.prompts, {wide: true}), this.sets.element, this.trigger,
            this.ofEpochs, this.ofFile, this.ofStrengths, this.ofSeeds,
            fold("Size, steps, sampler", h("div", {class: "tl-fields"}, rest, labelled("Sampler", this.sampler),
                labelled("Negative prompt", this.negative, {wide: true}))),
            h("div", {class: "tl-row"}, this.button, this.count));
        this.refresh();
    }

    /** @param {TestFacts} facts */
    show(facts) {
        this.facts = facts;
        /** @type {[string, string][]} */
        const files = facts.files.map((file) => [file.name, fileWords(file)]);
        this.files.show([[WITHOUT, "No LoRA"], ...files], [WITHOUT, ...files.map(([name]) => name)]);
        fill(this.file, files.map(([name, words]) => h("option", {value: name}, `${words} (${name})`)));
        if (files.length) this.file.value = files[files.length - 1][0];
        this.prompts.value = facts.prompts.join("\n");
        this.sets.forget();
        setText(this.trigger, "Kept with the run. {trigger} in a prompt becomes " + (facts.tag ? `“${facts.tag}”.` :
            "nothing, since no trigger word of this LoRA is known."));
        for (const name of /** @type {const} */ (["width", "height", "steps", "cfg_scale"])) {
            this.numbers[name].value = String(facts[name]);
        }
        this.numbers.seed.value = String(facts.seed);
        fill(this.sampler, facts.samplers.map((name) => h("option", {value: name}, name)));
        if (facts.samplers.includes("Euler a")) this.sampler.value = "Euler a";
        this.negative.value = facts.negative;
        this.showRowValues();
        this.refresh();
        this.actions.fileChosen();
    }

    /** @param {Partial<{kind: PlotKind, rows: RowKind}>} change */
    keep(change) {
        const rows = this.kept.rows;
        this.kept = {...this.kept, ...change};
        store.set("test", this.kept);
        if (rows !== this.kept.rows) this.showRowValues();
        this.refresh();
    }

    showRowValues() {
        const {rows} = this.kept;
        const chips = rows === "checkpoints" || rows === "presets";
        this.rowTextField.hidden = chips || rows === "prompts";
        this.rowChips.element.hidden = !chips;
        if (rows === "strengths") this.rowText.value = "0.6, 0.8, 1, 1.2";
        if (rows === "seeds") this.rowText.value = "1, 2, 3, 4";
        if (rows === "checkpoints" && this.facts) {
            this.rowChips.show(this.facts.checkpoints.map((name) => [name, name]), [this.facts.checkpoint]);
        }
        if (rows === "presets") {
            const names = blockPresets ? Object.keys(blockPresets.presets) : [];
            const usual = names.filter((name) => ["INS", "IND", "MIDD", "OUTD", "OUTS"].includes(name));
            this.rowChips.show([WITHOUT, ...names].map((name) => [name, name === WITHOUT ? "All blocks" : name]),
                [WITHOUT, ...usual]);
        }
    }

    promptsChanged() {
        this.keepLater();
        this.refresh();
    }

    rowValues() {
        const {rows} = this.kept;
        if (rows === "checkpoints" || rows === "presets") return [...this.rowChips.chosen];
        return rows === "prompts" ? [] : listed(this.rowText.value);
    }

    promptLines() {
        return this.prompts.value.split("\n").map((line) => line.trim()).filter(Boolean);
    }

    /** @returns {import("./answers").PlotRequest} the request for the server */
    request() {
        const {kind, rows} = this.kept;
        const number = (/** @type {keyof typeof this.numbers} */ name) => Number(this.numbers[name].value);
        const order = [WITHOUT, ...(this.facts ? this.facts.files : []).map((file) => file.name)];
        const files = kind === "epochs" ? order.filter((name) => this.files.chosen.has(name)) : [this.file.value];
        const columns = kind === "strengths" ? listed(this.columns.value) : kind === "prompts" ? [this.seeds.value] : [];
        return {kind, files, columns, prompts: this.promptLines(), rows,
            row_values: kind === "strengths" ? listed(this.texts.value) : this.rowValues(),
            negative_prompt: this.negative.value, sampler: this.sampler.value, width: number("width"),
            height: number("height"), steps: number("steps"), cfg_scale: number("cfg_scale"),
            seed: number("seed"), clip_skip: this.facts ? this.facts.clip_skip : 1};
    }

    /** @returns {string[]} the blocks of the chosen file */
    blocks() {
        const file = this.facts && this.facts.files.find((one) => one.name === this.file.value);
        return file ? file.blocks : [];
    }

    pictures() {
        const {kind, files, columns, prompts, rows, row_values: values} = this.request();
        if (kind === "strengths") return columns.length * values.length;
        if (kind === "blocks") return this.blocks().length ? (1 + this.blocks().length) * prompts.length : 0;
        if (kind === "prompts") return (Number(this.seeds.value) || 0) * prompts.length;
        return files.length * (rows === "prompts" ? prompts.length : values.length);
    }

    refresh() {
        const {kind} = this.kept;
        setText(this.about, KINDS[kind][1]);
        this.ofEpochs.hidden = kind !== "epochs";
        this.ofFile.hidden = kind === "epochs";
        this.ofStrengths.hidden = kind !== "strengths";
        this.ofSeeds.hidden = kind !== "prompts";
        const count = this.facts ? this.pictures() : 0;
        setText(this.count, count ? this.estimate(count) : kind === "blocks" && this.facts &&
            this.file.value && !this.blocks().length ? "No blocks are known of this file" : "Nothing to generate yet");
        this.button.disabled = count === 0;
    }

    /** @param {import("./answers").Pace|null} pace */
    showPace(pace) {
        this.pace = pace;
        this.refresh();
    }

    /** @param {number} pictures */
    estimate(pictures) {
        const {kind, rows, row_values: values, steps, width, height} = this.request();
        const checkpoints = kind === "epochs" && rows === "checkpoints" ? values.length : 1;
        return estimateText(this.pace, {pictures, steps, width, height, checkpoints});
    }

    async draw() {
        this.button.disabled = true;
        try {
            await this.actions.draw(this.request());
        } catch {
            // already reported by a toast
        }
        this.refresh();
    }
}

export {labelled as testField};

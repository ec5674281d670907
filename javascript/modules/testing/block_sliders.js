/** Block weights as sliders over a diagram of the UNet, and the presets for prompts. */

import {api, failureOf, fill, h, setText, svg, uniqueId} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, card, fold, toast} from "../core/parts.js";
import {showTab} from "../core/shell.js";
import {form} from "../train/form.js";
import {testField} from "./form.js";

/** @typedef {import("./answers").FileWeights} FileWeights */

/** @type {import("./answers").BlockPresets|null} null until loaded */
export let blockPresets = null;

/** @param {number} value */
const written = (value) => String(Math.round(value * 100) / 100);

export class BlockSliders {
    /**
     * @param {{file: () => string, run: () => string, tryWith: (file: string, end: string) => void, bakeInto: (file:
     * string, blocks: string) => Promise<void>}} options the LoRA file of the weights, the id of its run, and the
     * actions
     */
    constructor(options) {
        this.options = options;
        /** @type {Record<string, number>} */
        this.weights = {};
        /** @type {FileWeights|null} from the server: the file's blocks, and what each part of the UNet affects */
        this.facts = null;
        /** Number of requests for blocks, to ignore answers for a file chosen earlier. */
        this.asked = 0;
        /** @type {Map<string, {slider: HTMLInputElement, number: HTMLElement}>} */
        this.parts = new Map();
        this.preset = h("select", {class: "tl-input tl-select", on: {change: () => this.usePreset()}});
        this.x = h("input", {type: "text", class: "tl-input", inputmode: "decimal", value: "0.5",
            on: {change: () => this.usePreset()}});
        this.kind = h("p", {class: "tl-note", role: "status"});
        this.unet = h("div", {class: "tl-unet"});
        this.text = h("textarea", {class: "tl-input tl-textarea tl-mono", rows: 10, spellcheck: "false",
            wrap: "off", "aria-label": "Block presets", id: "tl_presets_text",
            on: {input: () => { this.typed = true; }}});
        /** Whether the text has unsaved edits by the user, which must not be replaced. */
        this.typed = false;
        this.buttons = h("div", {class: "tl-row tl-wrap", hidden: true},
            button("Try in txt2img", {small: true, id: "tl_blocks_prompt", click: () => this.toPrompt()}),
            button("Train with these", {small: true, id: "tl_blocks_train", click: () => this.toForm()}),
            button("Bake into a copy", {small: true, id: "tl_blocks_bake", click: () => this.bake()}),
            button("Reset to 1", {small: true, kind: "quiet", icon: "reset", click: () => this.setAll()}));
        this.element = card("Block weights", {}, h("p", {class: "tl-note"},
            "The left side of the UNet sets the composition, the right side the details. Try weights on the finished " +
            "LoRA " +
            "before training with them."),
        h("div", {class: "tl-fields"}, testField("Preset", this.preset), testField("X", this.x)),
        this.kind, this.unet, this.buttons, this.editor());
    }

    editor() {
        return fold("Edit presets", h("p", {class: "tl-note"}, "Each line is NAME:numbers, to be used in " +
            "prompts as lbw=NAME. X is the value of x=. Lists of sd-webui-lora-block-weight can be pasted."),
        this.text, h("div", {class: "tl-row"},
            button("Save presets", {small: true, id: "tl_presets_save", click: () => this.save()}),
            button("Built-in presets", {small: true, kind: "quiet", click: () => {
                if (!blockPresets) return;
                this.text.value = blockPresets.default;
                this.typed = true;
            }})));
    }

    /** @param {import("./answers").BlockPresets} answer */
    show(answer) {
        blockPresets = answer;
        const chosen = this.preset.value;
        fill(this.preset, h("option", {value: ""}, "your own"),
            Object.keys(answer.presets).map((name) => h("option", {value: name}, name)));
        this.preset.value = chosen in answer.presets ? chosen : "";
        if (!this.typed) this.text.value = answer.text;
    }

    /** Loads the blocks of the chosen file. Its weights start at 1; those of another epoch are kept. */
    load() {
        const before = this.weights;
        this.facts = null;
        this.showFacts("");
        return this.ask("", (facts) => {
            if (Object.keys(before).join() === facts.blocks.join()) facts.weights = before;
            else this.preset.value = "";
            this.take(facts);
        });
    }

    /** @param {string} preset empty for none @param {(facts: FileWeights) => void} then */
    async ask(preset, then) {
        const file = this.options.file();
        if (!file) return;
        const number = ++this.asked;
        const query = new URLSearchParams({file, preset, x: String(Number(this.x.value) || 0)});
        try {
            const facts = await api(`runs/${encodeURIComponent(this.options.run())}/blocks?${query}`, {quiet: true});
            if (number === this.asked) then(facts);
        } catch (error) {
            if (number === this.asked) this.showFacts(failureOf(error).message);
        }
    }

    /** @param {FileWeights} facts */
    take(facts) {
        this.facts = facts;
        this.weights = facts.weights;
        this.draw(facts);
        this.showFacts(facts.sentence || `${facts.family}, ${format.plural(facts.blocks.length, "block")}.`);
    }

    /** @param {string} text */
    showFacts(text) {
        setText(this.kind, text);
        this.unet.hidden = this.buttons.hidden = !this.facts;
    }

    async save() {
        try {
            const saved = await api("block-presets", {body: {text: this.text.value}});
            this.typed = false;
            this.show(saved);
            this.usePreset();
            toast("good", "The presets are saved. Prompts can use them now.");
        } catch {
            // the toast has named the invalid line
        }
    }

    usePreset() {
        if (this.preset.value) this.ask(this.preset.value, (facts) => this.take(facts));
    }

    setAll() {
        if (!this.facts) return;
        this.preset.value = "";
        for (const block of this.facts.blocks) this.weights[block] = 1;
        for (const block of this.parts.keys()) this.update(block);
    }

    /** @param {FileWeights} facts */
    draw({blocks: names, holds}) {
        this.parts.clear();
        const one = (/** @type {string} */ name) => (names.includes(name) ? this.block(name, holds[name]) : null);
        const side = (/** @type {string} */ start) => names.filter((name) => name.startsWith(start)).map((name) => this.block(name));
        const down = h("div", {class: "tl-unet-side"}, h("p", {class: "tl-label"}, "IN: ", holds.IN), side("IN"));
        const up = h("div", {class: "tl-unet-side tl-unet-up"}, h("p", {class: "tl-label"}, "OUT: ", holds.OUT),
            side("OUT").reverse());
        fill(this.unet, h("div", {class: "tl-unet-base"}, one("BASE")), down, this.shape(), up,
            h("div", {class: "tl-unet-middle"}, one("M00")));
    }

    shape() {
        return svg("svg", {class: "tl-unet-shape", viewBox: "0 0 40 100", preserveAspectRatio: "none",
            "aria-hidden": "true"}, svg("path", {d: "M2 2 L18 96 L22 96 L38 2", "vector-effect":
            "non-scaling-stroke"}));
    }

    /** @param {string} name @param {string} [about] what it affects */
    block(name, about = "") {
        const id = uniqueId("block");
        const slider = h("input", {type: "range", id, class: "tl-lbw-slider", min: "-0.5", max: "1.5", step: "0.05",
            value: this.weights[name], on: {input: (event) => {
                this.weights[name] = Number(event.currentTarget.value);
                this.preset.value = "";
                this.update(name);
            }, dblclick: () => {
                this.weights[name] = 1;
                this.preset.value = "";
                this.update(name);
            }}});
        const number = h("output", {class: "tl-lbw-value", for: id}, written(this.weights[name]));
        this.parts.set(name, {slider, number});
        return h("div", {class: "tl-lbw", data: {block: name}}, h("label", {for: id}, name,
            about ? h("span", {class: "tl-note"}, ` ${about}`) : null), slider, number);
    }

    /** @param {string} name of a block */
    update(name) {
        const part = this.parts.get(name);
        if (!part) return;
        const {slider, number} = part;
        slider.value = String(this.weights[name]);
        setText(number, written(this.weights[name]));
    }

    /** The lists for the weights; `null` if there are none, which a toast has reported. */
    async lists() {
        const file = this.options.file();
        if (!file || !this.facts) {
            toast("warning", "Choose a run with a saved file first.");
            return null;
        }
        try {
            const run = encodeURIComponent(this.options.run());
            return {file, ...await api(`runs/${run}/blocks`, {body: {file, weights: this.weights}})};
        } catch {
            return null;
        }
    }

    async toPrompt() {
        const lists = await this.lists();
        if (lists) this.options.tryWith(lists.file, `:1:lbw=${this.presetCall() || lists.list}`);
    }

    /** @returns {string} the chosen preset in prompt syntax, "OUTX:x=0.5"; empty for custom weights */
    presetCall() {
        const name = this.preset.value;
        const numbers = blockPresets && name ? blockPresets.presets[name] : null;
        if (!numbers) return "";
        return numbers.includes(null) ? `${name}:x=${Number(this.x.value) || 0}` : name;
    }

    async bake() {
        const lists = await this.lists();
        if (lists) await this.options.bakeInto(lists.file, lists.list);
    }

    async toForm() {
        const lists = await this.lists();
        if (!lists) return;
        form.set("network.block_lr_weight", lists.train);
        showTab("train");
        toast(lists.sentences.length && lists.train ? "info" : "good", ["The block weights are in the form, as " +
            "learning rate factors of the next run.", ...lists.sentences].join(" "));
    }
}

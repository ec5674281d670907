/** Block weights as sliders over a drawing of the UNet, and the presets that prompts can name. */

import {api, fill, h, setText, svg, uniqueId} from "../core/dom.js";
import {button, card, fold, toast} from "../core/parts.js";
import {showTab} from "../core/shell.js";
import {form} from "../train/form.js";
import {testField} from "./form.js";
import {bakeInto, tryWith} from "./testing.js";

/** @type {any} */
export let blockPresets = null;
const HOLDS = {BASE: "text encoder", IN: "composition, silhouette, posture", M00: "the middle",
    OUT: "colour, shadow, texture, details; OUT04 to OUT06 eyes and face"};

const written = (value) => String(Math.round(value * 100) / 100);

export class BlockSliders {
    /** @param {{file: () => string}} options the LoRA file that the weights are for */
    constructor(options) {
        this.options = options;
        /** @type {Record<string, number>} */
        this.weights = {};
        this.full = false;
        /** @type {Map<string, {slider: any, number: HTMLElement}>} */
        this.parts = new Map();
        this.preset = h("select", {class: "tl-input tl-select", on: {change: () => this.usePreset()}});
        this.x = h("input", {type: "text", class: "tl-input", inputmode: "decimal", value: "0.5",
            on: {change: () => this.usePreset()}});
        this.kind = h("select", {class: "tl-input tl-select", on: {change: () => this.setFull()}},
            h("option", {value: "17"}, "17, LoRA-LierLa"), h("option", {value: "26"}, "26, all blocks"));
        this.unet = h("div", {class: "tl-unet"});
        this.element = card("Block weights", {}, h("p", {class: "tl-note"},
            "Down the left side the UNet composes, up the right side it paints. Try weights on the finished LoRA " +
            "before training with them."),
        h("div", {class: "tl-fields"}, testField("Preset", this.preset), testField("X", this.x),
            testField("Blocks", this.kind)), this.unet,
        h("div", {class: "tl-row tl-wrap"},
            button("Try in txt2img", {small: true, id: "tl_blocks_prompt", click: () => this.toPrompt()}),
            button("Train with these", {small: true, id: "tl_blocks_train", click: () => this.toForm()}),
            button("Bake into a copy", {small: true, id: "tl_blocks_bake", click: () => this.bake()}),
            button("All 1", {small: true, kind: "quiet", icon: "reset", click: () => this.setAll(1)})),
        this.editor());
    }

    editor() {
        this.text = h("textarea", {class: "tl-input tl-textarea tl-mono", rows: 10, spellcheck: "false",
            wrap: "off", "aria-label": "Block presets", id: "tl_presets_text",
            on: {input: () => { this.typed = true; }}});
        /** Whether the text is the user's and not yet saved; nothing is put in its place then. */
        this.typed = false;
        return fold("Edit presets", h("p", {class: "tl-note"}, "Each line is NAME:numbers, to be used in " +
            "prompts as lbw=NAME. X is what x= says. Lists of sd-webui-lora-block-weight can be pasted."),
        this.text, h("div", {class: "tl-row"},
            button("Save presets", {small: true, id: "tl_presets_save", click: () => this.save()}),
            button("The ones that come along", {small: true, kind: "quiet", click: () => {
                this.text.value = blockPresets.default;
                this.typed = true;
            }})));
    }

    /** @param {any} answer of /train-lora/block-presets */
    show(answer) {
        blockPresets = answer;
        const chosen = this.preset.value;
        fill(this.preset, h("option", {value: ""}, "your own"),
            Object.keys(answer.presets).map((name) => h("option", {value: name}, name)));
        this.preset.value = chosen in answer.presets ? chosen : "";
        if (!this.typed) this.text.value = answer.text;
        if (!Object.keys(this.weights).length) {
            for (const block of answer.blocks) this.weights[block] = 1;
            this.draw();
        }
    }

    async save() {
        try {
            const saved = await api("block-presets", {body: {text: this.text.value}});
            this.typed = false;
            this.show(saved);
            toast("good", "The presets are saved. Prompts can name them at once.");
        } catch {
            // the toast has said which line is wrong
        }
    }

    setFull() {
        this.full = this.kind.value === "26";
        this.draw();
    }

    usePreset() {
        const preset = blockPresets.presets[this.preset.value];
        if (!preset) return;
        const x = Number(this.x.value) || 0;
        const list = blockPresets.blocks;
        list.forEach((block, index) => {
            this.weights[block] = preset[index] === null ? x : preset[index];
        });
        for (const block of this.parts.keys()) this.update(block);
    }

    setAll(value) {
        this.preset.value = "";
        for (const block of blockPresets.blocks) this.weights[block] = value;
        for (const block of this.parts.keys()) this.update(block);
    }

    names() {
        return this.full ? blockPresets.blocks : blockPresets.short;
    }

    draw() {
        this.parts.clear();
        const names = this.names();
        const side = (start) => names.filter((name) => name.startsWith(start)).map((name) => this.block(name));
        const down = h("div", {class: "tl-unet-side"}, h("p", {class: "tl-label"}, "IN: ", HOLDS.IN), side("IN"));
        const up = h("div", {class: "tl-unet-side tl-unet-up"}, h("p", {class: "tl-label"}, "OUT: ", HOLDS.OUT),
            side("OUT").reverse());
        fill(this.unet, h("div", {class: "tl-unet-base"}, this.block("BASE", HOLDS.BASE)), down, this.shape(), up,
            h("div", {class: "tl-unet-middle"}, this.block("M00", HOLDS.M00)));
    }

    shape() {
        return svg("svg", {class: "tl-unet-shape", viewBox: "0 0 40 100", preserveAspectRatio: "none",
            "aria-hidden": "true"}, svg("path", {d: "M2 2 L18 96 L22 96 L38 2", "vector-effect":
            "non-scaling-stroke"}));
    }

    block(name, about = "") {
        const id = uniqueId("block");
        const slider = h("input", {type: "range", id, class: "tl-lbw-slider", min: "-0.5", max: "1.5", step: "0.05",
            value: this.weights[name], on: {input: () => {
                this.weights[name] = Number(slider.value);
                this.preset.value = "";
                this.update(name);
            }, dblclick: () => {
                this.weights[name] = 1;
                this.update(name);
            }}});
        const number = h("output", {class: "tl-lbw-value", for: id}, written(this.weights[name]));
        this.parts.set(name, {slider, number});
        return h("div", {class: "tl-lbw", data: {block: name}}, h("label", {for: id}, name,
            about ? h("span", {class: "tl-note"}, ` ${about}`) : null), slider, number);
    }

    update(name) {
        const {slider, number} = this.parts.get(name);
        slider.value = this.weights[name];
        setText(number, written(this.weights[name]));
    }

    /** @returns {string} the list as prompts and settings have it */
    list() {
        return this.names().map((name) => written(this.weights[name])).join(",");
    }

    async toPrompt() {
        const file = this.options.file();
        if (!file) toast("warning", "Choose a run with a saved file first.");
        else tryWith(file, `:1:lbw=${this.list()}`);
    }

    async bake() {
        const file = this.options.file();
        if (file) await bakeInto(file, this.list());
        else toast("warning", "Choose a run with a saved file first.");
    }

    toForm() {
        const names = this.names();
        const values = names.map((name) => Math.max(0, this.weights[name]));
        form.set("network.block_lr_weight", values.map(written).join(","));
        showTab("train");
        toast("good", "The block weights are in the form, as learning rate factors of the next run.");
    }
}

/** The LoRAs to merge or mix: one line each, with strengths and block weights. */

import {api, fill, h, setText, uniqueId} from "../core/dom.js";
import {button} from "../core/parts.js";
import {pathBox} from "../core/path_box.js";
import {readStrength, writeStrength} from "./strength.js";

/** @typedef {import("./strength.js").Strength} Strength */

export class LoraList {
    /**
     * @param {string[]} names @param {string[]} strengths in prompt syntax, as after a LoRA's name
     * @param {(names: string[], strengths: string[]) => void} changed
     */
    constructor(names, strengths, changed) {
        this.changed = changed;
        /** @type {{name: string, strength: Strength}[]} */
        this.lines = (names.length ? names : [""]).map((name, index) => ({name, strength: readStrength(strengths[index] || "1")}));
        this.presets = h("datalist", {id: uniqueId("presets")});
        this.rows = h("ul", {class: "tl-tool-loras"});
        this.said = h("div", {});
        this.element = h("div", {class: "tl-field tl-wide", role: "group", "aria-label": "LoRAs"},
            h("div", {class: "tl-field-head"}, h("span", {class: "tl-label"}, "LoRAs")), this.rows, this.said,
            button("Add a LoRA", {icon: "plus", small: true, click: () => {
                this.lines.push({name: "", strength: readStrength("1")});
                this.report();
                this.draw();
            }}), this.presets);
        this.draw();
    }

    /** @returns {(text: string) => void} shows a sentence below the lines */
    problem() {
        const element = h("p", {class: "tl-field-problem", "aria-live": "polite"});
        this.said.append(element);
        return (text) => setText(element, text);
    }

    report() {
        this.changed(this.lines.map(({name}) => name), this.lines.map(({strength}) => writeStrength(strength)));
    }

    draw() {
        fill(this.rows, this.lines.map((line, index) => this.row(line, index)));
    }

    /** @param {{name: string, strength: Strength}} line @param {number} index */
    row(line, index) {
        const number = index + 1;
        const name = h("input", {type: "text", class: "tl-input", value: line.name,
            placeholder: "Type or choose a LoRA", "aria-label": `LoRA ${number}`,
            on: {input: () => {
                line.name = name.value;
                this.report();
            }}});
        /** @param {keyof Strength} part @param {string} label @param {string} placeholder */
        const box = (part, label, placeholder) => {
            const input = h("input", {type: "text", class: "tl-input", autocomplete: "off", spellcheck: "false",
                value: line.strength[part], placeholder, inputmode: part === "blocks" ? null : "decimal",
                list: part === "blocks" ? this.presets.id : null, "aria-label": `${label} of LoRA ${number}`,
                on: {focus: () => part === "blocks" && this.offerPresets(), input: () => {
                    line.strength[part] = input.value;
                    this.report();
                }}});
            return h("label", {class: `tl-tool-strength tl-tool-${part}`}, h("span", {class: "tl-note"}, label), input);
        };
        return h("li", {}, pathBox(name, "lora"), box("unet", "UNet", "1"), box("text", "Text encoder", "as UNet"),
            box("blocks", "Block weights", "all 1"), button(`Remove LoRA ${number}`, {kind: "quiet", icon: "close",
                iconOnly: true, small: true, disabled: this.lines.length < 2, click: () => {
                    this.lines.splice(index, 1);
                    this.report();
                    this.draw();
                }}));
    }

    offerPresets() {
        api("block-presets", {quiet: true}).then(({presets}) =>
            fill(this.presets, Object.keys(presets).map((name) => h("option", {value: name}))), () => fill(this.presets));
    }
}

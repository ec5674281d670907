/** The weight norm of each block, as a row of bars. */

import {fill, h, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {card} from "../core/parts.js";

const PARTS = [["BASE", "text"], ["IN", "IN"], ["M00", "M"], ["OUT", "OUT"]];

export class BlockNorms {
    constructor() {
        this.drawn = "";
        this.bars = h("div", {class: "tl-norms", role: "img"});
        this.when = h("span", {class: "tl-note"});
        this.element = card("What was learned, by block", {aside: this.when}, this.bars,
            h("p", {class: "tl-note"}, "How far the LoRA moves the weights of each block. IN blocks hold composition and " +
                "pose, OUT blocks colors and details."));
        this.element.hidden = true;
    }

    /** @param {import("./model.js").RunModel} run the model to show */
    show(run) {
        const last = run.norms[run.norms.length - 1];
        const blocks = last ? numbersOf(last.blocks) : [];
        this.element.hidden = blocks.length < 2;
        const signature = last ? `${run.id}/${last.step}/${blocks.length}` : "";
        if (signature === this.drawn || blocks.length < 2) return;
        this.drawn = signature;
        setText(this.when, `after step ${format.number(last.step)}`);
        drawNorms(this.bars, blocks);
    }
}

/** @param {HTMLElement} bars an element of the class tl-norms @param {[string, number][]} norms by block name */
export function drawNorms(bars, norms) {
    const blocks = [...norms].sort(([one], [other]) => (one < other ? -1 : 1));
    const most = Math.max(...blocks.map(([, norm]) => norm), 1e-12);
    const strongest = blocks.reduce((one, other) => (other[1] > one[1] ? other : one));
    bars.setAttribute("aria-label", `Weight norm by block, the highest in ${strongest[0]}: ` +
        `${blocks.map(([name, norm]) => `${name} ${norm.toPrecision(2)}`).join(", ")}.`);
    fill(bars, PARTS.map(([start, title]) => group(title, start, most,
        blocks.filter(([name]) => name.startsWith(start)))));
}

/** @param {Record<string, number|null>} norms @returns {[string, number][]} the measured ones */
function numbersOf(norms) {
    return /** @type {[string, number][]} */ (Object.entries(norms).filter(([, norm]) => norm !== null));
}

/**
 * @param {string} title @param {string} start prefix of the block names
 * @param {number} most the highest norm @param {[string, number][]} blocks
 */
function group(title, start, most, blocks) {
    if (!blocks.length) return null;
    return h("div", {class: "tl-norm-part", style: `flex-grow: ${blocks.length}`, data: {part: start}},
        h("div", {class: "tl-norm-bars"}, blocks.map(([name, norm]) => h("div", {class: "tl-norm",
            title: `${name}: ${norm.toPrecision(3)}`, data: {block: name}},
        h("div", {class: "tl-norm-track"}, h("i", {class: "tl-norm-bar",
            style: `height: ${(100 * norm / most).toFixed(1)}%`})),
        h("span", {class: "tl-norm-number"}, blocks.length > 1 ? String(Number(name.slice(start.length))) : "")))),
        h("div", {class: "tl-norm-title"}, title));
}

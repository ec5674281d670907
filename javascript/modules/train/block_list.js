/**
 * A number for each UNet block and the text encoder: a menu of common lists, a bar per block to set with the pointer
 * or the arrow keys, and the list as text to copy or paste.
 */

import {api, fill, h, on, setText} from "../core/dom.js";
import {unread} from "../core/parts.js";
import {field, fieldMakers} from "./fields.js";
import {form} from "./form.js";

const ALIKE = "", OWN = " ";
const SIDES = [["BASE", "Text"], ["IN", "In"], ["M", "Mid"], ["OUT", "Out"]];

/** @typedef {import("./answers").BlockLists} BlockLists */
/** @typedef {import("./answers").FamilyBlocks} FamilyBlocks */
/** @typedef {Record<string, number>} Numbers by block */
/** @typedef {{step: number, usual: () => number, least: number, presets: boolean}} Kind */

/**
 * For each setting: the step of a bar, and the value of "all alike".
 * @type {Record<string, Kind>}
 */
const KINDS = {
    "network.block_lr_weight": {step: 0.05, usual: () => 1, least: 1, presets: true},
    "network.block_dims": {step: 1, usual: () => number("network.network_dim", 32), least: 4, presets: true},
    "network.block_alphas": {step: 0.5, usual: () => number("network.network_alpha", 16) ||
        number("network.network_dim", 32), least: 1, presets: false},
};

/** Settings that change what the bars show. */
const DECIDES = ["network.network_type", "network.network_dim", "network.network_alpha", "network.network_weights"];

/** @param {string} key @param {number} fallback */
const number = (key, fallback) => {
    const value = Number(form.get(key));
    return form.get(key) !== null && Number.isFinite(value) ? value : fallback;
};

/** @type {Promise<BlockLists>|null} answer of /train-lora/blocks: block names and common lists */
let asked = null;
const known = () => (asked = asked || api("blocks", {quiet: true}).catch((error) => {
    asked = null;
    throw error;
}));

/**
 * @param {Numbers} values @param {string[]} names @param {FamilyBlocks} family
 * @param {Kind|null} kind null if preset names are not allowed
 * @returns {string} the shortest form: a preset's name, or the numbers of the family's list that has `names`
 */
function write(values, names, family, kind) {
    const same = (/** @type {[string, Numbers]} */ [, list]) => names.every((name) => list[name] === values[name]);
    const preset = kind && kind.least === 1 && kind.presets ? Object.entries(family.presets).find(same) : undefined;
    const list = names.every((name) => family.short.includes(name)) ? family.short : family.full;
    return preset ? preset[0] : list.map((name) => String(Number(values[name].toFixed(3)))).join(",");
}

/** A row of bars, set by dragging the pointer over them. */
class Bars {
    /** @param {string} label @param {(block: string, value: number) => void} changed */
    constructor(label, changed) {
        this.changed = changed;
        this.maximum = 1;
        this.step = 1;
        /** @type {{place: number, value: number}|null} the bar that the pointer set last in this stroke */
        this.last = null;
        /** @type {Map<string, {element: HTMLElement, value: HTMLElement, track: HTMLElement, fill: HTMLElement}>} */
        this.columns = new Map();
        this.element = h("div", {class: "tl-blocks", role: "group", "aria-label": label, on: {
            pointerdown: (event) => this.press(event),
            pointermove: (event) => {
                if (event.buttons & 1) this.draw(event);
            },
            keydown: (event) => this.key(event)}});
    }

    /** @param {Numbers} values @param {string[]} names @param {number} maximum @param {number} step */
    show(values, names, maximum, step) {
        this.maximum = maximum;
        this.step = step;
        if ([...this.columns.keys()].join() !== names.join()) this.build(names);
        for (const [name, column] of this.columns) {
            const value = values[name];
            setText(column.value, String(Number(value.toFixed(2))));
            column.fill.style.height = `${100 * Math.min(1, value / maximum)}%`;
            column.element.classList.toggle("tl-block-off", value === 0);
            column.element.setAttribute("aria-valuenow", String(value));
            column.element.setAttribute("aria-valuemax", String(maximum));
            column.element.setAttribute("aria-valuetext", value === 0 ? "0, not trained" : String(value));
        }
    }

    /** @param {string[]} names */
    build(names) {
        this.columns.clear();
        fill(this.element, SIDES.map(([side, title]) => {
            const own = names.filter((name) => name.replace(/\d+$/, "") === side);
            return own.length ? h("div", {class: "tl-block-side"},
                h("div", {class: "tl-block-columns"}, own.map((name) => this.column(name, side))),
                h("span", {class: "tl-block-title"}, title)) : null;
        }));
    }

    /** @param {string} name @param {string} side */
    column(name, side) {
        const value = h("span", {class: "tl-block-value"}, "0");
        const bar = h("div", {class: "tl-block-fill"});
        const track = h("div", {class: "tl-block-track"}, bar);
        const element = h("div", {class: "tl-block", role: "slider", tabindex: "0", "aria-orientation": "vertical",
            "aria-label": side === "BASE" ? "BASE, the text encoder" : name, "aria-valuemin": "0",
            title: name, data: {block: name}}, value, track,
        h("span", {class: "tl-block-name"}, name.replace(/^(IN|OUT|M|BASE)/, "") || "TE"));
        this.columns.set(name, {element, value, track, fill: bar});
        return element;
    }

    /** @param {PointerEvent} event */
    press(event) {
        const column = columnOf(event);
        if (event.button !== 0 || !column) return;
        event.preventDefault();
        column.focus({preventScroll: true});
        this.element.setPointerCapture(event.pointerId);
        this.last = null;
        this.draw(event);
    }

    /** Set the bar below the pointer, and those that a fast stroke has jumped over. @param {PointerEvent} event */
    draw(event) {
        const at = (/** @type {{element: HTMLElement}} */ column) => column.element.getBoundingClientRect();
        const found = [...this.columns].find(([, column]) => event.clientX >= at(column).left &&
            event.clientX < at(column).right && event.clientY > at(column).top - 24 &&
            event.clientY < at(column).bottom + 24);
        if (!found) return;
        const track = found[1].track.getBoundingClientRect();
        const names = [...this.columns.keys()];
        const now = {place: names.indexOf(found[0]), value: this.maximum * (track.bottom - event.clientY) / track.height};
        const {place, value} = this.last || now;
        const way = Math.abs(now.place - place);
        for (let passed = 1; passed < way; passed += 1) {
            const share = passed / way;
            this.put(names[place + Math.sign(now.place - place) * passed], value + share * (now.value - value));
        }
        this.put(found[0], now.value);
        this.last = now;
    }

    /** @param {KeyboardEvent} event */
    key(event) {
        const column = columnOf(event);
        const block = column && column.dataset.block;
        if (!column || !block) return;
        const names = [...this.columns.keys()], place = names.indexOf(block);
        const value = Number(column.getAttribute("aria-valuenow"));
        /** @type {Record<string, number>} */
        const moves = {ArrowUp: value + this.step, ArrowDown: value - this.step, PageUp: value + 5 * this.step,
            PageDown: value - 5 * this.step, Home: 0, Delete: 0, End: this.maximum};
        const next = event.key === "ArrowRight" ? names[place + 1] : event.key === "ArrowLeft" ? names[place - 1] : "";
        if (next) this.columns.get(next)?.element.focus();
        else if (event.key in moves) this.put(block, moves[event.key]);
        else return;
        event.preventDefault();
    }

    /** @param {string} name @param {number} value */
    put(name, value) {
        const steps = Math.round(Math.min(this.maximum, Math.max(0, value)) / this.step);
        this.changed(name, Number((steps * this.step).toFixed(3)));
    }
}

/** @param {Event} event @returns {HTMLElement|null} the column of the event */
function columnOf(event) {
    const column = event.target instanceof Element ? event.target.closest(".tl-block") : null;
    return column instanceof HTMLElement ? column : null;
}

/**
 * @param {import("../core/types").Setting} setting one of the settings with a number per block
 * @returns {import("./values").Field}
 */
function blocksField(setting) {
    const kind = KINDS[setting.key];
    const base = field(setting);
    const box = base.control;
    if (!(box instanceof HTMLInputElement)) return base;
    const menu = h("select", {class: "tl-input tl-select", "aria-label": `${setting.label}: common lists`,
        on: {change: () => choose(menu.value)}}, h("option", {value: ALIKE}, "Same for all blocks"));
    const note = h("p", {class: "tl-note"});
    const bars = new Bars(setting.label, put);
    const details = h("div", {class: "tl-block-editor", hidden: true}, bars.element, note,
        base.element.querySelector(".tl-control"));
    /** @type {BlockLists|null} */
    let blocks = null;
    /** @type {import("./answers").BlockFamily} the checkpoint's */
    let wanted = "sd1";
    /** @type {string[]} the network's blocks on the checkpoint; empty until known */
    let trained = [];
    /** @type {Map<string, Numbers|null>} parsed by the server or set with the bars; null for an invalid list */
    const meant = new Map();
    /** @type {Numbers|null} the last shown values, kept until the server has parsed the current text */
    let last = null;
    base.element.classList.add("tl-wide");
    const choice = h("div", {class: "tl-control tl-block-menu"}, menu);
    const failed = h("div", {});
    base.element.querySelector(".tl-field-head")?.after(choice, failed, details);
    box.setAttribute("aria-label", `${setting.label} as text`);

    /** @returns {{family: FamilyBlocks, names: string[], values: Numbers|null}|null} null until the lists are known */
    const lists = () => {
        if (!blocks) return null;
        const family = blocks.families[wanted];
        const few = blocks.types_with_attention_only.includes(form.text("network.network_type"));
        return {family, names: trained.length ? trained : family[few ? "short" : "full"],
            values: read(String(form.get(setting.key) || "").trim(), family)};
    };
    const read = (/** @type {string} */ text, /** @type {FamilyBlocks} */ family) => {
        const values = family.presets[text] || meant.get(text);
        if (values !== undefined) last = values;
        return last;
    };
    /** @param {Numbers} values @param {string[]} names @param {FamilyBlocks} family @param {Kind|null} kind */
    const take = (values, names, family, kind) => {
        const text = write(values, names, family, kind);
        meant.set(text, values);
        form.set(setting.key, text);
    };
    const usual = (/** @type {FamilyBlocks} */ family) =>
        Object.fromEntries(family.full.map((name) => [name, kind.usual()]));
    const round = (/** @type {number} */ value) => Math.round(value / kind.step) * kind.step;

    /** @param {string} choice of the menu */
    function choose(choice) {
        const known = lists();
        if (choice === ALIKE || !known) {
            form.reset(setting.key);
            return;
        }
        const {family, names, values} = known;
        if (choice === OWN) take(values || usual(family), names, family, null);
        else if (setting.key === "network.block_lr_weight") form.set(setting.key, choice);
        else {
            const scaled = Object.entries(family.presets[choice]).map(([name, factor]) =>
                [name, factor ? Math.max(kind.step, round(factor * kind.usual())) : 0]);
            take(Object.fromEntries(scaled), names, family, kind);
        }
        const first = details.querySelector(".tl-block");
        if (choice === OWN && first instanceof HTMLElement) first.focus();
    }

    /** @param {string} name @param {number} value */
    function put(name, value) {
        const known = lists();
        if (!known) return;
        const {family, names, values} = known;
        take({...(values || usual(family)), [name]: value}, names, family, kind);
    }

    function refresh() {
        base.refresh();
        const known = lists();
        if (!known) return;
        const {family, names, values} = known;
        box.setAttribute("placeholder", `${family.short.length} or ${family.full.length} numbers`);
        const given = String(form.get(setting.key) || "");
        details.hidden = !given;
        bars.element.hidden = note.hidden = !given || !values;
        menu.value = !given ? ALIKE : given.trim() in family.presets ? given.trim() : OWN;
        if (!given || !values) return;
        const kept = form.get("network.network_weights") ? "stays unchanged in the LoRA that training continues from" :
            "is neither trained nor saved";
        setText(note, `A block at 0 ${kept}. Draw over the bars, or use the arrow keys.`);
        const highest = Math.max(kind.least, kind.usual(), ...names.map((name) => values[name]));
        bars.show(values, names, highest, kind.step);
    }

    const load = () => known().then((answer) => {
        fill(failed);
        choice.hidden = false;
        blocks = answer;
        const presets = kind.presets ? Object.keys(answer.families[wanted].presets) : [];
        menu.append(...presets.map((name) => h("option", {value: name}, name)),
            h("option", {value: OWN}, "Custom numbers"));
        refresh();
    }).catch((error) => {
        details.hidden = false;  // the text box works without the menu
        choice.hidden = bars.element.hidden = note.hidden = true;
        fill(failed, unread("The list of blocks", error, load));
    });
    load();
    on("plan", (plan) => {
        if (!plan.blocks) return;
        if (plan.blocks !== wanted) meant.clear();
        wanted = plan.blocks;
        trained = plan.network_blocks;
        const list = plan.block_lists[setting.key];
        if (list) meant.set(list.text.trim(), list.values);
        refresh();
    });
    on("setting", ({keys}) => {
        if (keys.some((key) => DECIDES.includes(key))) refresh();
    });
    return {...base, control: menu, refresh};
}

Object.assign(fieldMakers, {...Object.fromEntries(Object.keys(KINDS).map((key) => [key, blocksField]))});

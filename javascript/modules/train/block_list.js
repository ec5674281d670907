/**
 * A number for each block of the UNet and for the text encoder: a menu of common lists, a bar for each block that can
 * be drawn with the pointer or moved with the arrow keys, and the same as text, to copy or paste.
 */

import {api, fill, h, on, setText} from "../core/dom.js";
import {field, fieldMakers} from "./fields.js";
import {form} from "./form.js";

const ALIKE = "", OWN = " ";
const SIDES = [["BASE", "Text"], ["IN", "In"], ["M", "Mid"], ["OUT", "Out"]];

/** How the numbers of each setting count: the step of a bar, and the value that "all alike" stands for. */
const KINDS = {
    "network.block_lr_weight": {step: 0.05, usual: () => 1, least: 1, presets: true},
    "network.block_dims": {step: 1, usual: () => number("network.network_dim", 32), least: 4, presets: true},
    "network.block_alphas": {step: 0.5, usual: () => number("network.network_alpha", 16) ||
        number("network.network_dim", 32), least: 1, presets: false},
};

/** Settings that change what the bars show. */
const DECIDES = ["network.network_type", "network.network_dim", "network.network_alpha", "network.network_weights"];

const number = (key, fallback) => {
    const value = Number(form.get(key));
    return form.get(key) !== null && Number.isFinite(value) ? value : fallback;
};

/** @type {Promise<any>|null} what /train-lora/blocks says: the names of blocks, and the common lists */
let asked = null;
const known = () => (asked = asked || api("blocks", {quiet: true}).catch((error) => {
    asked = null;
    throw error;
}));

/** @param {string} text @param {any} family @returns {Record<string, number>|null} null where it is no list */
function read(text, family) {
    const trimmed = text.trim();
    if (trimmed in family.presets) return family.presets[trimmed];
    const parts = trimmed.slice(trimmed.lastIndexOf(":") + 1).split(",").map((part) => part.trim());
    const names = [family.short, family.full].find((list) => list.length === parts.length);
    if (!names || parts.some((part) => part === "" || !Number.isFinite(Number(part)))) return null;
    const numbers = parts.map((part) => Math.max(0, Number(part)));
    const alike = numbers.every((number, index) => names[index] === "BASE" || number === 1);
    const rest = Object.fromEntries(family.full.map((name) => [name, alike ? 1 : 0]));
    return Object.assign(rest, Object.fromEntries(names.map((name, index) => [name, numbers[index]])));
}

/** @returns {string} as short as it can be: a list's name, or the numbers of the family's list that has `names` */
function write(values, names, family, kind) {
    const same = ([, list]) => names.every((name) => list[name] === values[name]);
    const preset = kind.least === 1 && kind.presets ? Object.entries(family.presets).find(same) : undefined;
    const list = names.every((name) => family.short.includes(name)) ? family.short : family.full;
    return preset ? preset[0] : list.map((name) => String(Number(values[name].toFixed(3)))).join(",");
}

/** Bars side by side, drawn over with the pointer. */
class Bars {
    /** @param {string} label @param {(block: string, value: number) => void} changed */
    constructor(label, changed) {
        this.changed = changed;
        this.maximum = 1;
        this.step = 1;
        /** @type {Map<string, any>} */
        this.columns = new Map();
        this.element = h("div", {class: "tl-blocks", role: "group", "aria-label": label, on: {
            pointerdown: (event) => this.press(event),
            pointermove: (event) => event.buttons & 1 && this.draw(event),
            keydown: (event) => this.key(event)}});
    }

    show(values, names, maximum, step) {
        Object.assign(this, {maximum, step});
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

    build(names) {
        this.columns.clear();
        fill(this.element, SIDES.map(([side, title]) => {
            const own = names.filter((name) => name.replace(/\d+$/, "") === side);
            return own.length ? h("div", {class: "tl-block-side"},
                h("div", {class: "tl-block-columns"}, own.map((name) => this.column(name, side))),
                h("span", {class: "tl-block-title"}, title)) : null;
        }));
    }

    column(name, side) {
        const value = h("span", {class: "tl-block-value"}, "0");
        const bar = h("div", {class: "tl-block-fill"});
        const element = h("div", {class: "tl-block", role: "slider", tabindex: "0", "aria-orientation": "vertical",
            "aria-label": side === "BASE" ? "BASE, the text encoder" : name, "aria-valuemin": "0",
            title: name, data: {block: name}}, value, h("div", {class: "tl-block-track"}, bar),
        h("span", {class: "tl-block-name"}, name.replace(/^(IN|OUT|M|BASE)/, "") || "TE"));
        this.columns.set(name, {element, value, fill: bar});
        return element;
    }

    press(event) {
        const column = event.target.closest(".tl-block");
        if (event.button !== 0 || !column) return;
        event.preventDefault();
        column.focus({preventScroll: true});
        this.element.setPointerCapture(event.pointerId);
        this.draw(event);
    }

    draw(event) {
        const at = (column) => column.element.getBoundingClientRect();
        const found = [...this.columns].find(([, column]) => event.clientX >= at(column).left &&
            event.clientX < at(column).right && event.clientY > at(column).top - 24 &&
            event.clientY < at(column).bottom + 24);
        if (!found) return;
        const track = found[1].fill.parentElement.getBoundingClientRect();
        this.put(found[0], this.maximum * (track.bottom - event.clientY) / track.height);
    }

    key(event) {
        const column = event.target.closest(".tl-block");
        if (!column) return;
        const names = [...this.columns.keys()], place = names.indexOf(column.dataset.block);
        const value = Number(column.getAttribute("aria-valuenow"));
        const to = {ArrowUp: value + this.step, ArrowDown: value - this.step, PageUp: value + 5 * this.step,
            PageDown: value - 5 * this.step, Home: 0, Delete: 0, End: this.maximum}[event.key];
        const next = {ArrowRight: names[place + 1], ArrowLeft: names[place - 1]}[event.key];
        if (next) this.columns.get(next).element.focus();
        else if (to !== undefined) this.put(column.dataset.block, to);
        else return;
        event.preventDefault();
    }

    put(name, value) {
        const steps = Math.round(Math.min(this.maximum, Math.max(0, value)) / this.step);
        this.changed(name, Number((steps * this.step).toFixed(3)));
    }
}

/** @param {any} setting one of the settings that hold a number for each block @returns {any} a field */
function blocksField(setting) {
    const kind = KINDS[setting.key];
    const base = field(setting);
    const text = base.control;
    const menu = h("select", {class: "tl-input tl-select", "aria-label": `${setting.label}: common lists`,
        on: {change: () => choose(menu.value)}}, h("option", {value: ALIKE}, "All blocks alike"));
    const note = h("p", {class: "tl-note"});
    const bars = new Bars(setting.label, put);
    const details = h("div", {class: "tl-block-editor", hidden: true}, bars.element, note,
        base.element.querySelector(".tl-control"));
    /** @type {any} */
    let blocks = null;
    let wanted = "sd1";
    /** @type {any} the lists of the checkpoint's family */
    let family = null;
    /** @type {string[]} the blocks that the network has on the checkpoint; empty until they are known */
    let trained = [];
    base.element.classList.add("tl-wide");
    base.element.querySelector(".tl-field-head").after(h("div", {class: "tl-control tl-block-menu"}, menu),
        details);
    text.setAttribute("aria-label", `${setting.label} as text`);

    const names = () => {
        const few = blocks.types_with_attention_only.includes(form.get("network.network_type"));
        return trained.length ? trained : family[few ? "short" : "full"];
    };
    const all = (value) => Object.fromEntries(family.full.map((name) => [name, value]));
    const current = () => read(String(form.get(setting.key) || ""), family);
    const round = (value) => Math.round(value / kind.step) * kind.step;

    function choose(choice) {
        if (choice === ALIKE) form.reset(setting.key);
        else if (choice === OWN) form.set(setting.key, write(current() || all(kind.usual()), names(), family, {}));
        else if (setting.key === "network.block_lr_weight") form.set(setting.key, choice);
        else {
            const scaled = Object.entries(family.presets[choice]).map(([name, factor]) =>
                [name, factor ? Math.max(kind.step, round(factor * kind.usual())) : 0]);
            form.set(setting.key, write(Object.fromEntries(scaled), names(), family, kind));
        }
        if (choice === OWN) details.querySelector(".tl-block").focus();
    }

    function put(name, value) {
        const values = {...(current() || all(kind.usual())), [name]: value};
        form.set(setting.key, write(values, names(), family, kind));
    }

    function refresh() {
        base.refresh();
        if (!blocks) return;
        text.placeholder = `${family.short.length} or ${family.full.length} numbers`;
        const given = String(form.get(setting.key) || "");
        const values = given ? current() : null;
        details.hidden = !given;
        bars.element.hidden = note.hidden = !values;
        menu.value = !given ? ALIKE : given.trim() in family.presets ? given.trim() : OWN;
        if (!values) return;
        const kept = form.get("network.network_weights") ? "stays unchanged in the LoRA that training continues from" :
            "is neither trained nor saved";
        setText(note, `A block at 0 ${kept}. Draw over the bars, or use the arrow keys.`);
        const highest = Math.max(kind.least, kind.usual(), ...names().map((name) => values[name]));
        bars.show(values, names(), highest, kind.step);
    }

    known().then((answer) => {
        blocks = answer;
        family = blocks.families[wanted];
        const lists = kind.presets ? Object.keys(family.presets) : [];
        menu.append(...lists.map((name) => h("option", {value: name}, name)),
            h("option", {value: OWN}, "Numbers of your own"));
        refresh();
    }).catch(() => {
        details.hidden = false;  // the text box works without the menu
        menu.parentElement.hidden = bars.element.hidden = note.hidden = true;
    });
    on("plan", (plan) => {
        if (!plan.blocks || (plan.blocks === wanted && plan.network_blocks.join() === trained.join())) return;
        wanted = plan.blocks;
        trained = plan.network_blocks;
        if (blocks) family = blocks.families[wanted];
        refresh();
    });
    on("setting", ({keys}) => {
        if (keys.some((key) => DECIDES.includes(key))) refresh();
    });
    return {...base, control: menu, refresh};
}

Object.assign(fieldMakers, {...Object.fromEntries(Object.keys(KINDS).map((key) => [key, blocksField]))});

/** The choice of the setting to vary: a search with the usual ones first. */

import {fill, h, setText, uniqueId} from "../../core/dom.js";
import {button} from "../../core/parts.js";
import {form} from "../../train/form.js";

/** @typedef {import("../../core/types").Setting} Setting */

const MOST = 8;
/** Settings that are compared most often, offered before anything is typed. */
const USUAL = ["base.checkpoint", "network.network_dim", "optimizer.unet_lr", "optimizer.optimizer_type", "network.network_type",
    "training.max_train_epochs", "dataset.resolution", "training.seed"];
const NOT_VARIED = ["save.output_name", "save.output_dir"];

/** @param {string} text @returns {Setting[]} the settings that have all its words, those with them in the name first */
export function settingsWith(text) {
    const words = text.toLowerCase().replace(/^--/, "").split(/\s+/).filter(Boolean);
    const all = [...form.settings.values()].filter(({key}) => !NOT_VARIED.includes(key));
    if (!words.length) return USUAL.flatMap((key) => all.filter((setting) => setting.key === key));
    const ranked = all.flatMap((setting) => {
        const name = `${setting.label} ${setting.name} ${setting.sd_scripts} ${setting.name.replaceAll("_", " ")}`.toLowerCase();
        const whole = `${name} ${setting.help} ${setting.advice} ${setting.section}`.toLowerCase();
        if (!words.every((word) => whole.includes(word))) return [];
        const exact = setting.label.toLowerCase() === words.join(" ") || setting.name === words.join("_");
        return [{setting, rank: exact ? 0 : words.every((word) => name.includes(word)) ? 1 : 2}];
    });
    return ranked.sort((one, other) => one.rank - other.rank).slice(0, MOST).map(({setting}) => setting);
}

export class SettingChoice {
    /** @param {(setting: Setting) => void} chosen */
    constructor(chosen) {
        this.chosen = chosen;
        /** @type {Setting[]} */
        this.hits = [];
        this.at = 0;
        const [id, listId] = [uniqueId("setting"), uniqueId("settings")];
        this.input = h("input", {type: "search", class: "tl-input tl-search", id, role: "combobox", autocomplete: "off",
            placeholder: "Search settings: rank, checkpoint, noise …", "aria-controls": listId, "aria-expanded": "true",
            spellcheck: "false", on: {input: () => this.search(), keydown: (event) => this.onKey(event)}});
        this.list = h("ul", {class: "tl-hits tl-compare-hits", role: "listbox", id: listId, "aria-label": "Settings found"});
        this.name = h("span", {class: "tl-compare-setting"});
        this.help = h("p", {class: "tl-note"});
        this.picked = h("div", {class: "tl-compare-picked", hidden: true}, h("div", {class: "tl-row"}, this.name,
            button("Choose another", {small: true, kind: "quiet", click: () => this.reopen()})), this.help);
        this.open = h("div", {class: "tl-column tl-compare-search"}, h("label", {class: "tl-label", for: id}, "Setting"),
            this.input, this.list);
        this.element = h("div", {}, this.open, this.picked);
        this.search();
    }

    search() {
        this.hits = settingsWith(this.input.value);
        this.at = 0;
        this.showHits();
    }

    showHits() {
        fill(this.list, this.hits.length ? this.hits.map((setting, index) => h("li", {class: "tl-hit", role: "option",
            "aria-selected": String(index === this.at), data: {key: setting.key}, on: {click: () => this.take(setting)}},
        h("span", {class: "tl-hit-title"}, setting.label),
        h("code", {class: "tl-hit-name"}, setting.sd_scripts || setting.name),
        h("span", {class: "tl-hit-about"}, setting.help))) :
            h("li", {class: "tl-hit tl-hit-none"}, "No setting has these words in its name or help."));
    }

    /** @param {KeyboardEvent} event */
    onKey(event) {
        const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
        if (step) {
            this.at = Math.max(0, Math.min(this.hits.length - 1, this.at + step));
            this.showHits();
        } else if (event.key === "Enter" && this.hits[this.at]) this.take(this.hits[this.at]);
        else return;
        event.preventDefault();
    }

    /** @param {Setting} setting */
    take(setting) {
        this.open.hidden = true;
        this.picked.hidden = false;
        setText(this.name, setting.label);
        setText(this.help, setting.help);
        this.chosen(setting);
    }

    reopen() {
        this.open.hidden = false;
        this.picked.hidden = true;
        this.input.focus();
        this.input.select();
    }
}

/** The settings in which the compared runs differ, and facts of the runs that do. */

import {fill, h} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {card} from "../../core/parts.js";
import {valueInWords} from "../../train/fields.js";
import {form} from "../../train/form.js";
import {colorClass} from "./colors.js";

/** @typedef {import("../model.js").RunModel} RunModel */
/** @typedef {import("./answers").Comparison} Comparison */
/** @typedef {{label: string, name: string, cells: {text: string, title: string}[]}} Line */

/** @type {[string, (run: RunModel) => string|number|null|undefined][]} what the runs found, beside their settings */
const FACTS = [
    ["Images of the dataset", (run) => run.started?.pictures],
    ["Steps per epoch", (run) => run.started?.steps_per_epoch],
    ["Steps", (run) => run.started?.total_steps],
    ["Trained on", (run) => run.started?.device],
    ["Precision", (run) => run.started?.precision],
];

export class CompareSettings {
    /** @param {{nameOf: (run: RunModel) => string}} options */
    constructor(options) {
        this.options = options;
        this.drawn = "";
        this.table = h("div", {class: "tl-table-scroll"});
        this.element = card("Settings that differ", {}, this.table);
    }

    /** @param {RunModel[]} runs @param {Comparison|null} answer null until known */
    show(runs, answer) {
        if (!answer) return;
        const settings = answer.differences.map(({key, label, values}) => {
            const setting = form.settings.get(key);
            return {label, name: setting ? setting.sd_scripts || setting.name : key, cells: values.map((value, index) =>
                (answer.problems[index] && value === null ? {text: "–", title: answer.problems[index]} :
                    {text: inWords(key, value), title: valueInWords(value)}))};
        });
        const facts = FACTS.flatMap(([label, read]) => {
            const values = runs.map(read);
            const known = values.filter((value) => value !== undefined && value !== null);
            return new Set(known).size < 2 ? [] : [{label, name: "", cells: values.map((value) => ({title: "",
                text: value === undefined || value === null ? "–" : typeof value === "number" ? format.number(value) : value}))}];
        });
        const signature = JSON.stringify([settings, facts, runs.map((run) => this.options.nameOf(run))]);
        if (signature === this.drawn) return;
        this.drawn = signature;
        fill(this.table, settings.length || facts.length ? this.tableOf(runs, [...settings, ...facts]) :
            h("p", {class: "tl-note"}, "All settings are the same. What differs between these runs is chance, or the " +
                "images and captions were changed in between."));
    }

    /** @param {RunModel[]} runs @param {Line[]} lines */
    tableOf(runs, lines) {
        return h("table", {class: "tl-table tl-compare-settings"},
            h("thead", {}, h("tr", {}, h("th", {scope: "col"}, "Setting"), runs.map((run) => h("th", {scope: "col",
                class: colorClass(run.id)}, h("i", {class: "tl-compare-swatch"}), this.options.nameOf(run))))),
            h("tbody", {}, lines.map((line) => h("tr", {}, h("th", {scope: "row"}, line.label,
                line.name ? h("code", {class: "tl-field-name"}, line.name) : null),
            line.cells.map(({text, title}) => h("td", {title}, text))))));
    }
}

/** @param {string} key @param {import("../../train/values").Value} value @returns {string} of a path its last part */
function inWords(key, value) {
    const setting = form.settings.get(key);
    const isPath = (setting && setting.path) || key === "base.checkpoint" || key === "base.vae";
    return isPath && typeof value === "string" && value ? format.fileName(value) : valueInWords(value);
}

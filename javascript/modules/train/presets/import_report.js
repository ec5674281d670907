/** The report of an import: the outcome of each option, as a table in four groups. */

import {h} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {valueInWords} from "../fields.js";
import {form} from "../form.js";

/** @typedef {import("../answers").ImportAnswer} ImportAnswer */

/** What needs attention comes first. @type {{answer: ImportAnswer["answer"], title: string, about: string}[]} */
const GROUPS = [
    {answer: "changed", title: "Changed", about: "a different value here, or left out"},
    {answer: "not known", title: "Not known", about: "no such option"},
    {answer: "taken", title: "Taken", about: "the same here"},
    {answer: "not needed", title: "Not needed", about: "nothing is lost"},
];

/** @param {import("../answers").ImportReport} report @returns {HTMLElement} */
export function importReport(report) {
    const groups = GROUPS.map((group) => ({...group, answers: report.answers.filter(({answer}) => answer === group.answer)}));
    const counts = groups.filter(({answers}) => answers.length)
        .map(({title, answers}) => `${format.number(answers.length)} ${title.toLowerCase()}`);
    return h("div", {class: "tl-report"},
        h("p", {id: "tl_import_summary"}, `Read as ${report.source}: ${counts.join(", ")}.`),
        h("table", {}, h("thead", {}, h("tr", {}, ["Option", "There", "Here"].map((title) =>
            h("th", {scope: "col"}, title)))),
        groups.filter(({answers}) => answers.length).map(({title, about, answers}) => h("tbody", {},
            h("tr", {}, h("th", {colspan: "3", scope: "rowgroup", class: "tl-report-title"}, title,
                h("span", {class: "tl-note"}, ` – ${about}`))), answers.map((answer) => row(answer))))));
}

/** @param {ImportAnswer} answer */
function row(answer) {
    const settings = Object.entries(answer.settings);
    return h("tr", {data: {answer: answer.answer}},
        h("td", {class: "tl-report-option"}, answer.option),
        h("td", {}, answer.given ? answer.value : h("span", {class: "tl-note"}, "left out")),
        h("td", {}, settings.map(([key, value]) => h("p", {}, `${labelOf(key)}: ${valueInWords(value)}`)),
            answer.reason ? h("p", {class: "tl-note"}, form.inWords(answer.reason)) : null));
}

/** @param {string} key */
function labelOf(key) {
    const setting = form.settings.get(key);
    return setting ? setting.label : key;
}

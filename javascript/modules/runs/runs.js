/** The sub-tab "Runs": everything that was ever trained here, each to be opened again. */

import {fill, h, on, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {badge as makeBadge, button, emptyState, icon, setBadge} from "../core/parts.js";
import {currentTab, registerTab, showTab} from "../core/shell.js";
import {RunView} from "./view.js";
import {runs as runList} from "./watch.js";

/** @typedef {import("../core/types").RunSummary} RunSummary */

/** @type {RunView|null} */
let view = null;
/** @type {Map<string, {element: HTMLElement, update: (run: RunSummary) => void}>} */
const rows = new Map();
let chosen = "";

/** @param {string} id */
function open(id) {
    chosen = id;
    if (view) view.show(id);
    for (const [name, row] of rows) row.element.setAttribute("aria-pressed", String(name === id));
}

/** @param {RunSummary} run @returns {{element: HTMLElement, update: (run: RunSummary) => void}} */
function makeRow(run) {
    const picture = h("span", {class: "tl-run-thumb"}, icon("image"));
    const name = h("span", {class: "tl-run-row-name"}, run.name);
    const badge = makeBadge(run.state);
    const about = h("span", {class: "tl-run-row-about"});
    const fillBar = h("span", {class: "tl-bar-fill"});
    const bar = h("span", {class: "tl-bar tl-run-row-bar", "aria-hidden": "true"}, fillBar);
    const element = h("button", {type: "button", class: "tl-run-row", data: {id: run.id},
        "aria-pressed": "false", on: {click: () => open(run.id)}},
    picture, h("span", {class: "tl-run-row-text"}, h("span", {class: "tl-run-row-top"}, name, badge), about, bar));
    let shownPicture = "";
    const update = (/** @type {RunSummary} */ now) => {
        setBadge(badge, now.state);
        setText(about, aboutRow(now));
        const share = now.total_steps ? (now.step || 0) / now.total_steps : 0;
        bar.hidden = !now.alive;
        fillBar.style.width = `${(100 * share).toFixed(1)}%`;
        if (now.sample && now.sample !== shownPicture) {
            shownPicture = now.sample;
            fill(picture, h("img", {src: runList.fileUrl(now.id, now.sample), alt: "", loading: "lazy"}));
        }
    };
    return {element, update};
}

/** @param {RunSummary} run */
function aboutRow(run) {
    const parts = [];
    if (run.created) parts.push(format.when(run.created));
    if (run.step) parts.push(run.alive && run.total_steps ? `step ${format.number(run.step)} of ` +
        format.number(run.total_steps) : format.plural(run.step, "step"));
    if (run.loss !== null && run.loss !== undefined) parts.push(`loss ${format.loss(run.loss)}`);
    if (run.held_for) parts.push(`held for ${run.held_for}`);
    if (run.alive && run.seconds_left) parts.push(format.left(run.seconds_left));
    return parts.join(" · ");
}

/** @param {HTMLElement} panel */
function build(panel) {
    const list = h("div", {class: "tl-run-list", role: "group", "aria-label": "All runs, the newest first"});
    const nothing = emptyState("No runs yet", "Everything you train is kept here, with its plots, samples and " +
        "settings.", button("Go to Train", {kind: "primary", click: () => showTab("train")}));
    const search = h("input", {type: "search", class: "tl-input tl-search", placeholder: "Search by name",
        "aria-label": "Search runs by name", on: {input: () => narrow()}});
    const choose = emptyState("Choose a run", "Its plots, samples, files and settings open here.");
    view = new RunView({empty: choose, controls: true});
    const side = h("div", {class: "tl-column tl-run-side"}, search, list);
    const columns = h("div", {class: "tl-columns tl-runs-columns"}, side,
        h("div", {class: "tl-column tl-column-run"}, view.element));
    panel.append(nothing, columns);
    columns.hidden = true;

    function narrow() {
        const words = search.value.toLowerCase();
        for (const {element} of rows.values()) {
            element.hidden = !(element.textContent || "").toLowerCase().includes(words);
        }
    }

    on("runs", (runs) => {
        nothing.hidden = runs.length > 0;
        columns.hidden = runs.length === 0;
        search.hidden = runs.length < 8;
        let place = 0;
        for (const run of runs) {
            const row = rows.get(run.id) || makeRow(run);
            rows.set(run.id, row);
            row.update(run);
            if (list.children[place] !== row.element) list.insertBefore(row.element, list.children[place] || null);
            place += 1;
        }
        while (list.children.length > place) list.children[place].remove();
        if (!chosen && runs.length && currentTab() === "runs") open(runs[0].id);
    });
}

registerTab({id: "runs", title: "Runs", order: 30, build, shown: () => {
    runList.refresh();
    const runs = runList.all();
    if (!chosen && runs.length) open(runs[0].id);
}});

/** The sub-tab "Train": the settings at the left, the run at the right, the buttons at the foot. */

import {emit, h, on, store} from "../core/dom.js";
import {format} from "../core/format.js";
import {askHost} from "../core/host.js";
import {emptyState, toast} from "../core/parts.js";
import {registerTab, root} from "../core/shell.js";
import {RunView} from "../runs/view.js";
import {editedRun} from "../runs/queue/edit.js";
import {queue} from "../runs/queue/state.js";
import {runs} from "../runs/watch.js";
import {actionBar} from "./actions.js";
import {baseCard} from "./base.js";
import {DatasetCard} from "./images/dataset.js";
import {explainFields} from "./explain.js";
import {form} from "./form.js";
import {goalCard} from "./goal/goal.js";
import {checkJob, planCard} from "./plan.js";
import {sectionCard} from "./sections/sections.js";
import {formHead, optimizerCard, scheduleCard, settingsCard} from "./settings.js";

/** @type {RunView|null} */
let view = null;
/** @type {HTMLElement} */
let columns;
let built = false;

function emptyRun() {
    return emptyState("Nothing is training yet",
        "Do these three things, and the loss, samples and saved files appear here.",
        h("ol", {class: "tl-steps"},
            h("li", {}, h("b", {}, "Images: "), "choose a folder and press Load."),
            h("li", {}, h("b", {}, "Model: "), "the one the webui has loaded is fine."),
            h("li", {}, h("b", {}, "Settings: "), "give it a name, and press Train.")));
}

/** @param {string} id empty for none */
export function showRun(id) {
    if (!view) return;
    view.show(id);
    store.set("run", id || undefined);
    emit("shown-run", id);
}

/** Bar and panel show the active run, wherever it was started; else the first queued one, or the last shown. */
function followLive() {
    if (!view) return;
    const live = runs.live();
    const shown = view.run;
    if (shown && shown.atWork) return;
    if (live && (!shown || shown.id !== live.id)) {
        if (!editedRun()) showSide("run");
        showRun(live.id);
    }
    else if (!shown) {
        const last = store.get("run", "");
        if (runs.all().some((run) => run.id === last)) showRun(last);
    }
}

/** @param {string} id @param {string} name of its LoRA */
function started(id, name) {
    runs.refresh();
    if (view && view.run && view.run.open) {
        toast("good", `${name} is in the queue. It starts ${queue.on_hold ? "after you release the queue, which is on hold" :
            "when the runs before it are done"}.`);
        return;
    }
    showRun(id);
    showSide("run");
    const narrow = matchMedia("(max-width: 1099px)").matches;
    if (narrow) root.scrollIntoView({block: "start"});
}

/** Switches between the two sides if there is only room for one. */
function sideSwitch() {
    const sides = [["form", "Settings"], ["run", "Run"]].map(([name, title]) => h("button", {type: "button",
        role: "tab", class: "tl-side-choice", data: {side: name}, on: {click: () => showSide(name)}}, title));
    return h("div", {class: "tl-side-switch", role: "tablist", "aria-label": "Settings or run"}, sides);
}

/** @param {string} side form or run */
function showSide(side) {
    columns.dataset.side = side;
    for (const choice of root.querySelectorAll(".tl-side-choice")) {
        choice.setAttribute("aria-selected", String(choice instanceof HTMLElement && choice.dataset.side === side));
    }
}

/** @param {HTMLElement} panel */
function build(panel) {
    const settings = h("div", {class: "tl-column", "aria-label": "Settings", role: "region"});
    const shown = view = new RunView({empty: emptyRun()});
    const result = h("div", {class: "tl-column tl-column-run", "aria-label": "Run", role: "region"}, shown.element);
    columns = h("div", {class: "tl-columns tl-train-columns"}, settings, result);
    panel.append(sideSwitch(), columns, actionBar({run: () => shown.run, started}));
    explainFields(columns, settings);
    form.load().then(() => {
        settings.append(goalCard({started}), formHead(), h("div", {class: "tl-form-columns"},
            h("div", {class: "tl-form-column"}, new DatasetCard().element,
                ...["Captions", "Augmentation", "Masks"].map(sectionCard), scheduleCard(),
                ...["Samples", "Saving", "Memory"].map(sectionCard)),
            h("div", {class: "tl-form-column"}, baseCard(), settingsCard(), sectionCard("Network"), optimizerCard(),
                sectionCard("Loss"), sectionCard("Preservation"))));
        result.prepend(planCard());
        built = true;
        if (form.get("dataset.train_data_dir")) emit("reload");
        checkJob();
    }).catch(() => settings.append(emptyState("The settings could not be read",
        "Reload the page to try again. If it fails again, see the webui's console.")));
    showSide("form");
    on("runs", () => {
        followLive();
        if (runs.live()) columns.classList.add("tl-live");
    });
    on("setting", () => {  // until then a run that has ended stays where it is being looked at
        if (!runs.live()) columns.classList.remove("tl-live");
    });
    on("dataset", suggestName);
    on("editing", (id) => {
        if (!id) return checkJob();
        showSide("form");
        emit("reload");
    });
}

/** Suggests a name for a new folder, if the user has given none. @param {import("./answers").DatasetOverview|null} found */
function suggestName(found) {
    if (!found || !found.pictures) return;
    if (!form.get("save.output_name")) form.set("save.output_name", nameFrom(format.fileName(found.folder)));
}

/** @param {string} folder */
const nameFrom = (folder) => folder.replace(/^\d+_/, "").replace(/[^\p{L}\p{N} ._-]+/gu, "").trim();

registerTab({id: "train", title: "Train", order: 20, build, shown: () => {
    if (built) askHost();
}});

/** What a run left: its LoRA files with the way to try each, its log, and the settings it was made with. */

import {api, fill, h, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, fold, icon, setLabel, toast} from "../core/parts.js";
import {showTab} from "../core/shell.js";
import {valueInWords} from "../train/fields.js";
import {form} from "../train/form.js";
import {toTxt2img} from "./txt2img.js";

const FEW = 5;
/** @typedef {import("../core/types").SavedEvent} SavedEvent */

export class FileList {
    constructor() {
        /** @type {import("./model.js").RunModel|null} */
        this.run = null;
        this.drawn = "";
        this.all = false;
        this.list = h("ul", {class: "tl-files"});
        this.more = button("", {kind: "quiet", small: true, click: () => {
            this.all = !this.all;
            if (this.run) this.show(this.run);
        }});
        this.empty = h("p", {class: "tl-note"},
            "The first file is written at the end of the first epoch that is saved.");
        this.element = h("div", {}, this.empty, this.list, this.more);
    }

    /** @param {import("./model.js").RunModel} run the model to show */
    show(run) {
        if (run !== this.run) this.all = false;
        this.run = run;
        const signature = `${run.id}/${this.all}/${run.saved.map((file) => file.path).join()}`;
        if (signature === this.drawn) return;
        this.drawn = signature;
        this.more.hidden = run.saved.length <= FEW;
        setLabel(this.more, this.all ? "Show the newest" :
            `Show all ${format.plural(run.saved.length, "file")}`);
        this.empty.hidden = run.saved.length > 0;
        this.list.hidden = run.saved.length === 0;
        const newest = [...run.saved].reverse().slice(0, this.all ? Infinity : FEW);
        fill(this.list, newest.map((file) => this.row(run, file)));
    }

    /** @param {import("./model.js").RunModel} run @param {SavedEvent} file */
    row(run, file) {
        const epoch = file.final ? "The last" : `Epoch ${file.epoch}`;
        const about = `${epoch}, step ${format.number(file.step)}, ${format.when(file.time)}`;
        return h("li", {class: "tl-file"}, icon("file"), h("div", {class: "tl-file-text"},
            h("span", {class: "tl-file-name", title: file.path}, file.name),
            h("span", {class: "tl-file-about"}, about)),
        button("Try in txt2img", {small: true, title: `Put ${file.name} into txt2img's prompt`,
            click: () => tryFile(run, file)}));
    }
}

/** @param {import("./model.js").RunModel} run @param {SavedEvent} file */
async function tryFile(run, file) {
    try {
        const answer = await api(`runs/${encodeURIComponent(run.id)}/try`, {body: {path: file.path}});
        toTxt2img(answer);
    } catch {
        // the toast has said why
    }
}

export class LogView {
    constructor() {
        this.text = h("pre", {class: "tl-log", tabindex: "0", "aria-label": "Log of the worker"});
        this.element = fold("Log", this.text);
        this.element.addEventListener("toggle", () => this.toEnd());
    }

    /** @param {import("./model.js").RunModel} run the model to show */
    show(run) {
        const box = this.text;
        const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 24;
        setText(box, run.log || "The worker has not said anything yet.");
        if (atEnd) this.toEnd();
    }

    toEnd() {
        this.text.scrollTop = this.text.scrollHeight;
    }
}

export class UsedSettings {
    constructor() {
        /** @type {import("./model.js").RunModel|null} */
        this.run = null;
        this.drawn = "";
        this.table = h("div", {class: "tl-used"});
        const again = button("Use these settings again",
            {small: true, icon: "reset", click: () => this.takeOver()});
        this.element = fold("Settings of this run", this.table, again);
    }

    /** @param {import("./model.js").RunModel} run the model to show */
    show(run) {
        this.run = run;
        const signature = run.job ? run.id : "";
        this.element.hidden = !run.job;
        if (signature === this.drawn || !run.job) return;
        this.drawn = signature;
        const {job} = run;
        fill(this.table, h("dl", {}, [...form.settings.values()].map((setting) => {
            const used = valueIn(job, setting);
            if (used === undefined || used === null || used === "") return null;
            if (JSON.stringify(used) === JSON.stringify(setting.default) && setting.view !== "main") return null;
            return [h("dt", {}, setting.label), h("dd", {}, valueInWords(used))];
        })));
    }

    takeOver() {
        if (!this.run || !this.run.job) return;
        form.take(this.run.job, ["save.output_dir", "training.device"]);
        showTab("train");
        toast("good", `The settings of ${this.run.summary.name} are in the form.`);
    }
}

/**
 * @param {import("../train/job").Job} job @param {import("../core/types").Setting} setting
 * @returns {import("../train/values").Value|undefined} undefined where the run has none
 */
function valueIn(job, {group, name}) {
    return /** @type {import("../train/answers").GroupedValues} */ ({...job})[group]?.[name];
}

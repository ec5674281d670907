/** The output of a run: its LoRA files with buttons to try them, its log, and its settings. */

import {api, fill, h, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, fold, icon, setLabel} from "../core/parts.js";
import {openPublish} from "../tools/publish/window.js";
import {valueInWords} from "../train/fields.js";
import {form} from "../train/form.js";
import {ON_THIS_MACHINE, askToKeepOnly, openFolder} from "./manage.js";
import {askForFileName} from "./manage/rename.js";
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
        this.gone = h("p", {class: "tl-note", hidden: true});
        this.folder = ON_THIS_MACHINE ? button("Open folder", {kind: "quiet", small: true, icon: "folder",
            click: () => this.run && openFolder(this.run.id, "files")}) : h("span", {});
        this.element = h("div", {}, this.empty, this.list, this.gone, h("div", {class: "tl-row"}, this.more, this.folder));
    }

    /** @param {import("./model.js").RunModel} run the model to show */
    show(run) {
        if (run !== this.run) this.all = false;
        this.run = run;
        const saved = run.saved.filter((file) => !run.missing.includes(file.path));
        const signature = `${run.id}/${this.all}/${run.open}/${run.proposed}/${saved.map((file) => file.path).join()}`;
        if (signature === this.drawn) return;
        this.drawn = signature;
        const gone = run.saved.length - saved.length;
        this.gone.hidden = !gone;
        setText(this.gone, `${format.plural(gone, "saved file")} of this run ${gone === 1 ? "is" : "are"} no longer in ` +
            "the folder.");
        this.folder.hidden = !saved.length;
        this.more.hidden = saved.length <= FEW;
        setLabel(this.more, this.all ? "Show the newest" :
            `Show all ${format.plural(saved.length, "file")}`);
        this.empty.hidden = run.saved.length > 0;
        this.list.hidden = saved.length === 0;
        const newest = [...saved].reverse().slice(0, this.all ? Infinity : FEW);
        const proposed = saved.find((file) => file.path === run.proposed);
        if (proposed && !newest.includes(proposed)) newest.push(proposed);
        fill(this.list, newest.map((file) => this.row(run, file, saved.length)));
    }

    /** @param {import("./model.js").RunModel} run @param {SavedEvent} file @param {number} count of the run's files */
    row(run, file, count) {
        const epoch = file.final ? "The last" : `Epoch ${file.epoch}`;
        const about = `${epoch}, step ${format.number(file.step)}, ${format.when(file.time)}`;
        return h("li", {class: "tl-file"}, icon("file"), h("div", {class: "tl-file-text"},
            h("span", {class: "tl-file-name", title: file.path}, file.name,
                file.path === run.proposed ? [" ", h("span", {class: "tl-file-mark"}, "proposed")] : null),
            h("span", {class: "tl-file-about"}, about)),
        h("div", {class: "tl-file-buttons"}, count > 1 && !run.open ? button("Keep only this", {small: true, kind: "quiet",
            title: `Keep ${file.name} and delete the other files of this run`,
            click: () => askToKeepOnly(run, file)}) : null,
        run.open ? null : button("Rename", {small: true, kind: "quiet", title: `Give ${file.name} another name`,
            click: () => askForFileName(run, file)}),
        button("Publish", {small: true, title: `A card for ${file.name}, and a folder ready for upload`,
            click: () => openPublish(file.path)}),
        button("Try in txt2img", {small: true, title: `Put ${file.name} into txt2img's prompt`,
            click: () => tryFile(run, file)})));
    }
}

/** @param {import("./model.js").RunModel} run @param {SavedEvent} file */
async function tryFile(run, file) {
    try {
        const answer = await api(`runs/${encodeURIComponent(run.id)}/try`, {body: {path: file.path}});
        toTxt2img(answer);
    } catch {
        // already reported by a toast
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
        setText(box, run.log || "No output from the worker yet.");
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
        this.element = fold("Settings of this run", this.table);
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
}

/**
 * @param {import("../train/job").Job} job @param {import("../core/types").Setting} setting
 * @returns {import("../train/values").Value|undefined} undefined if the run has none
 */
function valueIn(job, {group, name}) {
    return /** @type {import("../train/answers").GroupedValues} */ ({...job})[group]?.[name];
}
